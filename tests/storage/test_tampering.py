"""Tampering: history changed behind the program's back is found by `wallet verify`, which names the first bad row."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from support.cli import run

from wallet_cli.storage.sqlite import sqlite3


@pytest.fixture
def history(db: Path) -> Path:
    """Two wallets, 1 with five transactions and 2 with two."""
    for line in (
        "register 9886977544",
        "create 1",
        "create 1/points --currency PTS/0",
        "tx add 1 500 --credit --key salary --note May",
        "tx add 1 20 --debit --note tea",
        "tx add 1 30 --debit",
        "tx add 1 7 --credit",
        "tx add 1 1 --debit --key last",
        "tx add 1/points 5 --credit",
        "tx add 1/points 5 --credit",
    ):
        assert run(line).code == 0
    assert run("verify --json").json == {"ok": True, "wallets": 2, "transactions": 7}
    return db


def tamper(path: Path, *statements: str) -> None:
    """Change the file with plain SQL, and none of the constraints that the program would set."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints=ON")
        for statement in statements:
            connection.execute(statement)


def row(seq: int, wallet_id: int = 1) -> str:
    return f"wallet_id = {wallet_id} AND seq = {seq}"


SWAP_FACTS = tuple(
    f"UPDATE transactions SET (is_credit, amount, note) = ({values}) WHERE {row(seq)}"
    for seq, values in ((2, "0, 3000, NULL"), (3, "0, 2000, 'tea'"))
)

TAMPERING = {
    "an amount": ([f"UPDATE transactions SET amount = 60000 WHERE {row(1)}"], "1-1"),
    "an amount and all totals after it": (
        [
            f"UPDATE transactions SET amount = amount + 100 WHERE {row(1)}",
            "UPDATE transactions SET credit_total = credit_total + 100 WHERE wallet_id = 1",
        ],
        "1-1",
    ),
    "a credit made a debit": ([f"UPDATE transactions SET is_credit = 0 WHERE {row(4)}"], "1-4"),
    "a total of credits": ([f"UPDATE transactions SET credit_total = credit_total + 1 WHERE {row(5)}"], "1-5"),
    "a total of debits": ([f"UPDATE transactions SET debit_total = debit_total - 1 WHERE {row(3)}"], "1-3"),
    "a count": ([f"UPDATE transactions SET credit_count = 2 WHERE {row(2)}"], "1-2"),
    "a time": ([f"UPDATE transactions SET at_us = at_us + 1 WHERE {row(5)}"], "1-5"),
    "a time before the one before": ([f"UPDATE transactions SET at_us = 0 WHERE {row(3)}"], "1-3"),
    "a note": ([f"UPDATE transactions SET note = 'June' WHERE {row(1)}"], "1-1"),
    "a note taken away": ([f"UPDATE transactions SET note = NULL WHERE {row(2)}"], "1-2"),
    "a note that is not text": ([f"UPDATE transactions SET note = CAST(x'ff' AS TEXT) WHERE {row(2)}"], "1-2"),
    "a key": ([f"UPDATE transactions SET key = 'free' WHERE {row(1)}"], "1-1"),
    "a hash": ([f"UPDATE transactions SET hash = zeroblob(32) WHERE {row(3)}"], "1-3"),
    "the first row deleted": ([f"DELETE FROM transactions WHERE {row(1)}"], "1-2"),
    "a row deleted": ([f"DELETE FROM transactions WHERE {row(3)}"], "1-4"),
    "a row deleted and the gap closed": (
        [
            f"DELETE FROM transactions WHERE {row(3)}",
            f"UPDATE transactions SET seq = 3 WHERE {row(4)}",
            f"UPDATE transactions SET seq = 4 WHERE {row(5)}",
        ],
        "1-3",
    ),
    "two rows in each other's place": (
        [
            f"UPDATE transactions SET seq = 99 WHERE {row(2)}",
            f"UPDATE transactions SET seq = 2 WHERE {row(3)}",
            f"UPDATE transactions SET seq = 3 WHERE {row(99)}",
        ],
        "1-2",
    ),
    "the facts of two rows exchanged": (SWAP_FACTS, "1-2"),
    "a row added at the end": (
        [
            "INSERT INTO transactions SELECT wallet_id, 6, 1, 100, credit_total + 100, debit_total, credit_count + 1,"
            f" at_us, NULL, NULL, zeroblob(32) FROM transactions WHERE {row(5)}"
        ],
        "1-6",
    ),
    "a row copied to the end": (
        [
            "INSERT INTO transactions SELECT wallet_id, 6, is_credit, amount, credit_total, debit_total, credit_count,"
            f" at_us, note, NULL, hash FROM transactions WHERE {row(5)}"
        ],
        "1-6",
    ),
    "a row moved to another wallet": ([f"UPDATE transactions SET wallet_id = 2, seq = 3 WHERE {row(5)}"], "2-3"),
    "rows of a wallet that is not there": ([f"UPDATE transactions SET wallet_id = 9 WHERE {row(5)}"], "9-5"),
    "the second wallet": ([f"UPDATE transactions SET amount = 6 WHERE {row(2, 2)}"], "2-2"),
    "a wallet that changes hands": (["UPDATE wallets SET user_id = 2 WHERE id = 1"], "1-1"),
    "a wallet's currency": (["UPDATE wallets SET currency = 'USD' WHERE id = 1"], "1-1"),
    "a wallet's type": (["UPDATE wallets SET type = 'other' WHERE id = 2"], "2-1"),
    "the first of many": (["UPDATE transactions SET amount = amount + 1"], "1-1"),
}


@pytest.mark.parametrize(("statements", "first_bad"), TAMPERING.values(), ids=TAMPERING)
def test_verify_names_the_first_bad_row(history: Path, statements: list[str], first_bad: str) -> None:
    tamper(history, *statements)
    done = run("verify --json")
    assert (done.code, done.out) == (7, "")
    assert done.error["code"] == "storage_error"
    assert done.error["details"].get("transaction") == first_bad
    assert first_bad in done.error["message"]
    plain = run("verify")
    assert (plain.code, plain.out) == (7, "")
    assert f"transaction {first_bad}" in plain.err


@pytest.mark.parametrize("exponent", [0, 3])
def test_a_balance_cannot_be_multiplied_by_moving_its_decimal_point(history: Path, exponent: int) -> None:
    tamper(history, f"UPDATE wallets SET exponent = {exponent} WHERE id = 1")
    done = run("verify --json")
    assert (done.code, done.out) == (7, "")
    assert "wallet 1" in done.error["message"]


def test_one_wallet_can_be_checked_alone(history: Path) -> None:
    tamper(history, f"UPDATE transactions SET amount = 6 WHERE {row(2, 2)}")
    assert run("verify 1 --json").json == {"ok": True, "wallets": 1, "transactions": 5}
    assert run("verify 1/points --json").error["details"]["transaction"] == "2-2"
    assert run("verify 1/points").code == 7


def test_what_may_change_about_a_wallet_is_no_tampering(history: Path) -> None:
    tamper(history, "UPDATE wallets SET status = 'frozen', own_minimum = 100", "UPDATE users SET name = 'Asha'")
    assert run("verify -q").out == "7\n"


def test_a_damaged_file_is_named(history: Path) -> None:
    tamper(history, "PRAGMA wal_checkpoint(TRUNCATE)")
    # The key stands in the table and in the index: change the table's alone, and the index no longer agrees.
    original = history.read_bytes()
    first = original.find(b"salary")
    history.write_bytes(original[:first] + b"SALARY" + original[first + 6 :])
    done = run("verify --json")
    assert (done.code, done.out, done.error["code"]) == (7, "", "storage_error")
    history.write_bytes(original)
    assert run("verify -q").out == "7\n"


def test_a_file_that_lost_its_middle_is_an_error_and_no_answer(history: Path) -> None:
    tamper(history, "PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(history.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    history.write_bytes(data)
    for line in ("balance 1 --json", "tx list 1 --json", "tx add 1 1 --credit --json", "verify --json"):
        done = run(line)
        assert (done.code, done.out, done.error["code"]) == (7, "", "storage_error"), line


def test_a_missing_row_stops_a_balance_in_the_past_rather_than_guessing(history: Path) -> None:
    tamper(history, f"DELETE FROM transactions WHERE {row(3)}")
    done = run("balance 1 --at 2000-01-01 --json")
    assert (done.code, done.out, done.error["code"]) == (7, "", "storage_error")
    assert "verify" in done.error["hint"]
