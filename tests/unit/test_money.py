"""Money: text in, minor units inside, text out; nothing is rounded and nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Callable

import iso4217
import pytest

from wallet_cli.domain.money import (
    ISO_4217,
    MAX_AMOUNT_MINOR,
    MAX_EXPONENT,
    Currency,
    format_minor,
    parse_amount,
    parse_currency,
    parse_daily_debit,
    parse_maximum,
    parse_minimum,
)
from wallet_cli.errors import InvalidInput

INR = Currency("INR", 2)
JPY = Currency("JPY", 0)
BHD = Currency("BHD", 3)
CLF = Currency("CLF", 4)
SATS = Currency("BTC/8", 8)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("20", INR, 2000),
        ("19.99", INR, 1999),
        ("0.01", INR, 1),
        ("0.1", INR, 10),
        ("1.50", INR, 150),
        ("00020", INR, 2000),
        ("20", JPY, 20),
        ("0.001", BHD, 1),
        ("1.0001", CLF, 10001),
        ("0.00000001", SATS, 1),
        ("10000000000000.00", INR, MAX_AMOUNT_MINOR),
        ("1000000000000000", JPY, MAX_AMOUNT_MINOR),
        ("1500.0", JPY, 1500),
        ("1.000", INR, 100),
        # More digits than a float holds.
        ("1234567890123.45", INR, 123456789012345),
    ],
)
def test_an_amount_is_read_exactly(text: str, currency: Currency, minor: int) -> None:
    assert parse_amount(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency", "says"),
    [
        ("0", INR, "greater than 0"),
        ("0.00", INR, "greater than 0"),
        ("-5", INR, "greater than 0"),
        ("-0", INR, "greater than 0"),
        ("1.005", INR, "more fraction digits than INR has"),
        ("1.5", JPY, "more fraction digits than JPY has"),
        # Also where the digits too many are zeros: what is not kept is not accepted.
        ("1.001", INR, "more fraction digits"),
        ("0.0001", BHD, "more fraction digits"),
        ("0.5", Currency("PTS/0", 0), "more fraction digits than PTS has"),
        ("10000000000000.01", INR, "too large"),
        ("1000000000000001", JPY, "too large"),
        ("NaN", INR, "not a decimal number"),
        ("Infinity", INR, "not a decimal number"),
        ("-inf", INR, "not a decimal number"),
        ("1e3", INR, "not a decimal number"),
        ("1E3", INR, "not a decimal number"),
        ("１２", INR, "not a decimal number"),
        ("१२", INR, "not a decimal number"),
        ("²", INR, "not a decimal number"),
        ("1,000", INR, "not a decimal number"),
        ("1,5", INR, "not a decimal number"),
        ("1_000", INR, "not a decimal number"),
        ("1 000", INR, "not a decimal number"),
        ("1.2.3", INR, "not a decimal number"),
        ("0x10", INR, "not a decimal number"),
        (" 5", INR, "not a decimal number"),
        ("5 ", INR, "not a decimal number"),
        ("5\n", INR, "not a decimal number"),
        ("5.", INR, "not a decimal number"),
        (".5", INR, "not a decimal number"),
        (".", INR, "not a decimal number"),
        ("+5", INR, "not a decimal number"),
        ("--5", INR, "not a decimal number"),
        ("- 5", INR, "not a decimal number"),
        ("₹5", INR, "not a decimal number"),
        ("5 INR", INR, "not a decimal number"),
        ("", INR, "not a decimal number"),
        ("-", INR, "not a decimal number"),
        ("9" * 5000, INR, "too long"),
        ("0" * 5000 + "1", INR, "too long"),
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_a_bad_amount_is_refused_with_its_reason_in_one_short_line(text: str, currency: Currency, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        parse_amount(text, currency)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("exponent", range(MAX_EXPONENT + 1))
def test_an_amount_that_a_hint_shows_is_taken(exponent: int) -> None:
    currency = Currency(f"GOLD/{exponent}", exponent)
    for text in ("0", "x", "0." + "1" * (exponent + 1), "1" * 40):
        with pytest.raises(InvalidInput) as caught:
            parse_amount(text, currency)
        shown = re.findall(r"[0-9]+(?:\.[0-9]+)?", caught.value.hint or "")
        assert shown
        assert all(parse_amount(each, currency) > 0 for each in shown)


@pytest.mark.parametrize(
    ("parse", "text", "message", "hint"),
    [
        (parse_minimum, "-20000000000000", "too small", "at least -10000000000000.00 INR"),
        (parse_minimum, "20000000000000", "too large", "at most 10000000000000.00 INR"),
        (parse_amount, "-20000000000000", "greater than 0", "leave the minus out"),
        (parse_daily_debit, "-20000000000000", "cannot be negative", "0 allows no debits"),
        (parse_amount, "1" * 41, "too long", "at most 40 characters"),
    ],
)
def test_a_bound_is_told_on_the_side_where_it_is(
    parse: Callable[[str, Currency], int], text: str, message: str, hint: str
) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        parse(text, INR)
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("0", INR, 0),
        ("20", INR, 2000),
        ("-5", INR, -500),
        ("-0.50", INR, -50),
        ("-10000000000000", INR, -MAX_AMOUNT_MINOR),
        ("10000000000000", INR, MAX_AMOUNT_MINOR),
    ],
)
def test_a_minimum_may_be_zero_or_an_overdraft(text: str, currency: Currency, minor: int) -> None:
    assert parse_minimum(text, currency) == minor


@pytest.mark.parametrize("text", ["", "-", "--1", "1.005", "-10000000000000.01", "10000000000000.01", "1e3", "NaN"])
def test_a_bad_minimum_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="minimum balance"):
        parse_minimum(text, INR)


@pytest.mark.parametrize(
    ("text", "minor"), [("0", 0), ("20", 2000), ("-5", -500), ("10000000000000", MAX_AMOUNT_MINOR)]
)
def test_a_maximum_may_be_zero_or_below(text: str, minor: int) -> None:
    assert parse_maximum(text, INR) == minor


@pytest.mark.parametrize("text", ["", "1.005", "10000000000000.01", "1e3", "NaN", "none"])
def test_a_bad_maximum_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="maximum balance"):
        parse_maximum(text, INR)


@pytest.mark.parametrize(("text", "minor"), [("0", 0), ("0.01", 1), ("10000000000000", MAX_AMOUNT_MINOR)])
def test_a_days_debits_may_be_none_at_all(text: str, minor: int) -> None:
    assert parse_daily_debit(text, INR) == minor


@pytest.mark.parametrize("text", ["", "-0.01", "-5", "1.005", "10000000000000.01", "1e3", "NaN", "none"])
def test_a_bad_limit_of_a_days_debits_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="daily debit"):
        parse_daily_debit(text, INR)


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (2000, INR, "20.00"),
        (1, INR, "0.01"),
        (10, INR, "0.10"),
        (0, INR, "0.00"),
        (-1, INR, "-0.01"),
        (-12345, INR, "-123.45"),
        (0, JPY, "0"),
        (1234, JPY, "1234"),
        (-7, JPY, "-7"),
        (1, BHD, "0.001"),
        (1, SATS, "0.00000001"),
        (12345678901234567891, INR, "123456789012345678.91"),
    ],
)
def test_minor_units_have_exactly_the_digits_of_the_currency(minor: int, currency: Currency, text: str) -> None:
    assert format_minor(minor, currency) == text


def test_every_iso_4217_currency_has_the_digits_of_the_standard() -> None:
    standard = {currency.code: currency.exponent for currency in iso4217.Currency if currency.exponent is not None}
    assert standard == ISO_4217


@pytest.mark.parametrize("code", sorted(c.code for c in iso4217.Currency if c.exponent is None))
def test_a_code_with_no_fraction_digits_to_know_wants_them_said(code: str) -> None:
    with pytest.raises(InvalidInput, match="not a currency"):
        parse_currency(code)
    assert parse_currency(f"{code}/4") == Currency(f"{code}/4", 4)


@pytest.mark.parametrize(
    ("text", "currency", "unit"),
    [
        ("INR", INR, "INR"),
        ("JPY", JPY, "JPY"),
        ("BHD", BHD, "BHD"),
        ("PTS/0", Currency("PTS/0", 0), "PTS"),
        ("BTC/8", SATS, "BTC"),
        ("A1B2C3D4E5/3", Currency("A1B2C3D4E5/3", 3), "A1B2C3D4E5"),
        # Its own digits said aloud: the same currency, under the one name.
        ("INR/2", INR, "INR"),
        ("JPY/0", JPY, "JPY"),
    ],
)
def test_a_currency_is_an_iso_code_or_a_code_with_its_digits(text: str, currency: Currency, unit: str) -> None:
    assert parse_currency(text) == currency
    assert parse_currency(text).unit == unit


@pytest.mark.parametrize(
    "text",
    [
        "",
        "inr",
        "RUPEES",
        "PTS",
        "PTS/",
        "PTS/19",
        "PTS/-1",
        "PTS/00",
        "PTS/２",
        "PT/0",
        "ABCDEFGHIJK/0",
        "pts/0",
        "PTS/0 ",
        "PTS/0\n",
        "P-S/0",
        "INR/3",
        "JPY/2",
        "/0",
    ],
)
def test_any_other_currency_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_currency(text)


@pytest.mark.parametrize(
    ("typed", "meant"), [("IRN", "INR"), ("ERU", "EUR"), ("UDS", "USD"), ("GPB", "GBP"), ("inr", "INR")]
)
def test_a_code_with_two_letters_exchanged_is_recognized(typed: str, meant: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_currency(typed)
    assert str(refused.value.hint).startswith(f"did you mean {meant}? ")
