"""Phone numbers: what a person types, and the one E.164 number that it means.

The numbering plans come from phonenumberslite (the port of Google's libphonenumber). Its import costs 25 ms, so it
waits until a number has to be worked out; a number that the ledger has seen before is found without it.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from wallet_cli.errors import InvalidInput, shown

MAX_PHONE_CHARS = 40

_PHONE = r"\+?[0-9 ()\-]+"
_IGNORED = str.maketrans("", "", " ()-")
_MEXICAN = r"\+52[0-9]{10}"
_OLD_MEXICAN = r"(?:1|01|044|045)([0-9]{10})"
"""What was dialled before mobile numbers of Mexico until 2019; what follows is the number."""
_PLUS = "+\uff0b\ufe62"
_SEPARATORS = " ()[]-.\u2212\u00b7\u2024\uff0e\uff08\uff09\uff3b\uff3d"
_SPACING = {"Zs", "Pd", "Cf"}
"""Spaces of every width, dashes of every length, and marks of direction, which nobody sees."""


class Phone(NamedTuple):
    """A phone number.

    `typed` as a person wrote it; `e164` the number that it means; `region` and `national` the shorter digits that
    mean it too, in that region, where there are such digits (else None): the ledger keeps them, so that most
    look-ups need no numbering plan.
    """

    typed: str
    e164: str
    region: str | None
    national: str | None


def phone_digits(text: str) -> str:
    """Return the number without spaces, dashes, dots and brackets: ASCII digits, with a leading `+` if it had one.

    Digits of any script are read. Raises InvalidInput for anything that is not written as a phone number.
    """
    if len(text) <= MAX_PHONE_CHARS:
        digits = text.translate(_IGNORED) if re.fullmatch(_PHONE, text) else _digits(text)
        if digits is not None:
            return digits
    raise InvalidInput(f"not a phone number: {shown(text)}", hint="such as 9886977544 or '+91 98869 77544'")


def _digits(text: str) -> str | None:
    """The same for what is written in another way; None where it is no number."""
    import unicodedata

    found = ""
    for c in text:
        if unicodedata.category(c) == "Nd":
            found += str(unicodedata.decimal(c))
        elif c in _PLUS and not found:
            found = "+"
        elif c not in _SEPARATORS and unicodedata.category(c) not in _SPACING:
            return None
    return found if found.strip("+") else None


def other_forms(e164: str) -> tuple[str, ...]:
    """Numbers that mean the same, as earlier versions may have kept them."""
    return (f"+521{e164[3:]}",) if re.fullmatch(_MEXICAN, e164) else ()


def parse_phone(text: str, region: str) -> Phone:
    """Work out a phone number; `region` (`IN`) is used for a number with no `+`.

    Possible numbers pass, whether or not their range is given out yet: ranges are opened more often than programs
    are upgraded. Raises InvalidInput.
    """
    digits = phone_digits(text)
    import phonenumbers

    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        number = None
    else:
        number = _as_dialled_now(phonenumbers, number)
    if number is not None:
        e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        possible = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
        # With zeros too many before it, a number is written as one that is read as another one.
        if not possible or not _means(phonenumbers, e164, region, number):
            number = None
    if number is None:
        where = "" if digits.startswith("+") else f" in region {region}"
        raise InvalidInput(
            f"not a possible phone number{where}: {shown(text)}",
            hint="check the digits, or give it with its country code, such as +919886977544",
        )
    if not digits.startswith("+"):
        return Phone(text, e164, region, digits)
    home = phonenumbers.region_code_for_number(number)
    national = phonenumbers.national_significant_number(number)
    if home is None or not _means(phonenumbers, national, home, number):
        return Phone(text, e164, None, None)
    return Phone(text, e164, home, national)


def check_region(text: str) -> str:
    """Return a phone region (`IN`) if there is one of that name; raises InvalidInput."""
    import phonenumbers

    if text not in phonenumbers.SUPPORTED_REGIONS:
        raise InvalidInput(f"not a phone region: {shown(text)}", hint="two capital letters, such as IN, GB or US")
    return text


def _means(phonenumbers: object, digits: str, region: str, number: object) -> bool:
    """Whether `digits`, typed in `region`, are worked out to be `number`."""
    try:
        found = _as_dialled_now(phonenumbers, phonenumbers.parse(digits, region))  # type: ignore[attr-defined]
        return bool(found == number)
    except phonenumbers.NumberParseException:  # type: ignore[attr-defined]
        return False


def _as_dialled_now(phonenumbers: Any, number: Any) -> Any:
    """The number without what a country's plan has dropped: +52 1 55… is +52 55…"""
    if number.country_code != 52:
        return number
    old = re.fullmatch(_OLD_MEXICAN, phonenumbers.national_significant_number(number))
    return number if old is None else phonenumbers.parse(f"+52{old[1]}")
