"""How people name things: what each word of the interface may look like, and what it means."""

from __future__ import annotations

import pytest

from wallet_cli.domain.ids import (
    MAX_ID,
    HoldId,
    PhoneDigits,
    TransactionId,
    UserId,
    UserName,
    WalletName,
    check_key,
    check_name,
    check_note,
    check_stored_key,
    check_wanted_key,
    format_hold_id,
    format_transaction_id,
    parse_hold_id,
    parse_transaction_id,
    parse_type,
    parse_user,
    parse_wallet,
)
from wallet_cli.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "name"),
    [
        # A run of six digits or fewer is an id; of seven or more, a phone number; `id:` is always an id.
        ("1", UserId(1)),
        ("123456", UserId(123456)),
        (" 12 ", UserId(12)),
        ("1234567", PhoneDigits("1234567", "1234567")),
        ("9886977544", PhoneDigits("9886977544", "9886977544")),
        ("(98869) 77-544", PhoneDigits("(98869) 77-544", "9886977544")),
        ("+1", PhoneDigits("+1", "+1")),
        ("+91 98869 77544", PhoneDigits("+91 98869 77544", "+919886977544")),
        ("id:1", UserId(1)),
        ("id:12345678", UserId(12345678)),
        (f"id:{MAX_ID}", UserId(MAX_ID)),
    ],
)
def test_a_user_is_a_phone_number_or_an_id(text: str, name: UserName) -> None:
    assert parse_user(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "id:",
        "id:0",
        "id:-1",
        "id:+1",
        "id:１",
        "id:x",
        "ID:1",
        f"id:{MAX_ID + 1}",
        "id:" + "9" * 5000,
        "1.0",
        "1-1",  # a transaction, which is not user 11
        "1-2002",
        "1 2",
        "1\u00a02",
        "\u200e12\u200f",
        "१२",
        "1\u200e2",
        "१-२",
        "1\u20112",
        "12-34 56",
        "(1)",
        "(12) 34",
        "-1",
        "id:007",
        "007",
        "1-",
        "1-h1",
        "asha",
        "@asha",
        "1\n",
        "()",
        "9" * 5000,
    ],
    ids=lambda text: ascii(text)[:24],
)
def test_anything_else_is_no_user(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_user(text)
    assert len(caught.value.message) < 200


def test_the_id_of_a_transaction_is_told_from_that_of_a_user() -> None:
    """It is what -q of a credit prints."""
    with pytest.raises(InvalidInput) as caught:
        parse_wallet("12-3")
    assert caught.value.hint == "12-3 is a transaction; its wallet is w12"


@pytest.mark.parametrize(
    ("text", "user", "type_"),
    [
        ("9886977544", PhoneDigits("9886977544", "9886977544"), "main"),
        ("+91 98869 77544/savings", PhoneDigits("+91 98869 77544", "+919886977544"), "savings"),
        ("1/type1", UserId(1), "type1"),
        ("id:12345678/main", UserId(12345678), "main"),
        ("1/A-b_c.9", UserId(1), "A-b_c.9"),
    ],
)
def test_a_wallet_is_a_user_and_a_type(text: str, user: UserName, type_: str) -> None:
    assert parse_wallet(text) == WalletName(user, type_, text)


@pytest.mark.parametrize("text", ["", "/", "1/", "/main", "1/a/b", "1/a b", "1/é", "1/" + "x" * 33, "1/main\n", "1//a"])
def test_anything_else_is_no_wallet(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_wallet(text)


@pytest.mark.parametrize("text", ["a", "Z", "9", "_", ".", "-", "x" * 32])
def test_a_type_has_1_to_32_plain_characters(text: str) -> None:
    assert parse_type(text) == text


@pytest.mark.parametrize("text", ["", "x" * 33, "a b", "a/b", "a\n", "é", "[b]", "a:b", "\x00"])
def test_any_other_type_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="not a wallet type"):
        parse_type(text)


def test_a_transaction_id_reads_as_it_is_written() -> None:
    assert format_transaction_id(12, 7) == "12-7"
    assert parse_transaction_id("12-7") == TransactionId(12, 7)
    assert parse_transaction_id(f"{MAX_ID}-{MAX_ID}") == (MAX_ID, MAX_ID)


@pytest.mark.parametrize(
    "text", ["", "1", "-", "1-", "-1", "1-1-1", "a-b", "1- 1", "１-１", "1-1\n", f"{MAX_ID + 1}-1", "9" * 99 + "-1"]
)
def test_anything_else_is_no_transaction_id(text: str) -> None:
    with pytest.raises(InvalidInput, match="not a transaction id"):
        parse_transaction_id(text)


def test_a_hold_id_reads_as_it_is_written() -> None:
    assert format_hold_id(12, 7) == "12-h7"
    assert parse_hold_id("12-h7") == HoldId(12, 7)
    assert parse_hold_id(f"{MAX_ID}-h{MAX_ID}") == (MAX_ID, MAX_ID)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1-1",
        "h1",
        "1-h",
        "-h1",
        "1-H1",
        "1h1",
        "1-h-1",
        "1-h1-1",
        "1-h 1",
        "１-h１",
        "1-h1\n",
        "1-h" + "9" * 99,
        f"{MAX_ID + 1}-h1",
        f"1-h{MAX_ID + 1}",
    ],
)
def test_anything_else_is_no_hold_id(text: str) -> None:
    with pytest.raises(InvalidInput, match="not a hold id") as caught:
        parse_hold_id(text)
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("text", ["1-h1", "1-h"])
def test_a_hold_is_no_transaction(text: str) -> None:
    with pytest.raises(InvalidInput, match="not a transaction id"):
        parse_transaction_id(text)


@pytest.mark.parametrize("text", ["k", "a b", "salary-1", "é", "鍵", "🔑", "[/b]", "' OR 1=1 --", "x" * 255])
def test_a_key_is_1_to_255_printable_characters_kept_as_they_are(text: str) -> None:
    assert check_key(text) == text


@pytest.mark.parametrize("text", ["k ", " k", "  k  ", "\tk", "k\t \n", "\u00a0k", "k" + " " * 300])
def test_white_space_at_the_ends_of_a_key_never_counts(text: str) -> None:
    assert check_key(text) == "k"


@pytest.mark.parametrize(
    "text", ["", " ", "x" * 256, "a\nb", "a\x00", "\x1b[31m", "\t", "\x7f", "\u202e", "\udcff", "\u2028"]
)
def test_any_other_key_is_refused_in_one_harmless_line(text: str) -> None:
    with pytest.raises(InvalidInput, match="not a key") as caught:
        check_key(text)
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("text", ["time-reset:1", " time-reset:7 ", "time-reset:", "time-reset:x"])
def test_a_key_of_the_program_is_nobody_elses(text: str) -> None:
    with pytest.raises(InvalidInput, match="the program's own") as caught:
        check_key(text)
    assert caught.value.hint == "use another key"
    assert check_wanted_key(text) == check_stored_key(text.strip()) == text.strip()


@pytest.mark.parametrize(
    "text",
    ["", "[/foo]", "a[b]c", "\x1b[31mred", "line\nline\ttab\r", "🧾👩‍👧", "\u202eabc", "é", "e\u0301", "n" * 1000],
)
def test_a_note_is_kept_exactly(text: str) -> None:
    assert check_note(text) == text


@pytest.mark.parametrize("text", ["n" * 1001, "🧾" * 1001, "a\0b", "half \ud83d"])
def test_a_note_that_no_engine_could_keep_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="note"):
        check_note(text)


def test_a_name_has_at_most_200_characters() -> None:
    assert check_name("Ashā [b]" + "x" * 192) == "Ashā [b]" + "x" * 192
    with pytest.raises(InvalidInput, match="name"):
        check_name("x" * 201)
    with pytest.raises(InvalidInput, match="name"):
        check_name("a\0")
