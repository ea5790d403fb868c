"""Who reads a ledger that refuses each write is told why: its rows are old, incomplete or wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.cli import Outcome, run
from support.engines import Address, Engine, execute

Run = Callable[[str], Outcome]

LINES = ("register 9886977544", "create 1", "tx add 1 500 --credit")

MOVED = "UPDATE ledger SET state = 'moved', other = 'new.db', move = 'm', since_us = 1"

STATES = {
    "damaged": ("UPDATE ledger SET damaged = 'a hash does not fit'", "this ledger is damaged: a hash does not fit;"),
    "restoring": ("UPDATE ledger SET restoring = 1", "the import of an export is not complete,"),
    "moved": (MOVED, "this ledger has moved to new.db (1970-01-01T00:00:00.000001Z), and what"),
    "being moved": (MOVED.replace("moved", "moving"), None),
    "a usual one": ("UPDATE ledger SET changes = changes", None),
}

READS = ("balance 1 -q", "tx list 1 --json", "tx total 1", "list -q", "history -o csv", "find 988 -q", "ledger show -q")


@pytest.fixture
def ledger(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    with engine.lent("readers-warned", LINES) as address:
        monkeypatch.setenv("WALLET_DB", str(address))
        yield address


@pytest.mark.parametrize("state", STATES)
def test_readers_are_told_what_writers_are_refused_for(ledger: Address, state: str) -> None:
    before = [run(line) for line in READS]
    statement, warning = STATES[state]
    execute(ledger, statement)
    for line, usual in zip(READS, before, strict=True):
        done = run(line)
        assert (done.code, done.out, usual.err) == (0, usual.out, ""), line
        assert done.err.startswith(warning) if warning else done.err == "", line
        assert done.err.count("\n") == bool(warning)


@pytest.mark.on_file("a backup is of a file")
@pytest.mark.parametrize("line", ["backup copy.db", "seal", "tx add 1 5 --credit", "register 9886977545"])
def test_what_is_refused_says_it_once(engine: Engine, tmp_path: Path, wallet: Run, line: str) -> None:
    engine.copy("readers-warned", LINES, tmp_path)
    assert wallet(f"move --to {tmp_path}/new.db -q").code == 0
    done = wallet(line)
    assert (done.code, done.err.count("has moved")) == (9, 1), done


@pytest.mark.parametrize("flag", ["--json", "-o json", "-o jsonl"])
def test_an_error_in_json_has_what_was_to_be_said_and_stands_alone(ledger: Address, flag: str) -> None:
    """A script reads stderr as one object."""
    execute(ledger, MOVED)
    done = run(f"balance 7 {flag}")
    assert (done.code, done.out, done.err.count("\n")) == (3, "", 1)
    assert done.error["code"] == "user_not_found"
    (said,) = json.loads(done.err)["notices"]
    assert said.startswith("this ledger has moved to new.db")
    done = run(f"balance 1 {flag}")
    assert (done.code, done.err) == (0, f"{said}\n")
