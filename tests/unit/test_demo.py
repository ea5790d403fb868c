"""`wallet demo` tells one story, whoever runs it, and ends where it goes otherwise."""

from __future__ import annotations

import os
import pty
import re
import signal
import tempfile
from pathlib import Path

import pytest
from support import cli, processes, terminal

from wallet_cli.cli import app, demo

END = "# That was all of it."


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the ledger of the story is made."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("WALLET_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.chdir(tmp_path)
    return folder


def played() -> str:
    """The story, without what varies."""
    done = cli.run("demo")
    assert (done.code, done.err) == (0, "")
    return re.sub(r"wallet-demo-\w+|\d{4}-\d\d-\d\d[T ][\d:.]+(Z| \w+)?", "…", done.out)


def test_the_settings_of_the_person_are_not_those_of_the_story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = played()
    assert END in told
    (tmp_path / "config.toml").write_text('phone_region = "DK"\nminimum_balance = "7"\n')
    assert played() == told
    for name, text in {
        "WALLET_CURRENCY": "JPY", "WALLET_PHONE_REGION": "FR", "MINIMUM_BALANCE": "100", "WALLET_TIMEZONE": "Mars/X",
        "WALLET_DB": "https://example.org", "WALLET_TOKEN": "x",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, text)
    assert played() == told


def test_nothing_is_asked() -> None:
    leader, follower = pty.openpty()
    process = processes.nursery().fork(["demo"], [follower] * 3, Path.cwd(), os.environ)
    os.close(follower)
    os.write(leader, b"\n" * 9)  # to a question, that would be no
    told = terminal.all_of(leader)
    assert process.wait(60) == 0
    assert END in told
    assert "[y/N]" not in told


def test_a_step_that_goes_otherwise_ends_the_story(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "STORY", [("Nobody", "wallet balance 7"), ("", "wallet verify")])
    done = cli.run("demo")
    assert done.code == 3
    assert done.err.startswith("error: ")
    assert "verify" not in done.out
    assert not list(scratch.iterdir())


def interrupted(folder: str, number: int) -> tuple[int, bool]:
    """Interrupt the story at a debit, in a process of its own: the exit code, and whether the handler is back."""
    run, before = app.run, signal.getsignal(number)
    tempfile.tempdir = folder

    def interrupt(arguments: list[str]) -> int:
        if "debit" in arguments:
            assert list(Path(folder).iterdir())
            signal.raise_signal(number)
        return run(arguments)

    app.run = interrupt
    return app.main(["demo"]), signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_an_interrupted_story_leaves_nothing(number: signal.Signals, scratch: Path) -> None:
    assert processes.alone(interrupted, str(scratch), int(number)) == (130, True)
    assert not list(scratch.iterdir())
