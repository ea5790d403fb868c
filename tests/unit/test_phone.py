"""Phone numbers: many ways to type one, one number that is meant."""

from __future__ import annotations

import pytest

from wallet_cli.domain.ids import parse_user
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
        # As it is copied out of a web page, a chat, a business card: dots, spaces and dashes of all kinds, brackets.
        ("98869.77544", "IN", "+919886977544"),
        ("98869\u00a077544", "IN", "+919886977544"),
        ("+91\u202f98869\u200977544", "IN", "+919886977544"),
        ("+91\u201298869\u201177544", "US", "+919886977544"),
        ("+91\u221298869\u201377544", "US", "+919886977544"),
        ("[+91] 98869 77544", "US", "+919886977544"),
        ("\u202a+91 98869 77544\u202c", "US", "+919886977544"),
        ("\u200e+919886977544\u2069", "US", "+919886977544"),
        ("９８８６９７７５４４", "IN", "+919886977544"),
        ("＋９１ ９８８６９ ７７５４４", "US", "+919886977544"),
        ("९८८६९७७५४४", "IN", "+919886977544"),
        ("٩٨٨٦٩٧٧٥٤٤", "IN", "+919886977544"),
        ("+44 (0)20 7946 0000", "IN", "+442079460000"),
        ("0091 98869 77544", "IN", "+919886977544"),
        # Mexico has dropped what was dialled before mobile numbers; Argentina's 9 is part of the number.
        ("+52 1 55 1234 5678", "IN", "+525512345678"),
        ("+52 55 1234 5678", "IN", "+525512345678"),
        ("1 55 1234 5678", "MX", "+525512345678"),
        ("044 55 1234 5678", "MX", "+525512345678"),
        ("55 1234 5678", "MX", "+525512345678"),
        ("+54 9 11 2345 6789", "IN", "+5491123456789"),
        ("011 15 2345 6789", "AR", "+5491123456789"),
        ("+54 11 2345 6789", "IN", "+541123456789"),
        ("+39 06 1234 5678", "IN", "+390612345678"),
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
        "98869/77544",
        "98869，77544",
        "①②③④⑤⑥⑦⑧⑨⓪",
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
        # Written as +910091988697544, which would be read as another number.
        "00091988697544",
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


@pytest.mark.parametrize("text", ["9886977544.0", "+919886977544.00", "09886977544.0"])
def test_a_float_is_not_the_number_with_a_digit_more(text: str) -> None:
    with pytest.raises(InvalidInput, match="a number with decimals is not a phone number"):
        phone_digits(text)
    assert phone_digits("98869.77544.0") == phone_digits("98869 77544 0") == "98869775440"


@pytest.mark.parametrize("text", ["", "in", "XX", "IND", "91", "IN "])
def test_a_region_is_one_that_exists(text: str) -> None:
    assert check_region("IN") == "IN"
    with pytest.raises(InvalidInput, match="not a phone region"):
        check_region(text)


@pytest.mark.parametrize("text", ["1.5", "1\u00a05", "\u202a15\u202c", "１５", "1\u20135"])
def test_only_a_number_is_spaced_out_like_that(text: str) -> None:
    """An id is a run of digits: 1.5 is not user 15."""
    with pytest.raises(InvalidInput, match="not an id"):
        parse_user(text)
