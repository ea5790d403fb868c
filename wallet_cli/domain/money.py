"""Money: a whole number of minor units (cents, paise, points) and a currency that says how many make one.

Never a float, never a Decimal in a column: 123456789012345678.91 must come back unchanged.
"""

from __future__ import annotations

import re

from wallet_cli.errors import InvalidInput, shown
from wallet_cli.named_tuples import NamedTuple

AMOUNT = "amount"
"""What an amount is called where it is the one of a transaction."""

MAX_AMOUNT_MINOR = 10**15
"""The largest single amount, in minor units."""

MAX_TOTAL_MINOR = 9 * 10**18
"""The largest running total of credits or debits, in minor units: below 2**63, the limit of an SQL integer."""

MAX_AMOUNT_CHARS = 40
MAX_EXPONENT = 18
ANY_DIGITS = MAX_AMOUNT_CHARS
"""More fraction digits than an amount can be written with."""

# Patterns are compiled when first used (`re` caches them), so start-up does not pay for all of them.
_CODE = r"[A-Z0-9]{3,10}"
_CUSTOM = rf"({_CODE})/(1[0-8]|[0-9])"

# ISO 4217, list one: codes by their number of fraction digits. Codes with "N.A." in the list (gold, test codes, bond
# units) have no fixed number of fraction digits, and are written CODE/N like any other unit.
_ISO_4217_EXPONENTS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW"
        " CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF"
        " IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK"
        " MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP"
        " SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG"
        " YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
ISO_4217 = {code: exponent for exponent, codes in _ISO_4217_EXPONENTS.items() for code in codes.split()}

# Codes that left that list since 2011, with the digits that they had. No wallet can be opened with such a bare code,
# but wallets and exports that name one stay readable. A code that leaves the list above moves here; so do the old
# digits of a code whose digits change.
FORMER = {
    code: exponent
    for exponent, codes in {0: "BYR", 2: "ANG BGN CUC EEK HRK LTL LVL MRO SLL STD USS VEF ZMK ZWL"}.items()
    for code in codes.split()
}


class Currency(NamedTuple):
    """A unit of value: `name` as it is written (`INR`, `PTS/0`) and its number of fraction digits."""

    name: str
    exponent: int

    @property
    def unit(self) -> str:
        """The name shown beside an amount: `PTS` for `PTS/0`."""
        return self.name.partition("/")[0]

    @property
    def is_plain(self) -> bool:
        """Whether its name gives its digits, directly or by the tables here."""
        return parse_name(self.name) == self

    @property
    def can_be(self) -> bool:
        """Whether a wallet can have been opened in it, today or before: whether its name ever had these digits.

        For a code that is not in a table here, any digits are possible: it may have left ISO 4217 since.
        """
        custom = re.fullmatch(_CUSTOM, self.name)
        known = {int(custom[2])} if custom else {table[self.name] for table in (ISO_4217, FORMER) if self.name in table}
        return not known or self.exponent in known

    @property
    def written(self) -> str:
        """Text with the digits: `INR`, `PTS/0`; `INR/3` for a wallet with more digits than INR has now."""
        return self.name if self.is_plain else f"{self.unit}/{self.exponent}"

    def is_same(self, other: Currency) -> bool:
        """Whether both count the same units: `XAA/3` from before ISO listed it, and `XAA` with 3 digits."""
        return self.unit == other.unit and self.exponent == other.exponent

    def is_meant(self, text: str) -> bool:
        """Whether a text means this unit: the name that it has here always does, whatever a later table says."""
        if text == self.name:
            return True
        named = parse_name(text)
        return named is not None and named.is_same(self)


def parse_currency(text: str) -> Currency:
    """Read an ISO 4217 code, or `CODE/N` for any other unit with N fraction digits.

    Raises InvalidInput for anything else, and for an ISO code with other digits than its own.
    """
    if text in ISO_4217:
        return Currency(text, ISO_4217[text])
    custom = re.fullmatch(_CUSTOM, text)
    if text in FORMER:
        raise InvalidInput(
            f"{text} is no longer in ISO 4217", hint=f"{text}/{FORMER[text]} is that unit with {FORMER[text]} digits"
        )
    if custom is None:
        from wallet_cli.likely import likely

        meant = likely(text, ISO_4217)
        raise InvalidInput(
            f"not a currency: {shown(text)}",
            hint=(f"did you mean {meant}? " if meant else "")
            + "give an ISO 4217 code such as INR, or CODE/N for your own unit with N fraction digits, such as PTS/0",
        )
    code, digits = custom.groups()
    if code not in ISO_4217:
        return Currency(text, int(digits))
    if ISO_4217[code] == int(digits):
        return Currency(code, ISO_4217[code])
    raise InvalidInput(
        f"{code} has {ISO_4217[code]} fraction digits, not {digits}", hint=f"write {code} without digits"
    )


def parse_stored(text: str, digits: int | None = None) -> Currency:
    """Read the currency of a wallet that was opened before, by the rules of that time.

    `digits` is its number of fraction digits, where that was given with it. Raises InvalidInput.
    """
    named = parse_name(text)
    if digits is None and named is not None:
        return named
    if digits is not None and re.fullmatch(_CODE, text) and 0 <= digits <= MAX_EXPONENT:
        return Currency(text, digits)  # a bare code: its digits may have been different then
    if named is not None and named.exponent == digits:
        return named
    raise InvalidInput(
        f"not a currency: {shown(text)}" if digits is None else f"{shown(text)} cannot have {digits} fraction digits",
        hint='an old code needs its digits beside it: "currency": "ABC", "digits": 2',
    )


def parse_name(text: str) -> Currency | None:
    """The currency of a name that gives its digits or is in a table here, of today or before; else None."""
    custom = re.fullmatch(_CUSTOM, text)
    exponent = int(custom[2]) if custom is not None else ISO_4217.get(text, FORMER.get(text))
    return None if exponent is None else Currency(text, exponent)


def parse_told(text: str, amount: str) -> Currency:
    """The currency of a wallet in an answer: an amount in an answer has exactly its fraction digits."""
    return Currency(text, len(amount.partition(".")[2]))


def parse_amount(text: str, currency: Currency, what: str = AMOUNT) -> int:
    """Read an AMOUNT (`20`, `19.99`) as minor units, 1 to MAX_AMOUNT_MINOR; `what` it is. Raises InvalidInput."""
    return _positive(_parse_minor(text, currency, what, is_signed=False), text, what, currency)


def _positive(minor: int, text: str, what: str, currency: Currency) -> int:
    if minor <= 0:
        hint = f"such as {_example(currency)}"
        if minor and what == AMOUNT:
            hint = "leave the minus out: a credit adds money, a debit takes it out"
        raise InvalidInput(f"the {what} must be greater than 0: {shown(text)}", hint=hint)
    return minor


def parse_any_amount(text: str, what: str) -> int:
    """Read an AMOUNT of no currency, to compare with those of any, as units of which 10**ANY_DIGITS make one.

    Raises InvalidInput.
    """
    any_ = Currency("any", ANY_DIGITS)
    return _positive(_parse_minor(text, any_, what, 10 ** (2 * ANY_DIGITS), is_signed=False), text, what, any_)


def bounds_in_minor(units: int, *, up: bool) -> list[int]:
    """Such an amount in minor units, for each number of fraction digits that a currency may have, from 0 on.

    What is between two of them is rounded up or down; the most is one more than any amount has.
    """
    sizes = (10 ** (ANY_DIGITS - digits) for digits in range(MAX_EXPONENT + 1))
    return [min((units + size - 1 if up else units) // size, MAX_AMOUNT_MINOR + 1) for size in sizes]


def parse_minimum(text: str, currency: Currency) -> int:
    """Read a minimum balance as minor units; 0 and negative ones (an overdraft) are fine. Raises InvalidInput."""
    return _parse_minor(text, currency, "minimum balance")


def parse_default_minimum(text: str, currency: Currency) -> int:
    """The same for the one of all wallets without their own: it may be more than some of them can hold."""
    return _parse_minor(text, currency, "minimum balance", 10 ** (2 * ANY_DIGITS))


def parse_maximum(text: str, currency: Currency) -> int:
    """Read a maximum balance as minor units. Raises InvalidInput."""
    return _parse_minor(text, currency, "maximum balance")


def parse_daily_debit(text: str, currency: Currency) -> int:
    """Read a daily debit limit as minor units, 0 or more. Raises InvalidInput."""
    minor = _parse_minor(text, currency, "daily debit", is_signed=False)
    if minor < 0:
        raise InvalidInput(f"the daily debit cannot be negative: {shown(text)}", hint="0 allows no debits")
    return minor


def parse_balance(text: str, currency: Currency) -> int:
    """Read a balance as minor units; it may be larger than any single amount. Raises InvalidInput."""
    return _parse_minor(text, currency, "balance", MAX_TOTAL_MINOR)


def _parse_minor(
    text: str, currency: Currency, what: str, most: int = MAX_AMOUNT_MINOR, *, is_signed: bool = True
) -> int:
    """Minor units, as far from 0 as `most`. What cannot be below 0 is not signed: its caller refuses any that is."""
    negative = text.startswith("-")
    digits = text[1:] if negative else text
    whole, point, fraction = digits.partition(".")
    # Digits with at most one point, digits on both sides of it.
    plain = whole.isdigit() and (fraction.isdigit() if point else True) and digits.isascii()
    if not plain:
        raise InvalidInput(
            f"the {what} is not a decimal number: {shown(text)}",
            hint=f"digits with at most one point, such as {_example(currency)}: no separators, no exponent",
        )
    if len(text) > MAX_AMOUNT_CHARS:
        raise InvalidInput(f"the {what} is too long: {shown(text)}", hint=f"at most {MAX_AMOUNT_CHARS} characters")
    if fraction[currency.exponent :].strip("0"):
        raise InvalidInput(
            f"the {what} has more fraction digits than {currency.unit} has ({currency.exponent}): {shown(text)}",
            hint=f"such as {format_minor(_one(currency), currency)}",
        )
    minor = int(whole + fraction[: currency.exponent].ljust(currency.exponent, "0"))
    if minor > most and negative and is_signed:
        raise InvalidInput(
            f"the {what} is too small: {shown(text)}", hint=f"at least {format_minor(-most, currency)} {currency.unit}"
        )
    if minor > most and not negative:
        raise InvalidInput(
            f"the {what} is too large: {shown(text)}",
            hint=f"at most {format_minor(most, currency)} {currency.unit}",
        )
    return -minor if negative else minor


def _one(currency: Currency) -> int:
    """One whole unit, or the largest amount where that is less."""
    one: int = 10**currency.exponent
    return min(one, MAX_AMOUNT_MINOR)


def _example(currency: Currency) -> str:
    """Amounts that can be given in it."""
    is_usual = currency.exponent == ANY_DIGITS or (currency.exponent >= 2 and 20 * _one(currency) <= MAX_AMOUNT_MINOR)
    return "20 or 19.99" if is_usual else format_minor(_one(currency), currency)


def format_minor(minor: int, currency: Currency) -> str:
    """Return minor units as decimal text with exactly the currency's fraction digits: 2000 INR → `20.00`."""
    if not currency.exponent:
        return str(minor)
    digits = str(abs(minor)).rjust(currency.exponent + 1, "0")
    sign = "-" if minor < 0 else ""
    return f"{sign}{digits[: -currency.exponent]}.{digits[-currency.exponent :]}"
