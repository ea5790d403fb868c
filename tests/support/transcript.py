"""Transcripts: command lines as a person would type them, and all that they print.

A transcript is text, read from the top on a ledger that is empty at first, after hledger's shelltest files::

    # Why this story is told.
    $ wallet balance 9
    ! error: there is no user with the id 9
    ! hint: add the user: wallet register PHONE
    = 3

`$ ` is a command, `> ` its further lines; then come the lines of stdout, those of stderr after `! `, and the exit code
after `= ` where it is not 0. `…` stands for a part of a line that varies: a time, a folder, a process. A line of
output that would be read as something else stands behind a backslash. Spaces at the end of a line do not count, as few
editors keep them. Lines that people do not type say what happens around a command::

    @sql UPDATE wallets SET status = 'frozen'      another program changes the ledger
    @turn import                                   another process takes the turn to write, and keeps it
    @turn                                          and gives it up
    ^C                                             (after a command) Ctrl-C while it waits for its turn

Plain `wallet` lines run in the test's own process; lines that need a shell run in bash, where `wallet` is forked for
them (`support.shell`), or the real executable where they are about what a process begins with. So that a server can be
shown, these are understood as the shell of a terminal would, from one line to the next::

    $ KEY=$(wallet key create till -q)             a variable for the lines that follow
    $ wallet serve &                               a server, on a free port that is called 5000 in what is shown
    $ curl http://127.0.0.1:5000/healthz           and this is it
    $ kill $!                                      SIGTERM, and its last words

Every command that fails must leave the ledger as it was and print one error, nothing else, no traceback; but for an
import that refuses some lines, which applies the others, and tells of each.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import os
import re
import shlex
import signal
import string
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import psycopg

from support import cli, engines, shell
from support.engines import Address
from wallet_cli.cli.app import main
from wallet_cli.engine.write_lock import WriteLock

WILDCARD = "…"
NO_NEWLINE = "(no newline at the end)"
SHELL_TIMEOUT_S = 60
SHOWN_PORT = "127.0.0.1:5000"
"""What a server's address is called in a story; the port is another, so that stories can be told at once."""

FRESH = timedelta(minutes=10)
"""A time this near to now was taken from the clock, not from the transcript."""

_OF_A_PROCESS = re.compile(r"[<>]&-|\b(PYTHON|LC_|ulimit|umask)")
"""Lines about what a process begins with, which have the real executable."""
_NEEDS_SHELL = re.compile(r"[|<>&;$`*?~(){}]")
_SERVE = re.compile(r"(.*\bwallet (?:\S+ )*?serve\b.*?) ?&")
_CAPTURE = re.compile(r"(\w+)=\$\((.*)\)")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_DAY = re.compile(r"(\d{4}-\d\d-\d\d)( \d\d:\d\d:\d\d( (UTC|IST))?)?")
NEAR = timedelta(days=40)
"""A day this near to now was reckoned from the clock: when a hold expires."""


class Output(NamedTuple):
    """What a command left behind, or should: lines of stdout, lines of stderr, exit code."""

    out: tuple[str, ...]
    err: tuple[str, ...]
    code: int


class Step(NamedTuple):
    """A command of a transcript and what it should print."""

    line_number: int
    command: str
    interrupted: bool
    expected: Output


class Event(NamedTuple):
    """Something that happens beside the commands: its word (`sql`, `turn`) and the rest of its line."""

    line_number: int
    word: str
    rest: str


class Note(NamedTuple):
    """A line for readers: a comment, or an empty one."""

    text: str


Item = Step | Event | Note


def parse(text: str) -> list[Item]:
    """Read a transcript. Raises ValueError for a line that makes no sense where it stands."""
    lines = text.splitlines()
    items: list[Item] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("$ "):
            step, at = _parse_step(lines, at)
            items.append(step)
            continue
        if line.startswith("@"):
            word, _, rest = line[1:].partition(" ")
            items.append(Event(at + 1, word, rest))
        elif not line or line.startswith("#"):
            items.append(Note(line))
        else:
            raise ValueError(f"line {at + 1}: output of no command: {line}")
        at += 1
    return items


def _parse_step(lines: Sequence[str], at: int) -> tuple[Step, int]:
    start = at
    command = lines[at][2:]
    at += 1
    while at < len(lines) and lines[at].startswith("> "):
        command += "\n" + lines[at][2:]
        at += 1
    interrupted = at < len(lines) and lines[at] == "^C"
    at += interrupted
    out: list[str] = []
    err: list[str] = []
    code = 0
    while at < len(lines) and not lines[at].startswith(("$ ", "# ", "@")):
        line = lines[at]
        if line.startswith("! "):
            err.append(line[2:])
        elif line.startswith("= "):
            code = int(line[2:])
        else:
            out.append(line.removeprefix("\\"))
        at += 1
    # One empty line parts a step from what follows; it is read again as a Note.
    if out and not out[-1] and lines[at - 1] == "":
        out.pop()
        at -= 1
    return Step(start + 1, command, interrupted, Output(tuple(out), tuple(err), code)), at


def write(items: Sequence[Item]) -> str:
    """The text of a transcript; `parse` reads it back."""
    return "".join(line + "\n" for item in items for line in _lines_of(item))


def _lines_of(item: Item) -> Iterator[str]:
    if isinstance(item, Note):
        yield item.text
    elif isinstance(item, Event):
        yield f"@{item.word} {item.rest}".rstrip()
    else:
        first, *more = item.command.split("\n")
        yield f"$ {first}"
        yield from (f"> {line}" for line in more)
        if item.interrupted:
            yield "^C"
        yield from map(_escaped, item.expected.out)
        yield from (f"! {line}" for line in item.expected.err)
        if item.expected.code:
            yield f"= {item.expected.code}"


def _escaped(line: str) -> str:
    return "\\" + line if line.startswith(("$ ", "> ", "! ", "= ", "#", "@", "^C", "\\")) else line


def steps_of(items: Sequence[Item]) -> list[Step]:
    return [item for item in items if isinstance(item, Step)]


# Comparing


def matches(expected: str, actual: str) -> bool:
    """Whether a line is as expected; `…` stands for one character or more."""
    pattern = ".+?".join(re.escape(part) for part in expected.rstrip().split(WILDCARD))
    return re.fullmatch(pattern, actual.rstrip(), re.DOTALL) is not None


def all_match(expected: Sequence[str], actual: Sequence[str]) -> bool:
    return len(expected) == len(actual) and all(map(matches, expected, actual))


def as_expected(expected: Output, actual: Output) -> bool:
    return all_match(expected.out, actual.out) and all_match(expected.err, actual.err) and expected.code == actual.code


def difference(expected: Sequence[str], actual: Sequence[str]) -> str:
    """A diff for people: lines that match only by a wildcard count as equal."""
    shown = list(actual)
    for number, line in enumerate(expected):
        if number < len(shown) and matches(line, shown[number]):
            shown[number] = line
    return "\n".join(difflib.unified_diff(list(expected), shown, "expected", "actual", lineterm="", n=2))


def lines(text: str) -> tuple[str, ...]:
    found = [line.rstrip() for line in text.split("\n")]
    if found[-1] == "":
        found.pop()
    else:
        found.append(NO_NEWLINE)
    return tuple(found)


# Running


class Session:
    """A ledger, a folder and the variables that are set, for the length of one story."""

    def __init__(self, folder: Path, ledger: Address) -> None:
        self.folder = folder
        self.ledger = ledger
        self.variables: dict[str, str] = {}
        self.last_code = 0
        self._turn = ExitStack()
        self._reader: psycopg.Connection[Any] | None = None
        self._server: subprocess.Popen[str] | None = None
        self._port = SHOWN_PORT
        if hasattr(time, "tzset"):
            time.tzset()  # TZ is UTC here, whatever it was when Python started

    def close(self) -> None:
        self._turn.close()
        if self._reader is not None:
            self._reader.close()
        if self._server is not None:
            self._server.kill()
            self._server.communicate()

    def happen(self, event: Event) -> None:
        """Do what an event says."""
        if event.word == "sql":
            engines.execute(self.ledger, event.rest)
        elif event.word == "turn":
            self._turn.close()
            if event.rest:
                self._turn.enter_context(WriteLock(Path(f"{self.ledger}.lock")).turn(0.0, event.rest))
        else:
            raise ValueError(f"line {event.line_number}: nothing called @{event.word}")

    def run(self, command: str, *, interrupted: bool = False, merged: bool = False) -> Output:
        """Run one command line; `merged` puts stderr where a terminal would show it, among the lines of stdout."""
        export = re.fullmatch(r"export (\w+)=(\S*)", command)
        if export:
            value = string.Template(export[2].strip("'\"")).safe_substitute({"PWD": str(self.folder)} | self.variables)
            self.variables[export[1]] = value.replace(SHOWN_PORT, self._port)
            return Output((), (), 0)
        captured = _CAPTURE.fullmatch(command)
        if captured:
            output = self.run(captured[2] + " | cat")
            self.variables[captured[1]] = "\n".join(output.out)
            return Output((), output.err, output.code)
        serve = _SERVE.fullmatch(command)
        if serve:
            with mock.patch.dict(os.environ, self.variables):
                return self._start_server(serve[1])
        if command == "kill $!" and self._server is not None:
            return self._stop_server()
        with mock.patch.dict(os.environ, self.variables), ExitStack() as around:
            if interrupted:
                around.enter_context(ctrl_c_while_waiting())
            if needs_shell(command):
                output = self._in_shell(command, merged)
            elif merged:
                output = _merged(shlex.split(command)[1:])
            else:
                outcome = cli.run(shlex.split(command)[1:])
                output = Output(lines(outcome.out), lines(outcome.err), outcome.code)
        self.last_code = output.code
        return output

    def _start_server(self, command: str) -> Output:
        """Start it on a free port and wait until it serves; returns what it said until then."""
        assert self._server is None, "one server at a time"
        self._server = subprocess.Popen(
            ["bash", "-c", f"exec {command} --port 0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=_environment(),
            cwd=self.folder,
        )
        assert self._server.stderr is not None
        too_late = threading.Timer(SHELL_TIMEOUT_S, self._server.kill)
        too_late.start()
        said = []
        for line in self._server.stderr:
            said.append(line.rstrip("\n"))
            served = re.search(r'"url": "http://([^"]+)"', line)
            if served:
                self._port = served[1]
                break
        too_late.cancel()
        return Output(tuple(line.replace(self._port, SHOWN_PORT) for line in said), (), 0)

    def _stop_server(self) -> Output:
        """What a server says from its start to its end, which has to be a good one."""
        assert self._server is not None
        self._server.terminate()
        _, err = self._server.communicate(timeout=SHELL_TIMEOUT_S)
        code, self._server, self._port = self._server.returncode, None, SHOWN_PORT
        said = (*lines(err), f"[1]+  Exit {code}") if code else lines(err)
        return Output(said, (), code)

    def _in_shell(self, command: str, merged: bool) -> Output:
        done = subprocess.run(
            # `$?` is that of the command before, as it would be in one shell.
            ["bash", "-c", f"(exit {self.last_code})\n{command.replace(SHOWN_PORT, self._port)}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env=_environment() if _OF_A_PROCESS.search(command) else _environment(shell.folder()),
            cwd=self.folder,
            timeout=SHELL_TIMEOUT_S,
            check=False,
        )
        err = b"" if merged else done.stderr
        out = _text(done.stdout).replace(self._port, SHOWN_PORT)
        if "curl " in command and out and not out.endswith("\n"):
            out += "\n"  # an HTTP answer ends where it ends
        return Output(lines(out), lines(_text(err)), done.returncode)

    def dump(self) -> list[object]:
        """All that the ledger holds, as another program reads it."""
        if isinstance(self.ledger, str) and self._reader is None:
            self._reader = psycopg.connect(self.ledger, autocommit=True)
        return engines.dump(self.ledger, self._reader)


def _environment(*first: Path) -> dict[str, str]:
    """The variables of a shell line: the `wallet` and `python` of this environment come first, after these folders."""
    path = [*map(str, first), str(Path(sys.executable).parent), os.environ["PATH"]]
    return {**os.environ, "PATH": os.pathsep.join(path)}


def needs_shell(command: str) -> bool:
    if "\n" in command or not re.match(r"wallet( |$)", command):
        return True
    return bool(_NEEDS_SHELL.search(re.sub(r"'[^']*'", "", command)))


def _text(output: bytes) -> str:
    return output.decode("utf-8", "backslashreplace")


def _merged(arguments: list[str]) -> Output:
    buffer = io.BytesIO()
    with (
        io.TextIOWrapper(buffer, encoding="utf-8", newline="\n", write_through=True) as both,
        contextlib.redirect_stdout(both),
        contextlib.redirect_stderr(both),
    ):
        code = main(arguments)
        both.flush()
        return Output(lines(buffer.getvalue().decode()), (), code)


@contextmanager
def ctrl_c_while_waiting() -> Iterator[None]:
    """Press Ctrl-C, once, when the main thread is seen to wait for its turn."""
    main_thread = threading.main_thread()
    over = threading.Event()

    def press() -> None:
        while not over.wait(0.001):
            frame = sys._current_frames().get(main_thread.ident or 0)
            while frame is not None:
                if frame.f_code.co_name == "_wait_with_alarm":
                    signal.pthread_kill(main_thread.ident or 0, signal.SIGINT)
                    return
                frame = frame.f_back

    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    presser = threading.Thread(target=press, daemon=True)
    presser.start()
    try:
        yield
    finally:
        over.set()
        presser.join()
        signal.signal(signal.SIGINT, previous)


# Checking


def failures(items: Sequence[Item], session: Session) -> list[str]:
    """Tell a story, and return what went otherwise than it says: a paragraph a step."""
    found: list[str] = []
    before: list[object] | None = None
    for item in items:
        if isinstance(item, Event):
            session.happen(item)
            before = None
        elif isinstance(item, Step):
            # Only what fails has to change nothing, and what fails unexpectedly is told by its exit code.
            looked_at = item.expected.code != 0 and not needs_shell(item.command)
            if looked_at and before is None:
                before = session.dump()
            actual = session.run(item.command, interrupted=item.interrupted)
            after = session.dump() if looked_at and actual.code else None
            wrong = _promises_broken(item.command, actual, changed=after is not None and after != before)
            before = after
            if not as_expected(item.expected, actual):
                want, got = Step(0, item.command, False, item.expected), Step(0, item.command, False, actual)
                wrong.append(difference(list(_lines_of(want)), list(_lines_of(got))))
            if wrong:
                found.append(f"line {item.line_number}: $ {item.command}\n" + "\n".join(wrong))
    return found


def _promises_broken(command: str, actual: Output, *, changed: bool) -> list[str]:
    """What holds for every command, whatever a transcript says."""
    wrong = []
    if any("Traceback" in line for line in actual.err) and "WALLET_DEBUG" not in command:
        wrong.append("a traceback reached the user")
    if actual.code and not needs_shell(command) and not _refused_lines(command, actual):
        if changed and not command.startswith("wallet verify"):  # it notes that the ledger is damaged
            wrong.append("it failed, and changed the ledger")
        if actual.out:
            wrong.append("it failed, and printed to stdout")
        if not is_one_error(actual.err):
            wrong.append("stderr is not one error: " + "\n".join(actual.err))
    return wrong


def _refused_lines(command: str, actual: Output) -> bool:
    """Whether this is an import that did what it could: the summary on stdout, and nothing on stderr but its lines."""
    told = all(line.startswith(("line ", '{"line": ')) for line in actual.err)
    return re.match(r"wallet import ", command) is not None and actual.code == 4 and bool(actual.out) and told


def is_one_error(err: Sequence[str]) -> bool:
    """Whether stderr holds `error:` and perhaps `hint:`, a line each; or one JSON object."""
    if len(err) == 1 and err[0].startswith("{"):
        return set(json.loads(err[0])["error"]) == {"code", "message", "hint", "retryable", "details"}
    starts = [line.partition(" ")[0] for line in err]
    return starts in (["error:"], ["error:", "hint:"])


# Recording


def recorded(items: Sequence[Item], session: Session) -> list[Item]:
    """The same story with the output of today; what varies from run to run is a wildcard."""
    new: list[Item] = []
    for item in items:
        if isinstance(item, Event):
            session.happen(item)
        if isinstance(item, Step):
            actual = session.run(item.command, interrupted=item.interrupted)
            if not as_expected(item.expected, actual):
                out = tuple(masked(line, session.folder) for line in actual.out)
                err = tuple(masked(line, session.folder) for line in actual.err)
                item = item._replace(expected=Output(out, err, actual.code))
        new.append(item)
    return new


def masked(line: str, folder: Path) -> str:
    """A line of output with the parts that differ between runs replaced by wildcards."""

    def fresh(match: re.Match[str]) -> str:
        at = datetime.fromisoformat(match[0])
        return WILDCARD if -FRESH < at - datetime.now(UTC) < NEAR else match[0]

    def near(match: re.Match[str]) -> str:
        at = datetime.fromisoformat(f"{match[1]}T00:00:00Z")
        return WILDCARD if abs(datetime.now(UTC) - at) < NEAR else match[0]

    line = _DAY.sub(near, _TIME.sub(fresh, line))
    for path in {str(folder), str(folder.resolve())}:
        line = line.replace(path, WILDCARD)
    line = re.sub(r"/tmp/wallet-demo-\w+", f"{WILDCARD}", line)
    line = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{64,}\b", WILDCARD, line)
    line = re.sub(r"process \d+", f"process {WILDCARD}", line)
    line = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", WILDCARD, line)  # the id of a ledger
    line = re.sub(r"\bwk_[\w-]{43}", f"wk_{WILDCARD}", line)  # an operator key
    line = re.sub(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+", f"eyJ{WILDCARD}", line)  # a user token
    line = re.sub(r"\b1\d{15}\b", WILDCARD, line)  # a time in microseconds, as it is hashed
    return re.sub(r'"pid": \d+', f'"pid": {WILDCARD}', line)
