"""Amounts as people type them: read where they mean one thing, refused with both readings where they mean two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_cli.domain.money import Currency, format_minor, parse_amount
from wallet_cli.domain.typed_amount import is_plain, to_amount
from wallet_cli.errors import InvalidInput

INR, EUR, JPY, KWD, AUD, PTS = (
    Currency(*each) for each in (("INR", 2), ("EUR", 2), ("JPY", 0), ("KWD", 3), ("AUD", 2), ("PTS/0", 0))
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
        ("1,50", INR, ("1.50", "150")),
        ("1,5", INR, ("1.5", "15")),
        ("1,000", KWD, ("1.000", "1000")),
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
