"""Amounts as people type them: read where they mean one thing, refused with both readings where they mean two."""

from __future__ import annotations

import re
from functools import partial

import pytest
from babel import localedata
from hypothesis import given
from hypothesis import strategies as st

from wallet_cli.cli.screen.money import Money
from wallet_cli.domain.money import Currency, format_minor, parse_amount
from wallet_cli.domain.typed_amount import is_plain, to_amount
from wallet_cli.errors import InvalidInput

INR, EUR, JPY, KWD, AUD, MXN, PTS = (
    Currency(*each) for each in (("INR", 2), ("EUR", 2), ("JPY", 0), ("KWD", 3), ("AUD", 2), ("MXN", 2), ("PTS/0", 0))
)


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("1,000", INR, "1000"),
        ("1,00,000", INR, "100000"),
        ("12,34,567.89", INR, "1234567.89"),
        ("1,000,000", INR, "1000000"),
        ("1.000.000", INR, "1000000"),
        ("1.000,50", INR, "1000.50"),
        ("1,000.500", KWD, "1000.500"),
        ("1 000,50", INR, "1000.50"),
        ("1\u202f000,50", INR, "1000.50"),
        ("1'000.50", INR, "1000.50"),
        ("1_000", INR, "1000"),
        (".5", INR, "0.5"),
        ("₹500", INR, "500"),
        ("₹ 1,00,000.50", INR, "100000.50"),
        ("500 INR", INR, "500"),
        ("500inr", INR, "500"),
        ("INR 500", INR, "500"),
        ("-1,000", INR, "-1000"),
        ("1,000", JPY, "1000"),
        ("¥500", JPY, "500"),
        ("A$5", AUD, "5"),
        ("1,000 pts", PTS, "1000"),
        # What programs write goes on.
        ("1000.00", INR, "1000.00"),
        ("1.000", KWD, "1.000"),
        ("1.00", JPY, "1.00"),
    ],
)
def test_an_amount_that_means_one_thing_is_read(text: str, currency: Currency, amount: str) -> None:
    assert to_amount(text, currency, by_hand=True) == amount
    assert to_amount(text, currency, by_hand=False) == amount


@pytest.mark.parametrize(
    ("text", "currency", "readings"),
    [
        ("1,000", KWD, ("1.000", "1000")),
        ("12,500", KWD, ("12.500", "12500")),
        ("1.000", INR, ("1.00", "1000")),
        ("10.000", JPY, ("10", "10000")),
    ],
)
def test_an_amount_that_means_two_things_is_refused_with_both(
    text: str, currency: Currency, readings: tuple[str, str]
) -> None:
    with pytest.raises(InvalidInput, match=f"can mean {readings[0]} or {readings[1]}:"):
        to_amount(text, currency, by_hand=True)


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        *(("€1.500", EUR), ("1.500 €", EUR), ("EUR 1.500", EUR), ("1.000eur", EUR), (" 1.500", EUR), ("-€1.500", EUR)),
        *(("₹1.000", INR), ("10.000 ¥", JPY)),
    ],
)
@pytest.mark.parametrize("by_hand", [True, False])
def test_what_no_program_writes_is_refused_everywhere_where_it_means_two_things(
    text: str, currency: Currency, by_hand: bool
) -> None:
    with pytest.raises(InvalidInput, match="the amount can mean "):
        to_amount(text, currency, by_hand=by_hand)


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("1,50", INR, "1.50"),
        ("1,5", INR, "1.5"),
        ("0,50", EUR, "0.50"),
        ("1500,5", EUR, "1500.5"),
        ("50,00 €", EUR, "50.00"),
        ("-50,00 €", EUR, "-50.00"),
        ("0,500", KWD, "0.500"),
        ("1500,500", KWD, "1500.500"),
    ],
)
def test_a_comma_that_cannot_be_one_of_thousands_is_decimal_where_it_is(
    text: str, currency: Currency, amount: str
) -> None:
    assert to_amount(text, currency, by_hand=True, own_comma=lambda: True) == amount
    for by_hand, own_comma in ((True, False), (False, True)):
        with pytest.raises(InvalidInput, match="is unclear"):
            to_amount(text, currency, by_hand=by_hand, own_comma=lambda own=own_comma: own)


@pytest.mark.parametrize(
    ("text", "currency", "there", "elsewhere"),
    [
        ("1,500", EUR, None, "1500"),
        ("1,505", EUR, "1505", "1505"),
        ("12,000", JPY, None, "12000"),
        ("1.500", EUR, None, None),
        ("1.500", JPY, "1500", "1.500"),
        ("25.990 JPY", JPY, "25990", "25.990"),
        ("1.000", JPY, None, None),
        ("1.505", EUR, "1505", "1.505"),
        ("1.500,50", EUR, "1500.50", "1500.50"),
    ],
)
def test_three_digits_behind_a_separator(
    text: str, currency: Currency, there: str | None, elsewhere: str | None
) -> None:
    """Where the comma is the decimal sign, and elsewhere; None where it can mean two things."""
    for own_comma, amount in ((True, there), (False, elsewhere)):
        if amount is None:
            with pytest.raises(InvalidInput, match="the amount can mean "):
                to_amount(text, currency, by_hand=True, own_comma=lambda own=own_comma: own)
        else:
            assert to_amount(text, currency, by_hand=True, own_comma=lambda own=own_comma: own) == amount


def test_what_is_printed_anywhere_is_read_as_the_same_amount_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """In each locale that is known. What is refused has one separator, and three digits behind it; or it is written as
    few do, with separators of its own, or in groups of two.
    """
    read = refused = 0
    foreign = r"[0-9][^0-9.,'’\s][0-9]"
    minors = (1, 50, 5_000, 99_900, 150_050, 1_234_567_890, 10**15)
    for locale in localedata.locale_identifiers():
        monkeypatch.setenv("LC_ALL", locale)
        money = Money("utf-8")
        for currency in (INR, EUR, JPY, KWD, MXN):
            for minor in minors:
                text = str(money.amount(format_minor(minor, currency), currency.name))
                try:
                    sign = partial(money.sign, currency.name)
                    comma = money.decimal_sign == ","
                    amount = to_amount(text, currency, by_hand=True, own_sign=sign, own_comma=lambda comma=comma: comma)
                    assert parse_amount(amount, currency) == minor, (locale, text)
                except InvalidInput:
                    may_be_thousands = re.fullmatch(r"[^0-9]*[1-9][0-9]{0,2}[.,][0-9]{3}([^0-9].*)?", text)
                    assert may_be_thousands or re.search(foreign, text) or locale.startswith("tok"), (locale, text)
                    refused += 1
                else:
                    read += 1
    assert refused < read / 10


def test_a_script_s_zeros_behind_the_point_are_what_they_were() -> None:
    """`1.000` comes out of databases; only somebody who types may mean a thousand."""
    assert parse_amount(to_amount("1.000", INR, by_hand=False), INR) == 100
    assert to_amount("-1.000", INR, by_hand=False) == "-1.000"


@pytest.mark.parametrize(
    ("text", "currency"),
    [("$5", INR), ("5 USD", INR), ("US$5", INR), ("€5", INR), ("$5", AUD), ("5 usd", INR), ("5 PTS", INR)],
)
def test_the_sign_of_another_currency_is_refused(text: str, currency: Currency) -> None:
    with pytest.raises(InvalidInput):
        parse_amount(to_amount(text, currency, by_hand=True), currency)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "₹",
            ",",
            ",5",
            "5,",
            "5.",
            "+5",
            "1e3",
            "0x10",
            "١",
            "１２",
            "1..5",
            "1,,000",
            "1, 000",
            "1,0000",
            "1_0",
        ),
        *("0,500", "1,000,00", "1,000.5.6", "1.000,5,6", "1 000 00", "1_000,000", "1,000_000", "₹5 INR", "5%", "1k"),
        *("five", "NaN", "inf", "--5", "5\n", "5 \u202e", "9" * 41, "1," * 5000, "5" + " " * 5000, "1" + "_000" * 20),
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_amount(to_amount(text, INR, by_hand=True), INR)
    assert len(caught.value.message) < 200


@given(st.integers(1, 10**15), st.sampled_from([INR, JPY, KWD, PTS]), st.sampled_from(["", ",", "_", "'", " "]))
def test_an_amount_with_separators_is_that_amount(minor: int, currency: Currency, mark: str) -> None:
    plain = format_minor(minor, currency)
    whole, point, fraction = plain.partition(".")
    text = f"{int(whole):,}".replace(",", mark) + point + fraction
    for by_hand in (False, True):
        assert parse_amount(to_amount(text, currency, by_hand=by_hand), currency) == minor
    assert is_plain(plain)
