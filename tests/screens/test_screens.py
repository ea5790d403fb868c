"""What people see: the main screens in terminals of four widths, on a pipe, and in other surroundings, as text.

`WALLET_RECORD=1 pytest tests/screens` writes down what is shown today, in `shown/`; look at it before committing it.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pytest
from support.engines import Files
from support.terminal import all_of, resize

from wallet_cli.cli.screen.widths import cells

FOLDER = Path(__file__).parent
ROWS = 50

pytestmark = pytest.mark.on_file("what is shown of an answer has nothing to do with where it was kept")


class Surroundings(NamedTuple):
    """Where the screens are shown: a terminal of so many columns, or a pipe (None), and variables."""

    columns: int | None
    variables: Mapping[str, str] = MappingProxyType({})
    home: bool = True


PLAIN = {"NO_COLOR": "1"}
SHOWN = {
    "terminal-20": Surroundings(20, PLAIN),
    "terminal-40": Surroundings(40, PLAIN),
    "terminal-60": Surroundings(60, PLAIN),
    "terminal-80": Surroundings(80, PLAIN),
    "terminal-200": Surroundings(200, PLAIN),
    "colors": Surroundings(80),
    "pipe": Surroundings(None),
    "dumb": Surroundings(80, {"TERM": "dumb"}),
    "india": Surroundings(80, PLAIN | {"LC_ALL": "en_IN.UTF-8", "WALLET_TIMEZONE": "Asia/Kolkata"}),
    "germany": Surroundings(80, PLAIN | {"LC_ALL": "de_DE.UTF-8", "WALLET_TIMEZONE": "Europe/Berlin"}),
    "egypt": Surroundings(80, PLAIN | {"LC_ALL": "ar_EG.UTF-8", "WALLET_TIMEZONE": "Africa/Cairo"}),
    "ascii": Surroundings(80, PLAIN | {"PYTHONIOENCODING": "ascii:backslashreplace"}),
    "no-home": Surroundings(None, home=False),
}


def shown(surroundings: Surroundings, folder: Path) -> str:
    """All that is printed, with what differs from run to run replaced."""
    kept = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC", "TERM": "xterm-256color", "WALLET_PAGER": ""}
    # The clock of the play is not that of the files.
    kept |= {"WALLET_TIMEZONE": "UTC", "WALLET_CLOCK_SKEW": "off", "WALLET_DB": "wallet.db"}
    kept |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    kept |= {"HOME": str(folder)} if surroundings.home else {"PYTHONUTF8": "1"}
    command = [sys.executable, str(FOLDER / "play.py")]
    environ = kept | surroundings.variables
    if environ["WALLET_TIMEZONE"] == "UTC":  # as of the one that is there; with another, the play makes its ledger
        Files().new(folder)
    if surroundings.columns is None:
        done = subprocess.run(
            command, env=environ, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=True
        )
        text = done.stdout.decode()
    else:
        text = on_terminal(command, environ, folder, surroundings.columns)
    text = text.replace("\x1b", "␛").replace(str(folder), "…")
    text = re.sub(r"\bwk_[\w-]{43}", "wk_…", text)
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "…", text)
    return "".join(line.rstrip() + "\n" for line in text.splitlines())


def on_terminal(command: list[str], environ: dict[str, str], folder: Path, columns: int, rows: int = ROWS) -> str:
    """What a command prints on a terminal of that size; it has to succeed."""
    leader, follower = pty.openpty()
    resize(follower, columns, rows)
    process = subprocess.Popen(command, env=environ, cwd=folder, stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    written = all_of(leader)
    assert process.wait(120) == 0, written
    return written.replace("\r\n", "\n")


@pytest.mark.parametrize("name", SHOWN)
def test_screens(name: str, tmp_path: Path) -> None:
    golden = FOLDER / "shown" / f"{name}.txt"
    text = shown(SHOWN[name], tmp_path)
    if os.environ.get("WALLET_RECORD"):
        golden.write_text(text, "utf-8")
    assert text == golden.read_text("utf-8")


@pytest.mark.parametrize("columns", ["1", "19"])
def test_a_terminal_with_less_than_20_columns_is_shown_20(columns: str, tmp_path: Path) -> None:
    text = shown(SHOWN["terminal-20"]._replace(columns=80, variables=PLAIN | {"COLUMNS": columns}), tmp_path)
    assert text == (FOLDER / "shown" / "terminal-20.txt").read_text("utf-8")


def _lines(name: str) -> list[str]:
    return (FOLDER / "shown" / f"{name}.txt").read_text("utf-8").splitlines()


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    told = ("$ ", "line ", "  ", "{", "}")  # command lines, what is told of lines of a file, JSON
    printed = [line for line in _lines(f"terminal-{columns}") if not line.startswith(told)]
    assert [line for line in printed if cells(line) > columns and "…" not in line] == []


@pytest.mark.parametrize("name", sorted({*SHOWN} - {"colors"}))
def test_only_the_screens_in_colour_have_escapes(name: str) -> None:
    assert not any("␛" in line for line in _lines(name))


def test_a_pipe_is_shown_all_that_200_columns_are() -> None:
    def words(name: str) -> list[str]:
        return [" ".join(line.split()) for line in _lines(name) if "…" not in line]

    wide = [line for line in words("terminal-200") if line[:1] not in '{}[]" ']
    assert [line for line in wide if line not in words("pipe")] == []
