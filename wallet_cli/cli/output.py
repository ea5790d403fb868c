"""All printing: answers to stdout in four shapes, errors and notices to stderr.

JSON is ASCII, so that no note can carry a control character to a terminal; tables show such characters escaped, as does
all else on a terminal. What people are shown is made by `screen/`, which is imported for that alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from enum import StrEnum
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from wallet_cli.domain.text import cell, csv_lines, harmless, no_formula
from wallet_cli.errors import WalletError
from wallet_cli.named_tuples import NamedTuple

if TYPE_CHECKING:
    from wallet_cli.api import LedgerApi
    from wallet_cli.cli.screen.view import View

JSON_INDENT = 2
"""On a terminal; elsewhere it is one line."""


class Format(StrEnum):
    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"


class Style(NamedTuple):
    """How one command was asked to print: the format, and whether only the id or value is wanted."""

    format: Format = Format.table
    quiet: bool = False

    @property
    def streams(self) -> bool:
        """Whether all of a list is printed, one thing a line as it comes, rather than a page."""
        return self.format in (Format.jsonl, Format.csv)

    @property
    def is_for_people(self) -> bool:
        """Whether tables and cards are printed."""
        return self.format is Format.table and not self.quiet

    @property
    def is_json(self) -> bool:
        """Whether the answer is one JSON value."""
        return self.format is Format.json


Value = str | Callable[[Mapping[str, Any]], Any]
"""What `-q` prints of a thing: the field of that name, or what is made of it."""


class Record(NamedTuple):
    """One thing, and what `-q` prints of it; `exit_code` is for what was done in part only."""

    data: Mapping[str, Any]
    value: Value = "id"
    exit_code: int = 0
    kind: str = ""
    """What people are shown of it: one of `screen/kinds.py`; else its fields by their names."""
    card: Mapping[str, Any] | None = None
    """The fields that people are shown in the place of those of `data`."""


class Listing(NamedTuple):
    """Many things: `rows`, which may be a stream; the columns of CSV; what `-q` prints of each.

    `page` is the whole answer as JSON, where it is one; `name` is what the rows are called in one that is written as
    they come. `cut` says on stderr that there are more. `kind` is what people are shown of each: one of
    `screen/kinds.py`; else the columns.
    """

    rows: Iterable[Mapping[str, Any]]
    columns: Sequence[str]
    value: Value = "id"
    page: Mapping[str, Any] | None = None
    name: str = ""
    cut: str | None = None
    exit_code: int = 0
    kind: str = ""


class Document(NamedTuple):
    """A file with its own format, in parts: text or bytes. `interrupted` makes the error for Ctrl-C; `for_people` is no
    file, but text in the encoding of stdout.
    """

    parts: Iterable[str] | Iterable[bytes]
    interrupted: Callable[[], WalletError] | None = None
    for_people: bool = False


class Pages(NamedTuple):
    """For people: several things under one another, as they come. It is always tables."""

    parts: Iterable[Record | Listing]
    exit_code: int = 0


Output = Record | Listing | Document | Pages


def render(answer: Output, style: Style, ledger: LedgerApi | None = None) -> None:
    """Print an answer to stdout. Raises UnwritableError where it takes nothing, ReaderLeftError where nobody reads.

    People are told times and names as the `ledger` has them.
    """
    with closed_after(answer):
        if isinstance(answer, Pages) or (not isinstance(answer, Document) and style.is_for_people):
            _show(answer, ledger)
            return
        with _spooled(answer):
            if isinstance(answer, Document):
                _document(answer)
            else:
                _render(answer, style)
        tell_cut(answer)


def tell_cut(answer: Output) -> None:
    """Say what a list that was printed leaves out, if it does."""
    if isinstance(answer, Listing) and answer.cut is not None:
        sys.stdout.flush()  # who has closed the pipe has read what they wanted
        notice(answer.cut)


@contextmanager
def closed_after(answer: Output) -> Iterator[None]:
    """At the end of the `with` block the stream of an answer is closed: one that was not read to its end still has the
    ledger open."""
    stream = answer.rows if isinstance(answer, Listing) else None if isinstance(answer, Record) else answer.parts
    try:
        yield
    finally:
        if isinstance(stream, Generator):
            stream.close()


def _show(answer: Record | Listing | Pages, ledger: LedgerApi | None) -> None:
    """Print for people: cards and tables, with a pager where that is longer than the terminal."""
    from wallet_cli.cli.screen import terminal
    from wallet_cli.cli.screen.view import View

    view = View(sys.stdout, ledger)
    cut = answer.cut if isinstance(answer, Listing) else None
    lines = _lines_of(answer, view)
    height, pager = terminal.lines_of(sys.stdout), terminal.pager()
    head = [] if height is None or pager is None else list(islice(lines, height))
    is_paged = pager is not None and len(head) == height
    with terminal.paged(pager, notice) if pager is not None and is_paged else nullcontext(), _spooled(answer):
        _lines(chain(head, lines))
        if is_paged:
            _lines(filter(None, [view.left_out(cut)]))
    sys.stdout.flush()  # who has closed the pipe has read what they wanted
    left_out = view.left_out(cut)
    if left_out is not None and not is_paged:
        notice(left_out)


def _lines_of(answer: Record | Listing | Pages, view: View) -> Iterator[str]:
    if isinstance(answer, Record):
        yield from view.card(answer.data if answer.card is None else answer.card, answer.kind)
    elif isinstance(answer, Listing):
        yield from view.rows(answer.rows, answer.kind, answer.columns)
    else:
        for number, part in enumerate(answer.parts):
            if number:
                yield ""
            yield from _lines_of(part, view)


def _spooled(answer: Output) -> AbstractContextManager[None]:
    """A longer answer is printed so that the ledger does not wait for its reader."""
    if isinstance(answer, Record):
        return nullcontext()
    from wallet_cli.cli.slow_readers import spooled_stdout

    return spooled_stdout()


def _document(answer: Document) -> None:
    for part in answer.parts:
        if isinstance(part, bytes):
            sys.stdout.buffer.write(part)
        elif answer.for_people or sys.stdout.isatty():
            sys.stdout.write("\n".join(map(harmless, part.split("\n"))))
        else:
            # As it is, whatever the encoding and the line ends of the terminal: it is read by programs.
            sys.stdout.buffer.write(part.encode())


def _render(answer: Record | Listing, style: Style) -> None:
    rows = [answer.data] if isinstance(answer, Record) else answer.rows
    if style.quiet:
        value = answer.value
        shown = harmless if sys.stdout.isatty() else str
        _lines(shown(cell(row[value] if isinstance(value, str) else value(row))) for row in rows)
    elif style.is_json:
        data = answer.data if isinstance(answer, Record) else answer.page
        indent = JSON_INDENT if sys.stdout.isatty() else None
        if isinstance(answer, Listing) and answer.name:
            from wallet_cli.operations.json_lists import json_parts

            for part in json_parts({answer.name: [], "next_cursor": None}, answer.name, rows, indent):
                sys.stdout.write(part)
            _lines([""])
        else:
            _lines([json_text(list(rows) if data is None else data, indent)])
    elif style.format is Format.jsonl:
        _lines(json_text(row) for row in rows)
    else:
        _csv(rows, list(answer.data) if isinstance(answer, Record) else answer.columns)


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON, in one line unless it is indented."""
    import json

    return json.dumps(value, indent=indent)


def print_error(error: WalletError, form: Format) -> None:
    """Print an error to stderr: `error: …`, then `hint: …`; or one JSON object where JSON was asked for, which has the
    notices too.
    """
    if form in (Format.json, Format.jsonl):
        notices = {"notices": [*_held]} if _held else {}
        _held.clear()
        print(json_text({"error": error.as_json()} | notices), file=sys.stderr)
        return
    tell(error.message, "error")
    if error.hint:
        tell(error.hint, "hint")


_held: list[str] = []
_holds: Callable[[], bool] | None = None
"""Whether a notice is kept now; it is asked only where there is one."""


@contextmanager
def notices_held(form: Callable[[], Format]) -> Iterator[None]:
    """Where a program reads stderr as JSON, keep the notices in the `with` block until its end: an error is one
    object, and the only one.
    """
    global _holds
    _held.clear()
    _holds = lambda: form() is Format.json and not sys.stderr.isatty()  # noqa: E731
    try:
        yield
    finally:
        _holds = None
        for text in _held:
            notice(text)


def notice(text: str) -> None:
    """Say something to the person at the terminal, beside the data. Where it cannot be said, the work goes on."""
    if _holds is not None and _holds():
        _held.append(text)
        return
    with suppress(OSError):
        tell(text)


def tell(text: str, label: str = "") -> None:
    """Print a sentence to stderr; on a terminal in lines that fit, and with its label in colour."""
    print(fitted(text, label), file=sys.stderr)


def fitted(text: str, label: str = "") -> str:
    """A sentence as it is shown on stderr."""
    line = harmless(f"{label}: {text}" if label else text)
    if not sys.stderr.isatty():
        return line
    from wallet_cli.cli.screen import terminal

    return "\n".join(terminal.labelled(line, label, sys.stderr))


def _lines(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(line + "\n")


def _csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    stream = iter(rows)
    # A stream may yet be refused: not a line before its first row is there.
    first = list(islice(stream, 1))
    shown = harmless if sys.stdout.isatty() else str
    cells = ([shown(no_formula(cell(row.get(column)))) for column in columns] for row in chain(first, stream))
    for text in csv_lines(chain([columns], cells)):
        sys.stdout.write(text)
