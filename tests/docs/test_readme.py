"""The sessions that README.md and docs/ show are run, and print what they show.

Each ```console block is part of one story a document, on a ledger that is empty at first; `<!-- new ledger -->` starts
another. stdout and stderr stand together, as on a terminal. `…` is a part that varies, as in the transcripts, and a
time of today stands for any other. A server that a session starts with `wallet serve &` runs on a free port, which is
shown as 5000, until `kill $!`. `WALLET_RECORD=1 pytest tests/docs` writes down what is printed today.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from support import transcript
from support.transcript import WILDCARD, Session

pytestmark = pytest.mark.on_file("the sessions in the documents are told of a file")

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TIME = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d\.\d{6}Z| \d\d:\d\d:\d\d|T\d\d-\d\d-\d\dZ)?")
"""As programs are told them, as people are, in the name of a file, and a day alone."""


class Shown(NamedTuple):
    """A command in a document and the lines shown under it, by their numbers (from 0)."""

    command: str
    start: int
    end: int


def stories(text: str) -> list[list[Shown]]:
    """The commands of a document, in order, a list for each ledger."""
    found: list[list[Shown]] = [[]]
    lines = text.splitlines()
    at = 0
    inside = False
    while at < len(lines):
        line = lines[at]
        at += 1
        if not inside and line == "<!-- new ledger -->":
            found.append([])
        elif line.startswith("```"):
            inside = line == "```console"
        elif inside and line.startswith("$ "):
            command = [line[2:]]
            while lines[at].startswith("> "):
                command.append(lines[at][2:])
                at += 1
            start = at
            while not lines[at].startswith(("$ ", "```")):
                at += 1
            found[-1].append(Shown("\n".join(command), start, at))
        elif inside:
            raise ValueError(f"line {at}: output of no command: {line}")
    return [story for story in found if story]


def is_shown(expected: str, actual: str, folder: Path) -> bool:
    """Whether a line is what a document shows: literally, but for wildcards and times of today."""
    today = transcript.masked(actual, folder)
    old = [time for time in TIME.findall(expected) if time not in today]
    if len(old) != len(TIME.findall(actual)) - len(TIME.findall(today)):
        return transcript.matches(expected, actual)
    for time in old:
        expected = expected.replace(time, WILDCARD, 1)
    return transcript.matches(expected, actual)


def problems(text: str, story: list[Shown], session: Session) -> list[str]:
    lines = text.splitlines()
    found = []
    for shown in story:
        expected = tuple(lines[shown.start : shown.end])
        actual = session.run(shown.command, merged=True).out
        same = [is_shown(*pair, session.folder) for pair in zip(expected, actual, strict=False)]
        if len(expected) != len(actual) or not all(same):
            found.append(f"line {shown.start}: $ {shown.command}\n{transcript.difference(expected, actual)}")
    return found


def recorded(text: str, story: list[Shown], session: Session) -> str:
    """The document with the output of today where it shows another."""
    lines = text.splitlines()
    new: list[str] = []
    done = 0
    for shown in story:
        new += lines[done : shown.start]
        done = shown.end
        expected = lines[shown.start : done]
        actual = session.run(shown.command, merged=True).out
        same = [is_shown(*pair, session.folder) for pair in zip(expected, actual, strict=False)]
        as_it_is = len(expected) == len(actual) and all(same)
        new += expected if as_it_is else [line.replace(str(session.folder), WILDCARD) for line in actual]
    return "\n".join([*new, *lines[done:]]) + "\n"


def curl_knows_json() -> bool:
    """Whether there is a curl, and one that has --json."""
    if shutil.which("curl") is None:
        return False
    done = subprocess.run(["curl", "--version"], capture_output=True, text=True, timeout=60, check=True)
    found = re.match(r"curl (\d+)\.(\d+)", done.stdout)
    return found is not None and (int(found[1]), int(found[2])) >= (7, 82)


NEEDED = ("hledger", "bean-check")
"""Programs of others that a story may show: it is left out where one is not installed."""


def missing_programs(story: list[Shown], path: str | None = None) -> list[str]:
    """The programs that a story shows, and this machine does not have."""
    shown = [program for program in NEEDED if any(each.command.startswith(f"{program} ") for each in story)]
    own = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return [program for program in shown if shutil.which(program, path=own if path is None else path) is None]


CASES = [
    pytest.param(document, number, id=f"{document.name}-{number + 1}")
    for document in DOCUMENTS
    for number in range(len(stories(document.read_text("utf-8"))))
]


@pytest.fixture
def session(tmp_path: Path, db: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setenv("COLUMNS", "100")
    session = Session(tmp_path, db)
    yield session
    session.close()


@pytest.mark.parametrize(("document", "number"), CASES)
def test_what_a_document_shows_is_what_is_printed(document: Path, number: int, session: Session) -> None:
    text = document.read_text("utf-8")
    story = stories(text)[number]
    if any("curl " in shown.command for shown in story) and not curl_knows_json():
        pytest.skip("needs curl 7.82")
    missing = missing_programs(story)
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}")
    if os.environ.get("WALLET_RECORD"):
        document.write_text(recorded(text, story, session), "utf-8")
        return
    found = problems(text, story, session)
    assert not found, "\n\n" + "\n\n".join(found)


def test_the_readme_opens_with_install_and_a_session() -> None:
    """One sentence, a picture, how to have the command, then real commands."""
    text = (ROOT / "README.md").read_text("utf-8")
    assert re.match(r"# \S+\n\n[^\n]+\.\n\n!\[[^\]]+\]\(\S+\.svg\)\n\n## Install\n", text)
    headings = re.findall(r"^(?:## .*|```console\n\$ wallet )", text, re.MULTILINE)
    assert headings[2] == "```console\n$ wallet "


def test_a_transaction_has_one_time_in_the_first_session() -> None:
    """Times of other days are taken for those of today, so that parts of it can be recorded on different ones."""
    text = (ROOT / "README.md").read_text("utf-8")
    receipts = re.findall(r"^\w+ (\d+-\d+)\n(?:\w+ .*\n)*?time +(.*) UTC$", text, re.MULTILINE)
    rows = dict(re.findall(r"^(\d+-\d+)  (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)  ", text, re.MULTILINE))
    assert receipts
    assert [rows[id_] for id_, _ in receipts] == [time for _, time in receipts]


# The runner itself

DOCUMENT = """\
```console
$ wallet register 9886977544 --json
{"id": 1, "phone_number": "9886977544", "phone_e164": "+919886977544", "name": null, "created_at": "2020-01-01T00:00:00.000000Z"}
$ wallet balance 1/a
error: user 1 has no wallet of type a
hint: open it: wallet create id:1/a
$ echo $?
3
```
Prose, and a block that is not run:
```sh
$ exit 1
```
<!-- new ledger -->
```console
$ for n in 1 2; do
>   echo $n
> done
1
2
```
"""  # noqa: E501


def test_a_document_that_is_right_passes(session: Session) -> None:
    first, second = stories(DOCUMENT)
    assert [shown.command for shown in second] == ["for n in 1 2; do\n  echo $n\ndone"]
    assert problems(DOCUMENT, first, session) == []
    assert problems(DOCUMENT, second, session) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [('"id": 1', '"id": 2'), ("type a\n", "type b\n"), ("hint: ", "tip: "), ("\n3\n", "\n4\n"), ("\n3\n", "\n")],
)
def test_a_document_that_is_wrong_is_caught(right: str, wrong: str, session: Session) -> None:
    text = DOCUMENT.replace(right, wrong, 1)
    assert len(problems(text, stories(text)[0], session)) == 1


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("at 2024-04-19T05:27:13.000000Z", "at 2024-04-19T05:27:13.000000Z", True),
        ("at 2024-04-19T05:27:13.000000Z", "at 2024-04-19T05:27:14.000000Z", False),
        ("in …/wallet.db", "in /tmp/x/wallet.db", True),
    ],
)
def test_only_times_of_today_vary(expected: str, actual: str, same: bool, tmp_path: Path) -> None:
    assert is_shown(expected, actual, tmp_path) is same


def test_a_story_is_left_out_only_where_its_program_is_missing() -> None:
    text = "```console\n$ hledger -f a.journal bal\n$ bean-check a.beancount\n$ wallet users\n```\n"
    assert missing_programs(stories(text)[0], path="") == ["hledger", "bean-check"]
    assert missing_programs(stories(DOCUMENT)[0], path="") == []


def test_recording_a_document_puts_right_what_it_shows(session: Session) -> None:
    text = DOCUMENT.replace("\n3\n", "\n4\n").replace("type a\n", "type b\n")
    assert recorded(text, stories(text)[0], session) == DOCUMENT


SERVED = """\
```console
$ wallet serve --no-auth &
{"time": "2020-01-01T00:00:00.000000Z", "event": "warning", "message": "--no-auth: everybody on this machine may do everything"}
{"time": "2020-01-01T00:00:00.000000Z", "event": "serving", "url": "http://127.0.0.1:5000", "workers": 1, "auth": false}
$ WORD=$(wallet register 9886977544 -q)
$ echo $WORD
1
$ python -c 'import urllib.request; print(urllib.request.urlopen("http://127.0.0.1:5000/api/v1/wallet/get/1").read().decode())'
{"message":"wallets","data":[]}
$ kill $!
{"time": "2020-01-01T00:00:00.000000Z", "event": "stopping"}
{"time": "2020-01-01T00:00:00.000000Z", "event": "stopped"}
$ wallet serve --workers 0 &
error: not a number of workers: 0
hint: 1 to 64
$ kill $!
[1]+  Exit 2
```
"""  # noqa: E501


def test_a_story_with_a_server_is_told(session: Session) -> None:
    assert problems(SERVED, stories(SERVED)[0], session) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("may do everything", "may read"), (":5000", ":5001"), ("\n1\n", "\n2\n"), ("[]}", "[1]}"), ("Exit 2", "Exit 1")],
)
def test_a_wrong_story_with_a_server_is_caught(right: str, wrong: str, session: Session) -> None:
    text = SERVED.replace(right, wrong, 1)
    assert len(problems(text, stories(text)[0], session)) == 1


def test_the_cron_line_of_backups_runs_as_cron_runs_it(tmp_path: Path) -> None:
    """With cron's own PATH, and nothing else of the terminal; without `wallet` it fails, and says so."""
    text = (ROOT / "docs" / "backups.md").read_text("utf-8")
    (line,) = re.findall(r"```crontab\n(.*)\n```", text)
    command = line.split(maxsplit=5)[5]
    assert "%" not in command  # cron would end the command there
    programs = tmp_path / ".local" / "bin"
    programs.mkdir(parents=True)
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"}

    def ran(line: str) -> int:
        return subprocess.run(["/bin/sh", "-c", line], cwd=tmp_path, env=environ, timeout=60, check=False).returncode

    wallet = [sys.executable, "-m", "wallet_cli", "--db", str(tmp_path / "shop.db")]
    subprocess.run([*wallet, "register", "9886977544"], timeout=60, check=True)
    assert ran(command) == 127
    assert "wallet: not found" in (tmp_path / "backup.log").read_text()
    (programs / "wallet").write_text(f'#!/bin/sh\nexec {sys.executable} -m wallet_cli "$@"\n')
    (programs / "wallet").chmod(0o755)
    for _ in range(2):  # the second time, the first copy is young enough
        assert ran(command) == 0
        last = (tmp_path / "backup.log").read_text().splitlines()[-1]
        assert [str(each) for each in (tmp_path / "backups").glob("[!.]*")] == [last]
