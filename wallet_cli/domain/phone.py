"""Phone numbers: as a person types them, and the E.164 number that they mean.

The numbering plans come from phonenumberslite (the port of Google's libphonenumber). Its import costs 25 ms, so it
happens only when a number must be parsed; a number that the ledger has seen before is found without it.
"""

from __future__ import annotations

import re
from typing import Any

from wallet_cli.errors import InvalidInput, shown
from wallet_cli.named_tuples import NamedTuple

MAX_PHONE_CHARS = 40
EXAMPLE = "9886977544"
"""The number in all examples: one in India."""

_PHONE = r"\+?[0-9 ()\-]+"
_IGNORED = str.maketrans("", "", " ()-")
_FLOAT = r"\+?[0-9]{7,}\.0+"
"""What spreadsheets and data frames make of a phone number: to leave out the point would make another number of it."""
_MEXICAN = r"\+52[0-9]{10}"
_OLD_MEXICAN = r"(?:1|01|044|045)([0-9]{10})"
"""The prefix of mobile numbers in Mexico until 2019; the number follows."""
_PLUS = "+\uff0b\ufe62"
_SEPARATORS = " ()[]-.\u2212\u00b7\u2024\uff0e\uff08\uff09\uff3b\uff3d"
_SPACING = {"Zs", "Pd", "Cf"}
"""Spaces of every width, dashes of every length, and invisible direction characters."""


class Phone(NamedTuple):
    """A phone number.

    `typed` is what a person typed; `e164` the number that it means; `region` and `national` the shorter digits for the
    same number in that region, where there are such digits (else None). The ledger keeps them, so most look-ups need no
    numbering plan.
    """

    typed: str
    e164: str
    region: str | None
    national: str | None


def phone_digits(text: str) -> str:
    """Return the number without spaces, dashes, dots and brackets: ASCII digits, after a leading `+` if it had one.

    Reads digits of any script. Raises InvalidInput for text that is not a phone number.
    """
    if len(text) <= MAX_PHONE_CHARS:
        is_bare = text.isascii() and text.isdigit()
        digits = text if is_bare else text.translate(_IGNORED) if re.fullmatch(_PHONE, text) else _digits(text)
        if not is_bare and re.fullmatch(_FLOAT, text, re.ASCII):
            raise InvalidInput(
                f"a number with decimals is not a phone number: {shown(text)}",
                hint=f"leave {shown(text[text.index('.') :])} out, which spreadsheets add",
            )
        if digits is not None:
            return digits
    raise InvalidInput(f"not a phone number: {shown(text)}", hint="such as 9886977544 or '+91 98869 77544'")


def _digits(text: str) -> str | None:
    """The same for other ways of writing; None where it is not a number."""
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
    """Other E.164 numbers for the same phone, which earlier versions may have kept."""
    return (f"+521{e164[3:]}",) if re.fullmatch(_MEXICAN, e164) else ()


def parse_phone(text: str, region: str) -> Phone:
    """Parse a phone number; `region` (`IN`) is used for a number with no `+`.

    Accepts possible numbers, whether or not their range is in use yet: ranges are opened more often than programs are
    upgraded. Raises InvalidInput.
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
        # With too many leading zeros, the number's E.164 form would be read as another number.
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


def example_phone(region: str) -> str:
    """A phone number in a region, in a form that every ledger reads."""
    if region == "IN":
        return EXAMPLE
    import phonenumbers

    number: Any = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    if number is None:
        number = phonenumbers.example_number(region)
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def check_region(text: str) -> str:
    """Return a phone region (`IN`) if it exists. Raises InvalidInput."""
    import phonenumbers

    if text not in phonenumbers.SUPPORTED_REGIONS:
        raise InvalidInput(f"not a phone region: {shown(text)}", hint="two capital letters, such as IN, GB or US")
    return text


def _means(phonenumbers: object, digits: str, region: str, number: object) -> bool:
    """Whether `digits`, typed in `region`, are parsed as `number`."""
    try:
        found = _as_dialled_now(phonenumbers, phonenumbers.parse(digits, region))  # type: ignore[attr-defined]
        return bool(found == number)
    except phonenumbers.NumberParseException:  # type: ignore[attr-defined]
        return False


def _as_dialled_now(phonenumbers: Any, number: Any) -> Any:
    """The number without a prefix that its country has dropped: +52 1 55… is +52 55…"""
    if number.country_code != 52:
        return number
    old = re.fullmatch(_OLD_MEXICAN, phonenumbers.national_significant_number(number))
    return number if old is None else phonenumbers.parse(f"+52{old[1]}")
