"""docs/format.md describes the file as it is, and its example checks a ledger without this program."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import apsw
import pytest
from support import cli

pytestmark = pytest.mark.on_file("the format of the file")

PAGE = Path(__file__).parent.parent.parent / "docs" / "format.md"
TEXT = PAGE.read_text("utf-8")


@pytest.fixture
def story(db: Path) -> Path:
    """A ledger with all kinds of rows: several wallets, keys, notes of more bytes than characters, an overdraft,
    metadata, a transfer, holds, and reversals of both."""
    for line in (
        "register 9886977544 --name Asha",
        "register '+44 20 7946 0958'",
        "create 1",
        "create 2/points.x --currency PTS/0",
        "create 1/empty --minimum-balance -5",
        "tx add 1 500 --credit --note '👍 família' --key 'schlüssel 1'",
        "tx add 1 120.50 --debit --note ''",
        "tx add 1 0.01 --debit --key k",
        "tx add 2/points.x 7 --credit --at 1969-07-20T20:17:40.5Z",
        "tx add 2/points.x 7 --debit",
        "tx add 1 1 --credit --meta 'größe=5 m' --key m",
        "transfer 1 1/empty 20 --note rent --key t --meta a=b",
        "tx reverse 1-5 5 --note back",
        "hold add 1 30",
        "hold capture 1-h1 10 --keep --key c",
        "tx reverse 1-7 4 --force --key f",
    ):
        assert cli.run(line).code == 0, line
    return db


def example() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    return str(code)


def check(ledger: Path) -> subprocess.CompletedProcess[str]:
    """Run the page's example as it stands, on a ledger, without this package."""
    return subprocess.run(
        [sys.executable, "-I", "-c", example(), str(ledger)], capture_output=True, text=True, timeout=60, check=False
    )


needs_strict = pytest.mark.skipif(sqlite3.sqlite_version_info < (3, 37), reason="Python's own SQLite knows no STRICT")


@needs_strict
def test_the_example_accepts_a_whole_ledger(story: Path) -> None:
    done = check(story)
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "12 transactions and 9 events are as they were written\n",
        "",
    )


@needs_strict
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE transactions SET note = 'x' WHERE wallet_id = 1 AND seq = 1",
        "UPDATE transactions SET note = NULL WHERE wallet_id = 1 AND seq = 2",
        "UPDATE transactions SET key = NULL WHERE wallet_id = 1 AND seq = 3",
        "UPDATE transactions SET amount = amount + 1 WHERE wallet_id = 2 AND seq = 1",
        "UPDATE transactions SET at_us = at_us - 1 WHERE wallet_id = 2 AND seq = 1",
        "DELETE FROM transactions WHERE wallet_id = 1 AND seq = 1",
        "UPDATE wallets SET currency = 'USD' WHERE id = 1",
        "UPDATE transactions SET meta = NULL WHERE wallet_id = 1 AND seq = 4",
        "UPDATE transactions SET meta = '{}' WHERE wallet_id = 1 AND seq = 2",
        "UPDATE transactions SET peer_wallet_id = 2 WHERE wallet_id = 1 AND seq = 5",
        "UPDATE transactions SET peer_seq = 2 WHERE wallet_id = 1 AND seq = 5",
        "UPDATE transactions SET peer_wallet_id = NULL, peer_seq = NULL WHERE wallet_id = 1 AND seq = 5",
        "UPDATE transactions SET reverses = 4 WHERE wallet_id = 1 AND seq = 6",
        "UPDATE transactions SET hold = 2 WHERE wallet_id = 1 AND seq = 7",
        "UPDATE transactions SET forced = 0 WHERE wallet_id = 1 AND seq = 8",
        "UPDATE transactions SET forced = 1 WHERE wallet_id = 1 AND seq = 1",
        "UPDATE transactions SET user_key = 1 WHERE wallet_id = 1 AND seq = 3",
        "UPDATE transactions SET actor = 'terminal ravi' WHERE wallet_id = 1 AND seq = 3",
        "UPDATE transactions SET actor = NULL WHERE wallet_id = 1 AND seq = 3",
    ],
)
def test_the_example_finds_what_was_changed(change: str, story: Path) -> None:
    connection = apsw.Connection(str(story))
    connection.execute(change)
    connection.close()
    done = check(story)
    assert done.returncode == 1
    assert re.fullmatch(r"transaction [12]-\d does not follow from the rows before it\n", done.stderr)


@needs_strict
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET actor = 'terminal ravi' WHERE kind = 2 AND subject_id = 1 AND number = 1",
        "UPDATE events SET actor = NULL WHERE kind = 1 AND subject_id = 1",
        "UPDATE events SET at_us = at_us - 1 WHERE kind = 2 AND subject_id = 1 AND number = 2",
        "UPDATE events SET what = 'hold placed' WHERE kind = 2 AND subject_id = 1 AND number = 3",
        "UPDATE events SET details = '{}' WHERE kind = 1 AND subject_id = 2",
        "DELETE FROM events WHERE kind = 2 AND subject_id = 1 AND number = 2",
        "UPDATE events SET subject_id = 3 WHERE kind = 1 AND subject_id = 2",
    ],
)
def test_the_example_finds_an_event_that_was_changed(change: str, story: Path) -> None:
    connection = apsw.Connection(str(story))
    connection.execute(change)
    connection.close()
    done = check(story)
    assert done.returncode == 1
    pattern = r"event \d of (user|wallet) \d does not follow from the events before it\n"
    assert re.fullmatch(pattern, done.stderr), done.stderr


@pytest.mark.parametrize("table", ["users", "wallets", "transactions", "holds", "operators", "witnesses", "events"])
def test_every_column_is_described_and_no_other(table: str, db: Path) -> None:
    connection = apsw.Connection(str(db))
    there = [(row[1], row[2], bool(row[3])) for row in connection.execute(f"PRAGMA table_info({table})")]
    connection.close()
    section = TEXT.split(f"### `{table}`")[1].split("\n#")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+)( or NULL)? \|", section, re.MULTILINE)
    assert [(name, type_, not null) for name, type_, null in rows] == there


def test_the_header_is_as_described(db: Path) -> None:
    connection = apsw.Connection(str(db))
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    assert f"`{application_id:#x}`" in TEXT
    assert f"`user_version` is {version}" in TEXT
