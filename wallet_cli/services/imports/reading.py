"""From bytes to lines: JSON lines or CSV, each with its number, in constant memory, whatever the bytes are.

A line that cannot be read is a line with a problem, and the next one is read; only what makes all the rest uncertain
(a quote that is left open, a header that is not understood) ends the reading.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

from wallet_cli.errors import InvalidInput, StorageError, shown

MAX_LINE_BYTES = 64 * 1024
BOM = b"\xef\xbb\xbf"

REQUIRED_COLUMNS = ("wallet", "amount", "kind")
OPTIONAL_COLUMNS = ("at", "note", "key", "meta")
RESTORED_COLUMNS = ("id", "balance", "currency", "transfer", "reverses", "hold", "forced", "user_key")
COLUMNS = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS, *RESTORED_COLUMNS)

RECORDS: dict[str, frozenset[str]] = {
    "transaction": frozenset(COLUMNS),
    "ledger": frozenset({"version"}),
    "user": frozenset(
        {"id", "phone_number", "phone_e164", "phone_region", "phone_national", "name", "created_at", "key"}
    ),
    "wallet": frozenset({"id", "wallet", "currency", "minimum_balance", "created_at", "key"}),
    "hold": frozenset(
        {
            "id", "wallet", "amount", "captured", "status", "created_at", "expires_at", "ended_at", "note", "key",
        }
    ),
    "state": frozenset(
        {"wallet", "status", "minimum_balance", "maximum_balance", "daily_debit", "transactions", "hash"}
    ),
    "end": frozenset({"records"}),
}  # fmt: skip
"""The fields that each kind of record may have."""


class Fraction(NamedTuple):
    """A JSON number that is not whole, as it was written: an amount is never a float, and is read digit by digit."""

    text: str


class Line(NamedTuple):
    """One record: the number of its (first) line, its kind, its fields, and its text as it was.

    Fields that are empty in CSV and null in JSON are not there. `problem` is why it cannot be read, where it cannot.
    """

    number: int
    record: str
    fields: dict[str, Any]
    text: str
    problem: InvalidInput | None = None


def read_lines(source: BinaryIO, name: str) -> Iterator[Line]:
    """The records of a file. `name` tells its form by its ending; else its first character does.

    Raises InvalidInput for a file that is empty, or whose header is not understood.
    """
    lines = _Lines(source)
    first = lines.first()
    if first is None:
        raise InvalidInput("there is nothing to import: the file is empty", hint="JSON lines, or CSV with a header")
    if _is_csv(first, name):
        return _csv_lines(lines)
    return _json_lines(lines)


def _is_csv(first: bytes, name: str) -> bool:
    ending = name.lower().rpartition(".")[2]
    if ending in ("jsonl", "ndjson", "json"):
        return False
    return ending == "csv" or not first.lstrip().startswith(b"{")


class _Lines:
    """The lines of a file as bytes, ends included; one of more than MAX_LINE_BYTES is cut short, and marked.

    Iterating raises StorageError where the file cannot be read on.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._first: bytes | None = None
        self.number = 0
        self.too_long: dict[int, bool] = {}
        """The numbers of lines that were cut short, and whether the number of quotes in each was odd; whoever has
        dealt with one forgets it."""

    def first(self) -> bytes | None:
        """The first line that is not blank, which will be read again; None where there is none."""
        while line := self._read():
            if line.strip():
                self._first = line
                return line
        return None

    def __iter__(self) -> Iterator[bytes]:
        if self._first is not None:
            line, self._first = self._first, None
            yield line
        while line := self._read():
            yield line

    def _read(self) -> bytes:
        try:
            line = self._source.readline(MAX_LINE_BYTES + 1)
            if not line:
                return b""
            self.number += 1
            if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                line = self._cut(line)
        except OSError as error:
            raise StorageError(
                f"cannot read line {self.number + 1} of what is imported: {error.strerror or error}",
                hint="what was read by then stays; the same import goes on from there",
            ) from error
        return line.removeprefix(BOM) if self.number == 1 else line

    def _cut(self, line: bytes) -> bytes:
        quotes, rest = line.count(b'"'), line
        while rest and not rest.endswith(b"\n"):
            rest = self._source.readline(MAX_LINE_BYTES)
            quotes += rest.count(b'"')
        self.too_long[self.number] = quotes % 2 == 1
        return line[:100] + b"\n"


def _too_long() -> InvalidInput:
    return InvalidInput("the line is too long", hint=f"at most {MAX_LINE_BYTES} bytes")


# JSON lines.


def _json_lines(lines: _Lines) -> Iterator[Line]:
    decode = json.JSONDecoder(object_pairs_hook=_pairs, parse_float=Fraction, parse_constant=_no_number).decode
    for raw in lines:
        if lines.too_long and lines.number in lines.too_long:
            del lines.too_long[lines.number]
            yield Line(lines.number, "", {}, _shown(raw), _too_long())
            continue
        try:
            text = raw.decode("utf-8")
            if text.isspace():
                continue
            found = decode(text)
        except UnicodeDecodeError as error:
            problem = InvalidInput(f"the line is not UTF-8, at byte {error.start + 1}", hint="save it as UTF-8")
            yield Line(lines.number, "", {}, _shown(raw), problem)
            continue
        except (ValueError, RecursionError) as error:
            yield Line(lines.number, "", {}, _shown(raw), _not_json(error))
            continue
        yield _json_line(lines.number, found, text.rstrip("\r\n"))


def _json_line(number: int, found: Any, text: str) -> Line:
    if not isinstance(found, dict):
        problem = InvalidInput("the line is not a JSON object", hint='{"wallet": …, "amount": …, "kind": "credit"}')
        return Line(number, "", {}, text, problem)
    record = found.pop("record", "transaction")
    known = RECORDS.get(record) if isinstance(record, str) else None
    if known is None:
        problem = InvalidInput(f"not a kind of record: {shown(str(record))}", hint=f"one of {', '.join(RECORDS)}")
        return Line(number, "", {}, text, problem)
    if not found.keys() <= known:
        unknown = min(found.keys() - known)
        problem = InvalidInput(f"unknown field: {shown(unknown)}", hint=f"known: {', '.join(sorted(known))}")
        return Line(number, "", {}, text, problem)
    return Line(number, record, {name: value for name, value in found.items() if value is not None}, text)


class _FormError(ValueError):
    pass


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _FormError("a field is given twice")
    return found


def _no_number(name: str) -> None:
    raise _FormError(f"{name} is not JSON")


def _not_json(error: Exception) -> InvalidInput:
    if isinstance(error, _FormError):
        return InvalidInput(f"the line cannot be read: {error}", hint="one JSON object a line, each field once")
    where = f" at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
    return InvalidInput(f"the line is not JSON{where}", hint="one JSON object a line")


# CSV.


def _csv_lines(lines: _Lines) -> Iterator[Line]:
    seen: list[str] = []
    """The lines of the record that is being read."""

    def decoded() -> Iterator[str]:
        for raw in lines:
            # Bytes that are not UTF-8 are carried along as halves of surrogate pairs, to be found in their record.
            text = raw.decode("utf-8", "surrogateescape")
            seen.append(text)
            if lines.too_long and lines.number in lines.too_long:
                # Its record is refused. What counts is whether a quote is open after it.
                text = '"\n' if lines.too_long[lines.number] else "\n"
            yield text

    reader = csv.reader(decoded(), strict=True)
    header = _header(reader, seen)
    width = len(header)
    while True:
        start = lines.number + 1
        seen.clear()
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield _bad_csv(start, lines.number, str(error), "".join(seen))
            if lines.number > start or "end of data" in str(error):
                return
            continue
        if row is None:
            return
        start = lines.number - len(seen) + 1
        if lines.too_long and any(number in lines.too_long for number in range(start, lines.number + 1)):
            lines.too_long.clear()
            yield Line(start, "", {}, _shown("".join(seen)), _too_long())
            continue
        if not row:
            continue
        text = "".join(seen)
        if not text.isascii() and any("\udc80" <= c <= "\udcff" for c in text):
            yield Line(start, "", {}, _shown(text), InvalidInput("the line is not UTF-8", hint="save it as UTF-8"))
        elif len(row) != width:
            problem = InvalidInput(f"the line has {len(row)} columns, the header {width}", hint="quote commas")
            yield Line(start, "", {}, _shown(text), problem)
        else:
            fields = {name: value for name, value in zip(header, row, strict=True) if value != ""}
            yield Line(start, "transaction", fields, text)


def _header(reader: Iterator[list[str]], seen: Sequence[str]) -> list[str]:
    try:
        header = [name.strip() for name in next(reader)]
    except (csv.Error, StopIteration):
        header = []
    missing = [name for name in REQUIRED_COLUMNS if name not in header]
    if missing:
        raise InvalidInput(
            f"the header has no column {', '.join(missing)}: {shown(_shown(''.join(seen)))}",
            hint=f"columns: {', '.join((*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS))}",
        )
    unknown = [name for name in header if name not in COLUMNS]
    if unknown:
        raise InvalidInput(f"unknown column: {shown(unknown[0])}", hint=f"known: {', '.join(COLUMNS)}")
    if len(set(header)) != len(header):
        raise InvalidInput("a column is there twice", hint="one column for each name")
    return header


def _bad_csv(start: int, end: int, what: str, text: str) -> Line:
    if end > start or "end of data" in what:
        problem = InvalidInput(
            f"a quote is left open here: {what}; nothing after line {start - 1} was read",
            hint='a quote within quotes is written twice: "say ""hi"""',
        )
        return Line(start, "", {}, _shown(text), problem)
    return Line(
        start, "", {}, _shown(text), InvalidInput(f"the line is not CSV: {what}", hint="quote commas and quotes")
    )


def _shown(text: str | bytes) -> str:
    """What is kept of a line that cannot be read."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    cut = text.rstrip("\r\n")[:1000]
    return cut.encode("utf-8", "backslashreplace").decode("utf-8")
