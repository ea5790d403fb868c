"""Every story in this folder, told again; `WALLET_RECORD=1 pytest tests/transcripts` writes down what is printed today.

Read the difference before committing a recording: it is what users will see change.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from support import declared, transcript
from support.engines import Address, Engine
from support.transcript import Event, Note, Output, Session, Step

import wallet_cli
from wallet_cli import errors
from wallet_cli.cli import tree

FOLDER = Path(__file__).parent
STORIES = sorted(FOLDER.rglob("*.transcript"))
FORMATS = ("", "--json", "-o json", "-o jsonl", "-o csv", "-q")
PRINTS_A_STORY = {"demo"}
"""Commands whose output has one form."""

RUNS_UNTIL_STOPPED = {"serve", "mcp"}
"""tests/agents has `mcp`. The answers of `serve` are those of HTTP: docs/serve.md shows them in sessions that are run,
tests/web tests them. What it refuses to start with is in bad_input/serve.transcript."""

ONLY_A_BUG_RAISES = {"internal_error"}
"""See test_surroundings.py, which puts a bug into the program."""

ONLY_HTTP_ANSWERS = {
    *("unauthenticated", "forbidden", "rate_limited"),
    *("not_found", "method_not_allowed", "request_timeout", "too_large", "unsupported_media_type"),
}
"""A command line asks nobody who they are, and has no routes or bodies: tests/web has these."""

ONLY_LINES_GET = {"restore_conflict"}
"""A line of an import is refused with it, and the command goes on: errors/restore_conflict.transcript."""

ON_A_FILE = {
    "bad_input/ledgers": "what is not a ledger is a path",
    "bad_input/rejects": "a ledger that a file could be written over is a file",
    "commands/config-show": "where the settings name no ledger, it is a file",
    "commands/init": "what is made is a path",
    "overview": "where there is none is a path",
    "commands/move": "where it goes is a path",
    "commands/backup": "a database is backed up by its own tools",
    "commands/restore": "a database is restored by its own tools",
    "commands/doctor": "what it looks at is a file",
    "errors/ledger_moved": "where it went is a path",
    "commands/demo": "the ledger of the demonstration is a file",
    "errors/busy": "who has the turn is told by the lock of a file",
    "errors/interrupted": "turns are waited for at the lock of a file",
    "errors/storage_error": "a damaged file",
}
"""Stories that are not told on PostgreSQL, and why; tests/storage/test_postgres_errors.py has its own."""

BAD_INPUT = "what is refused before a ledger is asked, and by the rules; tests/remote and tests/web ask PostgreSQL"


def name_of(path: Path) -> str:
    return str(path.relative_to(FOLDER).with_suffix(""))


def story(path: Path) -> ParameterSet:
    reason = ON_A_FILE.get(name_of(path), BAD_INPUT if path.parent.name == "bad_input" else None)
    return pytest.param(path, id=name_of(path), marks=[pytest.mark.on_file(reason)] if reason else [])


@pytest.fixture
def session(tmp_path: Path, db: Address) -> Iterator[Session]:
    session = Session(tmp_path, db)
    yield session
    session.close()


@pytest.mark.parametrize("path", [story(path) for path in STORIES])
def test_story(path: Path, session: Session, engine: Engine) -> None:
    """What it shows, and that each command that ends with an error declares it (`wallet commands --json`)."""
    items = transcript.parse(path.read_text("utf-8"))
    if os.environ.get("WALLET_RECORD") and engine.name == "file":
        path.write_text(transcript.write(transcript.recorded(items, session)), "utf-8")
        return
    with declared.ends():
        found = transcript.failures(items, session)
    assert not found, "\n\n" + "\n\n".join(found)


# What has to have a story


CALL_OF_A_CLASS = re.compile(r"(?<![\w.])(?<!class )([A-Z]\w+)\(")


@cache
def errors_raised() -> dict[str, type[errors.WalletError]]:
    """The error classes that some part of this version makes, by code."""
    made = set()
    for source in Path(wallet_cli.__file__).parent.rglob("*.py"):
        made.update(CALL_OF_A_CLASS.findall(source.read_text("utf-8")))
    tree = [errors.WalletError]
    for class_ in tree:
        tree += class_.__subclasses__()
    return {class_.code: class_ for class_ in tree if class_.__name__ in made}


@pytest.mark.parametrize(
    "code", sorted(errors_raised().keys() - ONLY_A_BUG_RAISES - ONLY_HTTP_ANSWERS - ONLY_LINES_GET)
)
def test_every_error_has_a_story_in_words_and_in_json(code: str) -> None:
    """errors/CODE.transcript shows it both ways, with its exit code."""
    steps = transcript.steps_of(transcript.parse((FOLDER / "errors" / f"{code}.transcript").read_text("utf-8")))
    failing = [step.expected for step in steps if step.expected.code == errors_raised()[code].exit_code]
    assert any(output.err[0].startswith("error: ") for output in failing)
    assert any(f'"code": "{code}"' in output.err[0] for output in failing)


@pytest.mark.parametrize("command", [name for name, _ in tree.each() if name not in RUNS_UNTIL_STOPPED])
def test_every_command_has_a_story_in_every_format(command: str) -> None:
    """commands/COMMAND.transcript shows it succeed in each of them."""
    path = FOLDER / "commands" / f"{command.replace(' ', '-')}.transcript"
    steps = transcript.steps_of(transcript.parse(path.read_text("utf-8")))
    lines = [f"{step.command} " for step in steps if step.expected.code == 0]
    lines = [line for line in lines if line.startswith(f"wallet {command} ")]
    assert lines
    for option in () if command in PRINTS_A_STORY else FORMATS:
        shown = (
            [line for line in lines if f" {option} " in line]
            if option
            else [line for line in lines if not any(f" {other} " in line for other in FORMATS[1:])]
        )
        assert shown, f"{command} {option}"


def test_every_refusal_says_what_to_do_next() -> None:
    """Bad input has its one `error:` line, then `hint:`."""
    without = [
        f"{name_of(path)}:{step.line_number}: {step.expected.err[0]}"
        for path in STORIES
        for step in transcript.steps_of(transcript.parse(path.read_text("utf-8")))
        if step.expected.code
        and step.expected.err
        and not step.expected.err[0].startswith("line ")  # a line of an import: --json and --rejects have its hint
        and ('"hint": null' in step.expected.err[0] or (step.expected.err[0][0] != "{" and len(step.expected.err) < 2))
    ]
    assert not without, "\n".join(without)


# The runner itself


GOOD = """\
# A ledger is empty at first.
$ wallet register 9886977544 -q
1

$ wallet balance 9
! error: there is no user with the id …
! hint: add the user: wallet register PHONE
= 3

@sql UPDATE users SET name = 'Asha'
$ wallet register 9886977544 --exist-ok -o csv
id,phone_number,phone_e164,name,created_at
1,9886977544,+919886977544,Asha,…
$ wallet config show -q | sed -n 's/^INR/# INR/p'
\\# INR
$ for word in '$ a' b; do
>   echo "$word"
> done
\\$ a
b
"""


def test_a_transcript_reads_and_writes_the_same() -> None:
    items = transcript.parse(GOOD)
    assert transcript.write(items) == GOOD
    assert [type(item) for item in items] == [Note, Step, Note, Step, Note, Event, Step, Step, Step]


def test_a_true_story_passes(session: Session) -> None:
    assert transcript.failures(transcript.parse(GOOD), session) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("\n1\n", "\n2\n"),
        ("\n1\n", "\n1\n1\n"),
        ("\n1\n", "\n"),
        ("= 3\n", "= 4\n"),
        ("= 3\n", ""),
        ("the id …", "the id 9…"),
        ("the id …", "id …"),
        ("! hint: add the user: wallet register PHONE\n", ""),
        ("! hint: add the user: wallet register PHONE\n", "hint: add the user: wallet register PHONE\n"),
        ("Asha,…", "Ravi,…"),
        ("\\# INR", "\\# USD"),
        ("\\$ a", "\\$ b"),
    ],
)
def test_a_wrong_expectation_is_caught(right: str, wrong: str, session: Session) -> None:
    assert right in GOOD
    found = transcript.failures(transcript.parse(GOOD.replace(right, wrong, 1)), session)
    assert len(found) == 1


def test_a_failure_is_shown_as_a_difference(session: Session) -> None:
    (found,) = transcript.failures(transcript.parse("$ wallet register 9886977544 -q\n2\n"), session)
    assert found.splitlines()[0] == "line 1: $ wallet register 9886977544 -q"
    assert {"-2", "+1"} <= set(found.splitlines())


@pytest.mark.parametrize(
    ("actual", "changed", "complaint"),
    [
        (Output((), ("error: x", "hint: y"), 2), True, "it failed, and changed the ledger"),
        (Output(("1",), ("error: x",), 2), False, "it failed, and printed to stdout"),
        (Output((), ("error: x", "error: y"), 2), False, "stderr is not one error"),
        (Output((), ('{"error": {"code": "x"}}',), 2), False, "stderr is not one error"),
        (Output((), (), 1), False, "stderr is not one error"),
        (Output((), ("Traceback (most recent call last):",), 0), False, "a traceback reached the user"),
    ],
)
def test_no_transcript_excuses_a_broken_promise(actual: Output, changed: bool, complaint: str) -> None:
    (found,) = transcript._promises_broken("wallet balance 1", actual, changed=changed)
    assert found.startswith(complaint)


def test_recording_writes_what_is_printed_and_hides_what_varies(session: Session) -> None:
    items = transcript.parse("# Why.\n$ wallet register 9886977544 -o csv\nold\n\n$ wallet balance 9\n")
    assert transcript.write(transcript.recorded(items, session)) == (
        "# Why.\n"
        "$ wallet register 9886977544 -o csv\n"
        "id,phone_number,phone_e164,name,created_at\n"
        "1,9886977544,+919886977544,,…\n"
        "\n"
        "$ wallet balance 9\n"
        "! error: there is no user with the id 9\n"
        "! hint: add the user: wallet register PHONE\n"
        "= 3\n"
    )
