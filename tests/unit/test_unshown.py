"""A write whose answer cannot be shown is done, and that is what is said: an error would be taken for no write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.cli import run
from support.engines import Engine

from wallet_cli.cli import command
from wallet_cli.errors import Busy

LINES = ("register 9886977544", "create 1", "tx add 1 500 --credit --key first")

WRITES = {
    "credit 1 5": "the write is done",
    "credit 1 5 --key k": "the same command with the same key has its answer again",
    "register 9886977545": "the user is registered",
    "create 1/savings": "the wallet is open",
    "hold add 1 5": "the write is done",
    "freeze 1": "the write is done",
}
"""What is said; with no key, a program that goes by `retryable` does not send it again."""
READS = ("balance 1", "list", "tx list 1", "ledger show")
WHY = {"of the program": ValueError("no such sign"), "of the ledger": Busy("others have the turn")}


@pytest.fixture
def ledger(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WALLET_DB", str(engine.copy("unshown", LINES, tmp_path)))


@pytest.mark.usefixtures("ledger")
@pytest.mark.on_file("what is printed")
@pytest.mark.parametrize("why", WHY)
@pytest.mark.parametrize("line", [*WRITES, *READS])
def test_what_was_done_is_said(monkeypatch: pytest.MonkeyPatch, line: str, why: str) -> None:
    def render(*_: object) -> None:
        raise WHY[why]

    with monkeypatch.context() as broken:
        broken.setattr(command, "render", render)
        done = run(f"{line} --json")
    if line in WRITES:
        assert (done.code, done.out) == (7, "")
        assert done.error["message"].startswith("cannot show the answer: ")
        assert WRITES[line] in done.error["hint"]
        assert done.error["retryable"] is ("--key" in line)
    else:
        assert done.code == (1 if why == "of the program" else 6)
        assert "cannot show" not in done.err
    assert run("verify -q").out == ("2\n" if line.startswith("credit") else "1\n")


@pytest.mark.usefixtures("ledger")
@pytest.mark.on_file("the time zone of this machine")
@pytest.mark.parametrize("zone", ["Asia", "/etc/hostname", ":/etc/passwd", "No/Where", ":"])
def test_a_time_zone_that_is_none_changes_no_answer(zone: str) -> None:
    """Babel reads it for its data of a locale. This program does not use it."""
    environ = {**os.environ, "TZ": zone}
    asked = [sys.executable, "-m", "wallet_cli", "balance", "1"]
    done = subprocess.run(asked, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "+919886977544 has ₹500.00 in wallet 1/main.\n")
