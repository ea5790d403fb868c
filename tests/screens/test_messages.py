"""Errors and notices as people see them: in lines that fit, with colours, on a terminal alone."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from screens.test_screens import on_terminal as screen
from support import cli
from support.cli import Outcome
from support.terminal import shown

pytestmark = pytest.mark.on_file("what is shown of an error has nothing to do with where the ledger is kept")

REFUSED = "debit 9886977544 500 --note Bread"
MESSAGE = "error: wallet 9886977544 has 0.00 INR available: short by 500.00"
HINT = "hint: credit it first"
LONG = "x" * 50
COLORS = {"TERM": "xterm-256color", "NO_COLOR": "", "COLUMNS": ""}
PLAIN = {"TERM": "xterm-256color", "NO_COLOR": "1", "COLUMNS": "", "LINES": ""}


@pytest.fixture
def shop(wallet: Callable[[str], Outcome]) -> None:
    for line in ("register 9886977544", "create 1"):
        assert wallet(line).code == 0


def command(line: str) -> list[str]:
    return [sys.executable, "-m", "wallet_cli", *shlex.split(line)]


def environ(**variables: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **variables}


def on_terminal(line: str, columns: int, variables: dict[str, str]) -> tuple[list[str], int]:
    text, code = shown(line.split(), environ=environ(**variables), columns=columns)
    return text.replace("\r\n", "\n").splitlines(), code


@pytest.mark.parametrize("columns", [1, 20, 40, 80])
@pytest.mark.parametrize("line", [REFUSED, f"balance {LONG}", "--color", "limits 9886977544 --daily-debit 1,50"])
def test_an_error_fits_the_terminal_and_no_word_is_broken(line: str, columns: int, shop: None) -> None:
    whole = subprocess.run(command(line), env=environ(), capture_output=True, check=False)
    lines, code = on_terminal(line, columns, PLAIN)
    assert (code, whole.stdout) == (whole.returncode, b"")
    assert " ".join(lines).split() == whole.stderr.decode().split()
    assert [each for each in lines if len(each) > max(columns, 20) and " " in each] == []
    fits = max(map(len, whole.stderr.decode().splitlines())) <= max(columns, 20)
    assert (len(lines) == 2) == fits


def test_stdout_may_be_a_file_where_stderr_is_a_narrow_terminal(shop: None) -> None:
    """The width is that of the terminal on which the message is."""
    lines, _ = on_terminal(REFUSED, 30, PLAIN)
    assert lines[0] == "error: wallet 9886977544 has"
    lines, _ = on_terminal(REFUSED, 30, PLAIN | {"COLUMNS": "40"})
    assert lines[0] == "error: wallet 9886977544 has 0.00 INR"


@pytest.mark.parametrize(
    ("options", "variables", "is_colored"),
    [
        ("", COLORS, True),
        ("", PLAIN, False),
        ("", COLORS | {"TERM": "dumb"}, False),
        ("", COLORS | {"CLICOLOR": "0"}, False),
        ("--color never ", COLORS, False),
        ("--color=never ", COLORS, False),
        ("--color always ", PLAIN, True),
    ],
)
def test_the_label_alone_is_in_colour(options: str, variables: dict[str, str], is_colored: bool, shop: None) -> None:
    lines, code = on_terminal(options + REFUSED, 80, variables)
    assert code == 4
    plain = [MESSAGE, HINT]
    colored = ["\x1b[1;31merror\x1b[m" + MESSAGE[5:], "\x1b[1mhint\x1b[m" + HINT[4:]]
    assert lines == (colored if is_colored else plain)


def test_a_command_line_that_cannot_be_parsed_has_its_colours_too(shop: None) -> None:
    lines, code = on_terminal("--color never --bogus", 80, COLORS)
    assert (code, lines[0]) == (2, "error: No such option: --bogus")


@pytest.mark.parametrize("variables", [COLORS, PLAIN, {"FORCE_COLOR": "1", "COLUMNS": "20"}])
def test_a_pipe_has_one_line_each_and_no_colour(variables: dict[str, str], shop: None) -> None:
    done = subprocess.run(command(REFUSED), env=environ(**variables), capture_output=True, check=False)
    assert (done.returncode, done.stderr.decode()) == (4, f"{MESSAGE}\n{HINT}\n")


def test_an_error_as_json_is_one_line_on_a_terminal(shop: None) -> None:
    lines, code = on_terminal(f"{REFUSED} --json", 20, COLORS)
    assert code == 4
    assert [json.loads(each)["error"]["code"] for each in lines] == ["insufficient_funds"]


def test_a_line_that_an_import_refuses_is_one_line_as_json(shop: None, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("wallet,amount,kind\n1,500,debit\n")
    lines, code = on_terminal(f"import {tmp_path / 'rows.csv'} --json", 20, COLORS)
    assert code == 4
    (told,) = [each for each in lines if "{" in each]
    assert json.loads(told[told.index("{") :])["error"]["code"] == "insufficient_funds"


def test_a_question_fits_too(shop: None) -> None:
    text, code = shown(["restore", "a backup of the evening, which is not there.db"], "n\n", environ(**PLAIN), 30)
    asked, mark, told = text.replace("\r\n", "\n").partition("[y/N]")
    assert (code, mark, "nothing was done" in told) == (2, "[y/N]", True)
    assert [each for each in asked.splitlines() if len(each) > 30 and " " in each] == []


def test_a_notice_fits_too(shop: None) -> None:
    lines, code = on_terminal("list 1 --limit 1", 20, PLAIN)
    assert (code, lines) == (0, [])
    lines, code = on_terminal("tx list 1", 20, PLAIN)
    assert (code, lines) == (0, ["no transactions"])
    lines, code = on_terminal("config unset currency -q", 20, PLAIN | {"WALLET_CONFIG": "/nowhere/config.toml"})
    assert max(len(each) for each in lines if " " in each) <= 20


@pytest.mark.parametrize("line", ["--help", "help", "help money", "balance --help"])
def test_help_that_is_longer_than_the_terminal_is_read_with_the_pager(line: str, tmp_path: Path) -> None:
    pager = tmp_path / "pager"
    pager.write_text("echo paged\nexec cat\n")
    variables = environ(WALLET_PAGER=f"sh {pager}", **PLAIN)
    as_wide = variables | {"COLUMNS": "100"}
    whole = subprocess.run(command(line), env=as_wide, capture_output=True, check=True, text=True).stdout
    assert whole
    for rows, is_paged in ((10, True), (500, False)):
        text = screen(command(line), variables, tmp_path, 100, rows)
        assert text.startswith("paged\n") == is_paged
        assert text.removeprefix("paged\n").split() == whole.split()


@pytest.mark.parametrize(("line", "form"), [("statement 1 -o html", "html"), ("chart 1 -o svg", "svg")])
def test_a_page_and_a_picture_are_not_thrown_at_a_terminal(
    line: str, form: str, shop: None, wallet: Callable[[str], Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wallet(line).code == 0
    monkeypatch.setattr(cli._Text, "isatty", lambda _: True)
    refused = wallet(line)
    assert (refused.code, refused.out) == (2, "")
    assert f"-o {form} > " in refused.err
