"""Phone numbers: many ways to type one, one number that is meant."""

from __future__ import annotations

import pytest

from wallet_cli.domain.phone import Phone, check_region, parse_phone, phone_digits
from wallet_cli.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "region", "e164"),
    [
        ("9886977544", "IN", "+919886977544"),
        ("98869 77544", "IN", "+919886977544"),
        ("(98869) 77-544", "IN", "+919886977544"),
        ("09886977544", "IN", "+919886977544"),
        ("+919886977544", "IN", "+919886977544"),
        ("+91 98869 77544", "US", "+919886977544"),
        ("+91-98869-77544", "GB", "+919886977544"),
        ("(212) 555-0100", "US", "+12125550100"),
        ("+1 212 555 0100", "IN", "+12125550100"),
        ("020 7946 0000", "GB", "+442079460000"),
        # An Italian number keeps its leading zero.
        ("02 1234 5678", "IT", "+390212345678"),
    ],
)
def test_every_spelling_means_one_number(text: str, region: str, e164: str) -> None:
    phone = parse_phone(text, region)
    assert (phone.typed, phone.e164) == (text, e164)


@pytest.mark.parametrize(
    ("text", "region", "home", "national"),
    [
        ("98869 77544", "IN", "IN", "9886977544"),
        ("09886977544", "IN", "IN", "09886977544"),
        ("+919886977544", "US", "IN", "9886977544"),
        ("+390212345678", "IN", "IT", "0212345678"),
    ],
)
def test_the_short_digits_that_mean_it_are_kept_with_their_region(
    text: str, region: str, home: str, national: str
) -> None:
    phone = parse_phone(text, region)
    assert (phone.region, phone.national) == (home, national)
    assert parse_phone(national, home).e164 == phone.e164


def test_a_number_of_no_region_has_no_short_digits() -> None:
    assert parse_phone("+800 1234 5678", "IN") == Phone("+800 1234 5678", "+80012345678", None, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "+",
        "+ ",
        "()",
        "abc",
        "98869-HELLO",
        "98869.77544",
        "９８８６９７７５４４",
        "98869\t77544",
        "9886977544\n",
        "++919886977544",
        "91+9886977544",
        "9886977544/savings",
        "12",
        "9886977",
        "98869775441234",
        "+919886977",
        "+9199988697754412",
        "+999123456789",
        "9" * 41,
        "9" * 5000,
    ],
    ids=lambda text: ascii(text)[:24],
)
def test_what_cannot_be_a_phone_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_phone(text, "IN")
    assert len(caught.value.message) < 200


def test_spaces_dashes_and_brackets_are_ignored() -> None:
    assert phone_digits("+91 (98869)-77544") == "+919886977544"


@pytest.mark.parametrize("text", ["", "in", "XX", "IND", "91", "IN "])
def test_a_region_is_one_that_exists(text: str) -> None:
    assert check_region("IN") == "IN"
    with pytest.raises(InvalidInput, match="not a phone region"):
        check_region(text)
