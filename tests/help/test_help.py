"""Help fits the terminal, has no colour where none is wanted, and is what a wrong command line is told to look at."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest
from support.cli import run

from wallet_cli.cli import help_text, topics, tree
from wallet_cli.cli.command import built
from wallet_cli.cli.tree import Group

COMMANDS = [words for words, _ in tree.each()]
GROUPS = [name for name, what in tree.TREE.items() if isinstance(what, Group)]
PAGES = ["", *GROUPS, *COMMANDS]

TRANSFER_40 = """\
Move money from one wallet to another,
in one step; within one currency.

Usage: wallet transfer FROM TO AMOUNT
  [OPTIONS]

Examples:
  wallet transfer 9886977544 9886977545 100 --note Rent
  wallet transfer 9886977544 9886977544/savings 50 --key saving-2026-04

Arguments:
  FROM    The wallet that is debited.
"""


def help_at(width: int, words: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    done = run([*words.split(), "--help"])
    assert (done.code, done.err) == (0, "")
    return done.out


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("words", PAGES)
def test_help_fits_and_breaks_no_word(words: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = help_at(width, words, monkeypatch)
    assert "\033" not in text
    examples = set()
    if words in COMMANDS:
        made = built(tree.command_of(words), words.rpartition(" ")[2])
        for example in help_text.told_by(made.callback).examples:
            example_, _, comment = example.line.partition(" # ")
            is_whole = len(example.line) + 2 <= min(width, help_text.MAX_WIDTH) or not comment
            examples.add(f"  {example.line}" if is_whole else f"  {example_.rstrip()}")
            assert is_whole or " ".join(comment.split()) in " ".join(text.replace("\n  # ", "\n").split())
        assert examples <= set(text.splitlines())
        for param in made.params:
            for name in param.opts:
                assert param.param_type_name == "argument" or re.search(rf"(^|[ ,]){name}\b", text, re.MULTILINE)
    long = [line for line in text.splitlines() if len(line) > min(width, help_text.MAX_WIDTH)]
    # An example is never wrapped; neither is a word that is longer than the line.
    assert [line for line in long if line not in examples and words and len(line.split()) > 1] == []
    assert [line for line in text.splitlines() if line != line.rstrip()] == []


def test_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert help_at(40, "transfer", monkeypatch).startswith(TRANSFER_40)


@pytest.mark.parametrize("name", topics.NAMES)
@pytest.mark.parametrize("width", [40, 80])
def test_a_topic_fits(name: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    done = run(["help", name])
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{topics.title_of(name)}\n\n")
    long = [line for line in done.out.splitlines() if len(line) > width and not line.startswith("    ")]
    assert long == []
    assert "```" not in done.out
    assert not re.search("^#", done.out, re.MULTILINE)


@pytest.mark.parametrize("words", PAGES)
def test_help_of_a_command_is_what_it_says_itself(words: str) -> None:
    assert run(["help", *words.split()]).out == run([*words.split(), "--help"]).out


def on_a_terminal(environ: dict[str, str]) -> str:
    """What `wallet tx add --help` writes to a terminal."""
    leader, follower = pty.openpty()
    kept = {name: text for name, text in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "wallet_cli", "tx", "add", "--help"], stdout=follower, env={**kept, **environ}
    )
    os.close(follower)
    written = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:
            break
        if not part:
            break
        written += part
    os.close(leader)
    assert process.wait(60) == 0
    return written.decode()


@pytest.mark.parametrize(
    ("environ", "bold"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm", "CLICOLOR": "0"}, False),
    ],
    ids=str,
)
def test_headings_are_bold_where_that_is_wanted(environ: dict[str, str], bold: bool) -> None:
    assert ("\033[1mExamples:\033[0m" in on_a_terminal(environ)) == bold


def test_colour_can_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\033[1mUsage:\033[0m" in run(["tx", "add", "--help"]).out


@pytest.mark.parametrize("words", ["", *GROUPS, *COMMANDS])
def test_a_wrong_option_names_the_right_help(words: str) -> None:
    if words in ("ledger set", "config set"):
        return  # what begins with a dash may be a value there
    done = run([*words.split(), "--no-such-option", "--json"])
    assert done.code == 2
    hint = done.error["hint"]
    assert f"wallet {words}".rstrip() + " --help" in hint
    helped = run(re.search(r"wallet (.*--help)", hint)[1])  # type: ignore[index]
    assert helped.code == 0
    assert f"Usage: wallet {words}".rstrip() in " ".join(helped.out.split())


@pytest.mark.parametrize("words", COMMANDS)
def test_a_missing_argument_names_the_right_help(words: str) -> None:
    made = built(tree.command_of(words), words.rpartition(" ")[2])
    if not any(param.required for param in made.params):
        return
    done = run([*words.split(), "--json"])
    assert done.code == 2
    names = " ".join(param.metavar for param in made.params if param.param_type_name == "argument")
    assert done.error["hint"] == f"wallet {words} {names}; wallet {words} --help"
    assert "\n" not in done.error["message"]


@pytest.mark.parametrize("name", GROUPS)
def test_a_command_that_is_none_names_the_help_of_its_group(name: str) -> None:
    done = run([name, "no-such-command", "--json"])
    assert done.code == 2
    assert f"wallet {name} --help" in done.error["hint"]


def test_only_an_amount_is_told_to_be_greater_than_0() -> None:
    assert "--debit" in run("tx add 1 -5").err
    for line in ("balance -5", "tx list 1 -5", "users -5"):
        assert "amount" not in run(line).err
