"""Amounts as people type them: `1,000`, `₹500`, `500 INR`, `.5`, `1 000,50`. Read only where they mean one thing.

Only on the command line; the result is an AMOUNT (money.py), the form that programs write.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from wallet_cli.domain.money import MAX_AMOUNT_CHARS, Currency, parse_name
from wallet_cli.errors import InvalidInput, shown

SIGNS = {
    "₹": ("INR",), "$": ("USD",), "US$": ("USD",), "€": ("EUR",), "£": ("GBP",), "¥": ("JPY", "CNY"),
    "A$": ("AUD",), "C$": ("CAD",), "CA$": ("CAD",), "NZ$": ("NZD",), "HK$": ("HKD",), "S$": ("SGD",), "NT$": ("TWD",),
    "R$": ("BRL",), "MX$": ("MXN",), "₩": ("KRW",), "₽": ("RUB",), "₺": ("TRY",), "₪": ("ILS",), "฿": ("THB",),
    "₫": ("VND",), "₴": ("UAH",), "₦": ("NGN",), "₱": ("PHP",), "₵": ("GHS",), "₡": ("CRC",), "₲": ("PYG",),
    "₸": ("KZT",), "₮": ("MNT",), "₭": ("LAK",), "៛": ("KHR",), "₾": ("GEL",), "֏": ("AMD",), "৳": ("BDT",),
    "zł": ("PLN",), "Kč": ("CZK",), "Ft": ("HUF",),
}  # fmt: skip
"""The currency of each sign. A sign of several currencies means the best known one."""

_SPACES = " \u00a0\u2009\u202f"
_NUMBER = rf"(?P<before>[^0-9.,]*?)[{_SPACES}]*(?P<number>[0-9.,][0-9.,_'’{_SPACES}]*?)[{_SPACES}]*(?P<after>[^0-9]*)"
_WITHOUT_SIGN = rf"[0-9.,_'’{_SPACES}]*"
_PLAIN = r"[0-9]+(\.[0-9]+)?"
_GROUPED = r"[1-9][0-9]{0,2}( [0-9]{3})+|[1-9][0-9]?( [0-9]{2})* [0-9]{3}"
"""Thousands, or lakhs and crores, with a space for any separator. Nobody writes a group of `0` before another."""


def is_plain(text: str) -> bool:
    """Whether it is an AMOUNT in the form of programs, which is read unchanged."""
    return text.isascii() and text.replace(".", "", 1).isdigit() and text[0] != "." and text[-1] != "."


def is_grouped(digits: str) -> bool:
    """Whether digits are in groups, with one separator between all of them, whichever it is."""
    is_one = len(set(re.sub("[0-9]", "", digits))) == 1
    return is_one and re.fullmatch(_GROUPED, re.sub("[^0-9]", " ", digits)) is not None


def ungrouped(digits: str) -> str:
    return re.sub("[^0-9]", "", digits)


def to_amount(
    text: str,
    currency: Currency,
    *,
    by_hand: bool,
    own_sign: Callable[[], str] = str,
    own_comma: Callable[[], bool] = bool,
) -> str:
    """Typed text as an AMOUNT, for a wallet of `currency`. Raises InvalidInput.

    `1.000` may also be a thousand in a currency with fewer digits, unless a program wrote it: it is not typed
    `by_hand`, and has nothing with it. Where the person at the terminal lives, `own_sign` is the sign of the currency,
    and `own_comma` tells whether the comma is the decimal sign, and so the point that of thousands.
    """
    if len(text) > MAX_AMOUNT_CHARS:
        return text  # money.py says what is wrong with it
    negative = text.startswith("-")
    rest = text[1:] if negative else text
    bare = rest.strip(_SPACES)
    if by_hand and not re.fullmatch(_WITHOUT_SIGN, bare):
        sign = own_sign()
        bare = bare.removeprefix(sign) if bare.startswith(sign) else bare.removesuffix(sign)
    match = re.fullmatch(_NUMBER, bare.strip(_SPACES))
    if match is None:
        if any(c.isdigit() and not c.isascii() for c in text):
            raise _unclear(text, "its digits are not 0 to 9")
        return text  # money.py says what is wrong with it
    signs = [sign for each in ("before", "after") if (sign := match[each].strip(_SPACES))]
    for sign in signs:
        _check_sign(sign, currency, text)
    if len(signs) > 1:
        raise _unclear(text, "there is a currency on both sides")
    comma = own_comma if by_hand else bool
    number = _read(match["number"], currency, text, by_hand=by_hand or not is_plain(rest), own_comma=comma)
    return f"-{number}" if negative else number


def _check_sign(sign: str, currency: Currency, text: str) -> None:
    """Raises InvalidInput for the sign or code of another currency, or of none."""
    if sign.upper() == currency.unit or currency.unit in SIGNS.get(sign, ()):
        return
    known = SIGNS.get(sign)
    if known is None and parse_name(sign.upper()) is None:
        raise InvalidInput(
            f"the amount is not a decimal number: {shown(text)}",
            hint=f"such as 1000, 1,000 or 19.99; the currency may be next to it: 20 {currency.unit}",
        )
    other = sign.upper() if known is None else known[0]
    raise InvalidInput(
        f"the wallet is in {currency.unit}, but this amount is in {other}: {shown(text)}",
        hint=f"leave the sign out if you mean {currency.unit}; amounts are not converted",
    )


def _read(number: str, currency: Currency, text: str, *, by_hand: bool, own_comma: Callable[[], bool]) -> str:
    """Digits with at most one point. Raises InvalidInput if the separators can mean two things, or nothing."""
    if re.fullmatch(_PLAIN, number):
        whole, _, fraction = number.partition(".")
        looks_grouped = by_hand and len(fraction) == 3 > currency.exponent and re.fullmatch("[1-9][0-9]{0,2}", whole)
        if looks_grouped and not fraction[currency.exponent :].strip("0"):
            raise _ambiguous(text, _shorter(whole, fraction, currency), whole + fraction)
        return whole + fraction if looks_grouped and own_comma() else number
    if re.fullmatch(r"\.[0-9]+", number):
        return f"0{number}"
    marks = re.sub("[0-9]", "", number)
    if len(set(re.sub("[.,]", "", marks))) > 1:
        raise _unclear(text, "its digits are separated in two ways")
    # The last separator is the decimal one if it differs from the others and occurs once.
    last = marks[-1:]
    if last in (".", ",") and marks.count(last) == 1 and (len(marks) > 1):
        whole, _, fraction = number.rpartition(last)
        # More digits than the currency has could be one more group.
        if is_grouped(whole) and fraction.isdigit() and len(fraction) <= currency.exponent:
            return f"{ungrouped(whole)}.{fraction}"
        raise _unclear(text, "its separators are not those of thousands or lakhs")
    fits = is_grouped(number)
    if marks == ",":
        whole, _, fraction = number.partition(",")
        may_be_fraction = whole.isdigit() and fraction.isdigit() and len(fraction) <= currency.exponent
        if may_be_fraction and fits:
            raise _ambiguous(text, f"{whole}.{fraction}", whole + fraction)
        if fits and not fraction[currency.exponent :].strip("0") and own_comma():
            raise _ambiguous(text, _shorter(whole, fraction, currency), whole + fraction)
        if may_be_fraction and own_comma():
            return f"{whole}.{fraction}"
    if not fits:
        raise _unclear(text, "its separators are not those of thousands or lakhs")
    return ungrouped(number)


def _shorter(whole: str, fraction: str, currency: Currency) -> str:
    """The number without the zeros that its currency does not have."""
    return f"{whole}.{fraction[: currency.exponent]}".rstrip(".")


def _ambiguous(text: str, one: str, other: str) -> InvalidInput:
    return InvalidInput(f"the amount can mean {one} or {other}: {shown(text)}", hint=f"write {one} or {other}")


def _unclear(text: str, why: str) -> InvalidInput:
    return InvalidInput(f"the amount is unclear: {shown(text)}: {why}", hint="such as 1000, 1,000 or 1000.50")
