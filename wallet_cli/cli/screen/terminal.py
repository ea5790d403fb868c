"""The terminal that people look at: how wide it is, whether it shows colours, and the pager for what is longer."""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from wallet_cli.cli.screen.widths import wrapped
from wallet_cli.cli.slow_readers import BUFFER_BYTES, write_all
from wallet_cli.cli.stdout import ReaderLeftError, Stdout

if TYPE_CHECKING:
    from subprocess import Popen

    from wallet_cli.import_export.spool import Spool

DUMB = "dumb"
FALLBACK = (80, 24)
LEAST_COLUMNS = 20
"""A terminal that says that it has fewer is shown so many: with less, a table has nothing to say."""

LABELS = {"error": "1;31", "hint": "1"}
"""The SGR codes of what a message begins with."""

COLOR_VARIABLES = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "CLICOLOR")
CHOSEN_BY: Mapping[str | None, str] = {"never": "NO_COLOR", "always": "FORCE_COLOR"}

PAGER_VARIABLES = ("WALLET_PAGER", "PAGER")
USUAL_PAGER = "less"
LESS_OPTIONS = "FRX"
"""Of `less`, where LESS is not set: end at once on what fits, show colours, leave the text where it is."""
LEFT = (0, -signal.SIGINT, 128 + signal.SIGINT)
"""The codes of a pager that somebody has left, by Ctrl-C too."""


@contextmanager
def chosen(color: str | None, *, pager: bool) -> Iterator[None]:
    """In a `with` block, colours and the pager are as the options say, for libraries and other programs too."""
    former = dict(os.environ)
    if color is not None:
        for name in COLOR_VARIABLES:
            os.environ.pop(name, None)
    if color in CHOSEN_BY:
        os.environ[CHOSEN_BY[color]] = "1"
    if not pager:
        os.environ[PAGER_VARIABLES[0]] = ""
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(former)


def has_color(stream: TextIO) -> bool:
    """Whether colours are shown there.

    NO_COLOR says no, else FORCE_COLOR or CLICOLOR_FORCE yes; else a terminal does, unless CLICOLOR is 0 or TERM `dumb`.
    """
    environ = os.environ
    if environ.get("NO_COLOR"):
        return False
    if any(environ.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return environ.get("CLICOLOR") != "0" and environ.get("TERM") != DUMB and stream.isatty()


def columns_of(stream: TextIO) -> int | None:
    """How many cells a line has; None where there is no terminal, and so no end."""
    return max(LEAST_COLUMNS, _size(stream, "COLUMNS", 0)) if stream.isatty() else None


def lines_of(stream: TextIO) -> int | None:
    """How many lines are seen at once; None where there is no terminal."""
    return _size(stream, "LINES", 1) if stream.isatty() else None


def _size(stream: TextIO, variable: str, side: int) -> int:
    """What the variable says, else the terminal that the stream is: stdout may be a file, and stderr none."""
    said = os.environ.get(variable, "")
    if re.fullmatch("[0-9]{1,9}", said) and int(said):
        return int(said)
    with suppress(OSError, ValueError):  # no file behind it
        return os.get_terminal_size(stream.fileno())[side] or FALLBACK[side]
    return FALLBACK[side]


def labelled(text: str, label: str, stream: TextIO) -> list[str]:
    """The lines of a text there, broken between words; the label that it begins with is in colour."""
    first, *more = wrapped(text, columns_of(stream) or len(text))
    style = LABELS.get(label)
    if style is not None and has_color(stream):
        first = f"\x1b[{style}m{label}\x1b[m{first[len(label) :]}"
    return [first, *more]


def pager() -> list[str] | None:
    """The program that long output is read with, where somebody sits at a terminal; None for none.

    WALLET_PAGER, else PAGER, else `less`; empty or `cat` is none.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == DUMB:
        return None
    chosen = next((os.environ[name] for name in PAGER_VARIABLES if name in os.environ), USUAL_PAGER)
    try:
        words = shlex.split(chosen)
    except ValueError:  # a quotation that does not end
        return None
    return words if words and words != ["cat"] and shutil.which(words[0]) is not None else None


@contextmanager
def paged(command: list[str], tell: Callable[[str], None]) -> Iterator[None]:
    """In a `with` block, sys.stdout is read with a pager; at the end it is waited for. Leaving it is no error.

    Where it fails, all is printed without it; `tell` is told.
    """
    import subprocess
    from concurrent.futures import ThreadPoolExecutor

    from wallet_cli.import_export.spool import Spool

    usual = sys.stdout
    usual.flush()
    # What is set counts; `less` would take its encoding from a locale that may not be installed.
    environ = {"LESS": LESS_OPTIONS, "LESSCHARSET": usual.encoding, **os.environ}
    try:
        reader = subprocess.Popen(command, stdin=subprocess.PIPE, env=environ, bufsize=0)  # noqa: S603
    except OSError as error:
        tell(f"cannot start the pager ({error.strerror}), so this is printed without it: {shlex.join(command)}")
        yield
        return
    # Ctrl-C is for the pager, which stops reading at it, or searching.
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    taken, given = os.pipe()
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(Stdout(given, "w")), usual.encoding, usual.errors)
    written = Spool()
    with ThreadPoolExecutor(1) as pool:
        handed = pool.submit(_hand_over, taken, reader, written)
        try:
            with suppress(ReaderLeftError):
                yield
                sys.stdout.flush()
        finally:
            with suppress(ReaderLeftError):
                sys.stdout.close()
            sys.stdout = usual
            handed.result()
            code = reader.wait()
            signal.signal(signal.SIGINT, former)
    if code not in LEFT:
        tell(f"the pager ended with code {code}, so this is printed without it: {shlex.join(command)}")
        while not written.is_empty:
            usual.buffer.write(written.take())


def _hand_over(taken: int, reader: Popen[bytes], written: Spool) -> None:
    """Give a pager what comes from a pipe, until somebody has read enough; keep it, as the pager may fail."""
    assert reader.stdin is not None
    with open(taken, "rb", buffering=0) as source, reader.stdin as sink:
        fails = False
        while part := source.read(BUFFER_BYTES):
            written.put(part)
            if not fails:
                try:
                    write_all(sink.fileno(), part)
                except ReaderLeftError:
                    if reader.wait() in LEFT:
                        return
                    fails = True
