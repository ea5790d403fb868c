"""All printing: answers to stdout in four shapes, errors and notices to stderr.

JSON is ASCII, so that no note can carry a control character to a terminal; tables show such characters escaped, as does
all else on a terminal, and never read markup in what people wrote. Rich is imported for tables alone.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from enum import StrEnum
from itertools import chain, islice
from typing import Any, NamedTuple

from wallet_cli.domain.ids import format_wallet_id
from wallet_cli.domain.text import harmless, no_formula
from wallet_cli.errors import WalletError

UNCUT_COLUMNS = 10_000
"""How wide a table may be where there is no terminal to fit it to."""

ROWS_A_TABLE = 500
"""A table has to be held whole to be drawn: a longer list is several, each with its head."""


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
    card: Mapping[str, Any] | None = None
    """What people are shown instead of `data`."""


class Listing(NamedTuple):
    """Many things: `rows`, which may be a stream; the columns of a table or of CSV; what `-q` prints of each.

    `page` is the whole answer as JSON, where it is one; `name` is what the rows are called in one that is written as
    they come. `cut` says on stderr that there are more.
    """

    rows: Iterable[Mapping[str, Any]]
    columns: Sequence[str]
    value: Value = "id"
    page: Mapping[str, Any] | None = None
    name: str = ""
    cut: str | None = None
    exit_code: int = 0


class Document(NamedTuple):
    """A file with its own format, in parts: text or bytes. `interrupted` makes the error for Ctrl-C."""

    parts: Iterable[str] | Iterable[bytes]
    interrupted: Callable[[], WalletError] | None = None


class Pages(NamedTuple):
    """For people: several things under one another, as they come. It is always tables."""

    parts: Iterable[Record | Listing]


Output = Record | Listing | Document | Pages


def render(answer: Output, style: Style) -> None:
    """Print an answer to stdout. Raises UnwritableError where it takes nothing, ReaderLeftError where nobody reads."""
    stream = answer.rows if isinstance(answer, Listing) else None if isinstance(answer, Record) else answer.parts
    try:
        with _spooled(answer):
            if isinstance(answer, Document):
                _document(answer)
            elif isinstance(answer, Pages):
                _pages(answer)
            else:
                _render(answer, style)
        if isinstance(answer, Listing) and answer.cut is not None:
            sys.stdout.flush()  # who has closed the pipe has read what they wanted
            notice(answer.cut)
    finally:
        # A stream that was not read to its end still has the ledger open.
        if isinstance(stream, Generator):
            stream.close()


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
        elif sys.stdout.isatty():
            sys.stdout.write("\n".join(map(harmless, part.split("\n"))))
        else:
            # As it is, whatever the encoding and the line ends of the terminal: it is read by programs.
            sys.stdout.buffer.write(part.encode())


def _pages(answer: Pages) -> None:
    for number, part in enumerate(answer.parts):
        if number:
            _lines([""])
        _render(part, Style())


def _render(answer: Record | Listing, style: Style) -> None:
    rows = [answer.data] if isinstance(answer, Record) else answer.rows
    if style.quiet:
        value = answer.value
        shown = harmless if sys.stdout.isatty() else str
        _lines(shown(_text(row[value] if isinstance(value, str) else value(row))) for row in rows)
    elif style.is_json:
        data = answer.data if isinstance(answer, Record) else answer.page
        if isinstance(answer, Listing) and answer.name:
            _json_list(rows, answer.name)
        else:
            _lines([json_text(list(rows) if data is None else data)])
    elif style.format is Format.jsonl:
        _lines(json_text(row) for row in rows)
    elif style.format is Format.csv:
        _csv(rows, list(answer.data) if isinstance(answer, Record) else answer.columns)
    elif isinstance(answer, Record):
        _card(answer.data if answer.card is None else answer.card)
    else:
        _table(rows, answer.columns)


def json_text(value: Any) -> str:
    """One line of JSON."""
    import json

    return json.dumps(value, separators=(", ", ": "))


def _json_list(rows: Iterable[Mapping[str, Any]], name: str) -> None:
    """All rows as the one and last page of a list, in constant memory."""
    stream = iter(rows)
    # A stream may yet be refused: nothing before its first row is there.
    first = next(stream, None)
    separator = ""
    sys.stdout.write(f'{{"{name}": [')
    for row in () if first is None else chain([first], stream):
        sys.stdout.write(separator + json_text(row))
        separator = ", "
    sys.stdout.write('], "next_cursor": null}\n')


def print_error(error: WalletError, form: Format) -> None:
    """Print an error to stderr: `error: …`, then `hint: …`; or one JSON object where JSON was asked for."""
    if form in (Format.json, Format.jsonl):
        print(json_text({"error": error.as_json()}), file=sys.stderr)
        return
    print(f"error: {harmless(error.message)}", file=sys.stderr)
    if error.hint:
        print(f"hint: {harmless(error.hint)}", file=sys.stderr)


def notice(text: str) -> None:
    """Say something to the person at the terminal, beside the data. Where it cannot be said, the work goes on."""
    with suppress(OSError):
        print(harmless(text), file=sys.stderr)


def _lines(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(line + "\n")


def _text(value: Any) -> str:
    """A value as one cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json_text(value)
    return str(value)


def _csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    import csv

    stream = iter(rows)
    # A stream may yet be refused: not a line before its first row is there.
    first = list(islice(stream, 1))
    line = io.StringIO()
    # Either half of this line end has a cell quoted that holds it; the lines themselves end as everywhere else.
    writer = csv.writer(line, lineterminator="\r\n")
    shown = harmless if sys.stdout.isatty() else str
    cells = ([shown(no_formula(_text(row.get(column)))) for column in columns] for row in chain(first, stream))
    for row in chain([columns], cells):
        writer.writerow(row)
        sys.stdout.write(line.getvalue()[:-2] + "\n")
        line.seek(0)
        line.truncate()


def _card(data: Mapping[str, Any]) -> None:
    """One thing, a field a line."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(no_wrap=True)  # the terminal wraps it: a long token can be copied whole
    for name, value in _fields(data):
        grid.add_row(name, _cell(value))
    _print_uncut(grid)


def _fields(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """What there is to show of one thing; of a thing within it, each field as `debit.amount`."""
    for name, value in data.items():
        if isinstance(value, dict) and name != "meta":
            yield from _fields(value, f"{prefix}{name}.")
        elif value is not None and value != []:
            # A bare id would be read as a user's where a WALLET is taken.
            yield prefix + name, format_wallet_id(value) if name == "wallet_id" else value


def _table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    stream = iter(rows)
    part = list(islice(stream, ROWS_A_TABLE))
    _one_table(part, columns)
    while part := list(islice(stream, ROWS_A_TABLE)):
        _lines([""])
        _one_table(part, columns)


def _one_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False, header_style="bold")
    for column in columns:
        numeric = column in ("amount", "balance", "available", "held", "captured")
        table.add_column(column, justify="right" if numeric else "left", overflow="fold", no_wrap=numeric)
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    _print_fitted(table)


def _cell(value: Any) -> Any:
    from rich.text import Text

    return Text(harmless(_text(value)))


def _print_uncut(renderable: Any) -> None:
    """Print through Rich, each line whole however wide, and with no padding at its end."""
    from rich.console import Console

    text = io.StringIO()
    terminal = sys.stdout.isatty()
    Console(file=text, highlight=False, width=UNCUT_COLUMNS, force_terminal=terminal).print(renderable)
    _lines(line.rstrip() for line in text.getvalue().splitlines())


def _print_fitted(renderable: Any) -> None:
    """Print through Rich, fitted to the terminal; where there is none, whole."""
    from rich.console import Console

    if sys.stdout.isatty():
        Console(highlight=False).print(renderable)
    else:
        _print_uncut(renderable)
