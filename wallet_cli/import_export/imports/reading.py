"""From bytes to lines: JSON lines or CSV, each with its number, in constant memory, for any bytes.

A line that cannot be read becomes a line with a problem, and reading continues. What makes all the rest uncertain (a
header that is not understood, an open quote, amounts that could be two numbers) is a FormFault.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

from wallet_cli.domain.remarks import FIELDS
from wallet_cli.domain.text import harmless
from wallet_cli.errors import InvalidInput, StorageError, shown
from wallet_cli.import_export.imports.dialect import (
    DELIMITERS,
    ENDS,
    OPTIONAL_COLUMNS,
    PLAIN,
    Dialect,
    FormFault,
    is_ambiguous,
    plain,
    two_meanings,
)

MAX_LINE_BYTES = 64 * 1024
MAX_EXAMPLE_CHARS = 40
_IDS = r"(?:id|no|nr|num|number|nummer)s?(?:_|\b)"
"""In a column's name: it has numbers that another list gave, and a number in the place of a WALLET is a user's."""
_USUAL_NAMES = {
    "wallet": rf"phone|mobile|^(?!.*{_IDS}).*(?:customer|account|wallet|kunde|konto)",
    "signed_amount": "amount|sum|value|total|betrag|wert|importe|montant",
    "credit": "credit|deposit|paid in|haben|eingang",
    "debit": "debit|withdraw|paid out|soll|ausgang",
    "at": "date|time|day|datum|tag|fecha",
    "note": "note|text|desc|memo|detail|zweck",
}
"""Column names of other programs that may be mapped to these."""
_WAYS = (frozenset({"amount", "kind"}), frozenset({"signed_amount"}), frozenset({"credit", "debit"}))
"""The columns that say an amount and which way it goes; a file has those of one way."""

BOM = b"\xef\xbb\xbf"

REQUIRED_COLUMNS = ("wallet", "amount", "kind")
RESTORED_COLUMNS = ("id", "balance", "currency", "transfer", "reverses", "hold", "forced", "user_key", "actor")
COLUMNS = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS, *RESTORED_COLUMNS)
EXPORTED_COLUMNS = tuple(name for name in COLUMNS if name != "name")
"""Those of an export: names of users are not in its CSV."""

RECORDS: dict[str, frozenset[str]] = {
    "transaction": frozenset(COLUMNS),
    "ledger": frozenset({"version", "currency", "phone_region", "minimum_balance", "timezone"}),
    "user": frozenset(
        {"id", "phone_number", "phone_e164", "phone_region", "phone_national", "name", "created_at", "key"}
    ),
    "wallet": frozenset({"id", "wallet", "currency", "digits", "minimum_balance", "created_at", "key"}),
    "hold": frozenset(
        {
            "id", "wallet", "amount", "captured", "status", "created_at", "expires_at", "ended_at", "note", "key",
        }
    ),
    "state": frozenset(
        {"wallet", "status", "minimum_balance", "maximum_balance", "daily_debit", "transactions", "hash"}
    ),
    "event": frozenset({"of", "id", "number", "at", "actor", "event", "details", "hash"}),
    "end": frozenset({"records"}),
}  # fmt: skip
"""The allowed fields of each kind of record."""


class Fraction(NamedTuple):
    """A JSON number that is not whole, as written: an amount is never a float, and is read digit by digit."""

    text: str


class Line(NamedTuple):
    """One record: the number of its (first) line, its kind, its fields, and its original text.

    Fields that are empty in CSV or null in JSON are missing. `problem` is why it cannot be read, or None. `offset` is
    the byte at which it begins.
    """

    number: int
    record: str
    fields: dict[str, Any]
    text: str
    problem: InvalidInput | None = None
    offset: int = 0


def read_lines(source: BinaryIO, name: str) -> Iterator[Line]:
    """The records of a file, in order; see Reader."""
    return iter(Reader(source, name))


class Reader:
    """The records of a file in UTF-8. The ending of `name` decides its form; else its first character does.

    Raises InvalidInput for an empty file, for a header that is not understood, or for a file that a dialect does not
    fit.
    """

    def __init__(self, source: BinaryIO, name: str, dialect: Dialect = Dialect()) -> None:  # noqa: B008  (a tuple)
        self._source = source
        lines = _Lines(source)
        first = lines.first()
        if first is None:
            raise InvalidInput("there is nothing to import: the file is empty", hint="JSON lines, or CSV with a header")
        if _ARRAY.match(first):
            raise InvalidInput(
                f"the file is one JSON array, which begins in line {lines.number}",
                hint="write one JSON object a line, without [ ] around them and commas between: jq -c '.[]' does it",
            )
        self.is_csv = _is_csv(first, name)
        self.notices: list[str] = []
        """Notices about how the file is read."""
        self._csv: _Csv | None = None
        if self.is_csv:
            self._csv = _Csv(lines, first, dialect)
            self.notices += self._csv.notices
        elif dialect != Dialect():
            raise InvalidInput("these options are for CSV, but the file is JSON lines", hint="leave them out")
        self.is_export = not self.is_csv and _begins_export(first)
        """Whether it seems to be an export: then each transaction has its place, and duplicates are not searched."""
        self._lines = lines

    def __iter__(self) -> Iterator[Line]:
        return _json_lines(self._lines) if self._csv is None else self._csv.read(self._lines)

    def doubtful(self) -> Line | None:
        return None if self._csv is None else self._csv.doubtful()

    def at(self, offset: int, number: int) -> Line:
        """The record that begins at byte `offset`, in line `number`."""
        self._source.seek(offset)
        lines = _Lines(self._source, number - 1)
        return next(_json_lines(lines) if self._csv is None else self._csv.read(lines))


_ARRAY = re.compile(rb"\s*\[\s*(\{|\]?\s*$)")
"""The beginning of a JSON array of objects, or of none: it is neither JSON lines nor CSV."""


def _begins_export(first: bytes) -> bool:
    try:
        found = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("record") == "ledger"


def _is_csv(first: bytes, name: str) -> bool:
    ending = name.lower().rpartition(".")[2]
    if ending in ("jsonl", "ndjson", "json"):
        return False
    return ending == "csv" or not first.lstrip().startswith(b"{")


class _Lines:
    """The lines of a file as bytes, ends included. A line over MAX_LINE_BYTES is cut, and its number recorded.

    Iterating raises StorageError if the file cannot be read further.
    """

    def __init__(self, source: BinaryIO, number: int = 0) -> None:
        self._source = source
        self._first: bytes | None = None
        self.number = number
        self.offset = self._next = source.tell()
        """The offset of the last line that was read."""
        self.too_long: dict[int, bool] = {}
        """The numbers of cut lines, and whether the number of quotes in each was odd. The code that handles one removes
        it."""

    def first(self) -> bytes | None:
        """The first line that is not blank, which will be read again; None if there is none."""
        while line := self._read():
            if line.strip():
                self._first = line
                return line
        return None

    def skip(self) -> None:
        """Skip the first line."""
        self._first = None

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
            self.offset = self._next
            self._next += len(line)
            if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                line = self._cut(line)
        except OSError as error:
            raise StorageError(
                f"cannot read line {self.number + 1} of the imported file: {error.strerror or error}",
                hint="what was committed stays; run the same import again to continue",
            ) from error
        return line.removeprefix(BOM) if self.number == 1 else line

    def _cut(self, line: bytes) -> bytes:
        quotes, rest = line.count(b'"'), line
        while rest and not rest.endswith(b"\n"):
            rest = self._source.readline(MAX_LINE_BYTES)
            self._next += len(rest)
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
            yield Line(lines.number, "", {}, _shown(raw), _too_long(), lines.offset)
            continue
        try:
            text = raw.decode("utf-8")
            if text.isspace():
                continue
            found = decode(text)
        except UnicodeDecodeError as error:
            problem = InvalidInput(f"the line is not UTF-8, at byte {error.start + 1}", hint="save it as UTF-8")
            yield Line(lines.number, "", {}, _shown(raw), problem, lines.offset)
            continue
        except (ValueError, RecursionError) as error:
            yield Line(lines.number, "", {}, _shown(raw), _not_json(error), lines.offset)
            continue
        yield _json_line(lines.number, found, text.rstrip("\r\n"), lines.offset)


def _json_line(number: int, found: Any, text: str, offset: int) -> Line:
    if not isinstance(found, dict):
        problem = InvalidInput("the line is not a JSON object", hint='{"wallet": …, "amount": …, "kind": "credit"}')
        return Line(number, "", {}, text, problem, offset)
    record = found.pop("record", "transaction")
    known = RECORDS.get(record) if isinstance(record, str) else None
    if known is None:
        problem = InvalidInput(f"not a kind of record: {shown(str(record))}", hint=f"one of {', '.join(RECORDS)}")
        return Line(number, "", {}, text, problem, offset)
    if not found.keys() <= known:
        unknown = min(found.keys() - known)
        problem = InvalidInput(f"unknown field: {shown(unknown)}", hint=f"known: {', '.join(sorted(known))}")
        return Line(number, "", {}, text, problem, offset)
    fields = {name: value for name, value in found.items() if value is not None}
    return Line(number, record, fields, text, None, offset)


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

_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_CELL = r'(?: *("[^"]*+(?:""[^"]*+)*+(?:\Z|"(?= *(?:[{0}\r\n]|\Z)))) *)?([^{0}]*(?:{0}|\Z))'
"""A cell of a line with its separator: the text in quotes, if it is quoted, and the rest. Spaces around the quotes are
in neither. Quotes may be open at the end of the line."""
HEADER_WITHIN = 100
"""In how many lines the header of a file that begins with something else is looked for."""
_EXACT = frozenset(FIELDS)
"""Fields that keep their white space."""


class _Csv:
    """How the rows of a file are read: the column separator, and the meaning of each column."""

    def __init__(self, lines: _Lines, first: bytes, dialect: Dialect) -> None:
        self.notices: list[str] = []
        self._seen: list[str] = []
        """The lines of the present record."""
        self._start = 0
        """The offset of the present record."""
        self._unsure: Line | None = None
        """The first line whose amount could be two numbers, as its problem unless other lines show the decimal
        sign."""
        self._point_is_decimal = dialect.decimal is not None
        self._debits: dict[bool, Line] = {}
        """The first line with a minus in its column of debits, and the first without."""
        self._has_minus: bool | None = None
        """Whether the present line has one; None if it has no such debit."""
        delimiter = dialect.delimiter
        told = _SEPARATOR_LINE.fullmatch(first.decode("utf-8", "surrogateescape").lstrip())
        if told and told[1] in DELIMITERS:  # Excel's way to declare it
            lines.skip()
            first = lines.first() or b""
            delimiter = delimiter or told[1]
        mapped = {plain(name): target for name, target in (dialect.columns or {}).items()}
        self._delimiter = delimiter or _delimiter_of(first.decode("utf-8", "surrogateescape"), mapped)
        self._cell = re.compile(_CELL.format(re.escape(self._delimiter)))
        if self._delimiter != "," and dialect.delimiter is None:
            self.notices.append(f"columns are separated by {DELIMITERS[self._delimiter]}")
        self._dialect = dialect._replace(delimiter=self._delimiter)
        header = self._first_row(lines)
        self._cells = len(header)
        self._header = header
        try:
            self._names = self._named(header, mapped)
            """The field of each column; None for an ignored column."""
        except InvalidInput:
            wanted = set(mapped) or {"amount", "kind"}.union(["wallet"] if dialect.wallet is None else [])
            if not wanted.issubset(map(plain, header)):
                _look_below(lines, wanted, lambda text: delimiter or _delimiter_of(text, mapped))
            raise
        self._is_restored = "id" in self._names
        self._has_foreign_dates = "at" in mapped.values()

    def read(self, lines: _Lines) -> Iterator[Line]:
        seen = self._seen
        reader = self._rows(lines)
        while True:
            start = lines.number + 1
            seen.clear()
            try:
                row = next(reader, None)
            except csv.Error as error:
                yield self._bad(start, lines.number, harmless(str(error)))
                if lines.number > start or "end of data" in str(error):
                    return
                continue
            if row is None:
                return
            start = lines.number - len(seen) + 1
            if lines.too_long and any(number in lines.too_long for number in range(start, lines.number + 1)):
                lines.too_long.clear()
                yield Line(start, "", {}, _shown("".join(seen)), _too_long(), self._start)
                continue
            if not any(row) or not "".join(row).strip(ENDS):
                continue  # spreadsheets pad with empty rows
            text = "".join(seen)
            try:
                if not text.isascii():
                    _check_utf8(start, seen)
                fields = self._fields(row)
            except InvalidInput as problem:
                yield Line(start, "", {}, _shown(text), problem.with_traceback(None), self._start)
            else:
                line = Line(start, "transaction", fields, text, None, self._start)
                if not self._point_is_decimal and "." in fields.get("amount", "") and "id" not in fields:
                    self._look_at_point(line, row)
                if self._has_minus is not None:
                    self._debits.setdefault(self._has_minus, line)
                yield line

    def doubtful(self) -> Line | None:
        """A line whose amount could be two numbers, or be in or out, if no line of the file shows which."""
        if len(self._debits) > 1:
            odd = max(self._debits.values(), key=lambda line: line.number)
            return odd._replace(
                problem=FormFault(
                    "the column of debits has amounts with and without a minus",
                    hint="one of the two is a debit that was taken back: write it in the column of credits",
                )
            )
        return None if self._point_is_decimal else self._unsure

    def _look_at_point(self, line: Line, row: Sequence[str]) -> None:
        amount = line.fields["amount"]
        if not PLAIN.fullmatch(amount):
            return
        if not is_ambiguous(amount):
            self._point_is_decimal = True
        elif self._unsure is None:
            cells = (cell for name, cell in zip(self._names, row, strict=False) if name in _AMOUNTS and amount in cell)
            self._unsure = line._replace(problem=two_meanings(next(cells).strip(ENDS)))

    def _rows(self, lines: _Lines) -> Iterator[list[str]]:
        return csv.reader(self._decoded(lines), delimiter=self._delimiter, strict=True)

    def _decoded(self, lines: _Lines) -> Iterator[str]:
        for raw in lines:
            # Bytes that are not UTF-8 are kept as halves of surrogate pairs, and found later in their record.
            text = raw.decode("utf-8", "surrogateescape")
            if not self._seen:
                self._start = lines.offset
            self._seen.append(text)
            if '"' in text and (' "' in text or '" ' in text):
                text = self._unpadded(text)
            if lines.too_long and lines.number in lines.too_long:
                # Its record is refused. It only matters whether a quote is open after it.
                text = '"\n' if lines.too_long[lines.number] else "\n"
            yield text

    def _unpadded(self, text: str) -> str:
        """The last line that was seen without the spaces between quotes and separators."""
        if len(self._seen) > 1:  # a record goes on in the next line only within quotes
            return self._cell.sub(r"\1\2", '"' + text)[1:]
        return self._cell.sub(r"\1\2", text)

    def _bad(self, start: int, end: int, what: str) -> Line:
        text = "".join(self._seen)
        if end > start or "end of data" in what:
            problem: InvalidInput = FormFault(
                f"a quote is not closed here: {what}", hint='a quote within quotes is written twice: "say ""hi"""'
            )
        else:
            problem = InvalidInput(f"the line is not CSV: {what}", hint="quote commas and quotes")
        return Line(start, "", {}, _shown(text), problem, self._start)

    # The header.

    def _first_row(self, lines: _Lines) -> list[str]:
        try:
            header = next(self._rows(lines))
        except (csv.Error, StopIteration):
            header = []
        start = lines.number - len(self._seen) + 1
        try:
            _check_utf8(start, self._seen if header else [])
        except FormFault as fault:
            raise InvalidInput(f"line {start}: {fault.message}; nothing was applied", hint=fault.hint) from None
        self._most_cells = len(header)
        while header and not header[-1].strip(ENDS):
            header.pop()  # spreadsheets pad the header too
        return header

    def _named(self, header: Sequence[str], mapped: Mapping[str, str]) -> list[str | None]:
        known = COLUMNS if not mapped else (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS, "currency")
        names: list[str | None] = []
        ignored = []
        for column in header:
            name = plain(column)
            target = mapped.get(name, name if name in known and name not in mapped.values() else None)
            if target is None:
                ignored.append(column.strip(ENDS))
            names.append(target)
        lost = [name for name in self._dialect.columns or {} if plain(name) not in map(plain, header)]
        if lost:
            from wallet_cli.likely import likely

            meant = likely(lost[0], [column.strip(ENDS) for column in header])
            raise InvalidInput(
                f"the header has no column {shown(lost[0])}: {self._shown_header()}",
                hint=(f"did you mean {shown(meant)}? " if meant else "")
                + "use the column names of the header in --map",
            )
        self._check(names)
        if ignored:
            if not mapped:
                raise InvalidInput(
                    f"unknown column: {shown(ignored[0])}",
                    hint=f"known: {', '.join(COLUMNS)}; {_mapping_of(ignored, self._given(names))}",
                )
            self.notices.append(f"columns that are ignored: {', '.join(map(shown, ignored))}")
        return names

    def _check(self, names: Sequence[str | None]) -> None:
        """Check that each required field has exactly one column."""
        given = [name for name in names if name is not None]
        amounts = {"amount", "signed_amount", "credit", "debit"}.intersection(given)
        needed = ["wallet"] if self._dialect.wallet is None else []
        needed += ["amount"] if not amounts else []
        needed += ["kind"] if amounts <= {"amount"} else []
        missing = [name for name in needed if name not in given]
        if missing:
            about = self._shown_header()
            raise InvalidInput(
                f"the header has no column {', '.join(missing)}: {about}", hint=self._hint(missing, names)
            )
        twice = next((name for name in given if given.count(name) > 1), None)
        if twice is not None:
            raise InvalidInput(f"there are two columns with the same meaning: {twice}", hint="one column for each name")
        if amounts in ({"credit"}, {"debit"}) and "kind" not in given:
            (one,) = amounts
            other = "debits" if one == "credit" else "credits"
            raise InvalidInput(
                f"there is a column of {one}s and none of {other}",
                hint=f"add an empty column of {other}; or map the one as signed_amount, where debits have a minus",
            )
        said = amounts.union({"kind"}.intersection(given))
        if said not in _WAYS:
            raise InvalidInput(
                f"the amount is given twice: {', '.join(sorted(said))}",
                hint="amount with kind; or signed_amount alone; or credit and debit",
            )
        if self._dialect.wallet is not None and "wallet" in given:
            raise InvalidInput("the file has a column wallet", hint="leave --wallet out")

    def _hint(self, missing: Sequence[str], names: Sequence[str | None]) -> str:
        if "".join(self._seen).startswith(("PK\3\4", "\udcd0\udccf\x11")):
            return "this is a workbook: save it as CSV in the spreadsheet program first"
        free = zip(self._header, names, strict=True)
        others = [name.strip(ENDS) for name, field in free if field is None and plain(name) not in COLUMNS]
        more = _mapping_of(others, self._given(names), missing)
        if missing == ["wallet"]:
            more = "--wallet WALLET, for all lines"
        elif "kind" in missing and "amount" in names:
            signed = f"--map '{self._header[names.index('amount')]}=signed_amount', where negative amounts are debits"
            more = f"or {signed}" if missing == ["kind"] else f"{more}; in the place of amount and kind, {signed}"
        if "wallet" in missing and "=wallet" not in more and any(re.search(_IDS, name.lower()) for name in others):
            more += "; a column wallet has wN for the id of a wallet, such as w3: a number alone is a user"
        return f"columns: {', '.join((*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS))}; {more}"

    def _given(self, names: Sequence[str | None]) -> list[str | None]:
        """The fields that are known, as the wallet of every line is where an option says it."""
        return [*names, *([] if self._dialect.wallet is None else ["wallet"])]

    def _shown_header(self) -> str:
        return shown(_shown("".join(self._seen)))

    # A row.

    def _fields(self, row: list[str]) -> dict[str, Any]:
        width = self._cells
        if len(row) != width and (
            not width < len(row) <= self._most_cells or any(cell.strip(ENDS) for cell in row[width:])
        ):
            raise InvalidInput(
                f"the line has {len(row)} columns, the header {width}",
                hint=f"quote what has {DELIMITERS[self._delimiter]} in it"
                if len(row) > width
                else f"an empty column needs its {DELIMITERS[self._delimiter]} too",
            )
        fields: dict[str, Any] = {}
        self._has_minus = None
        for name, value in zip(self._names, row, strict=False):
            if name is None:
                continue
            if name not in _EXACT:
                value = value.strip(ENDS) if name != "key" or not self._is_restored else value
            if value != "":
                fields[name] = value
        dialect = self._dialect
        if dialect.wallet is not None:
            fields["wallet"] = dialect.wallet
        if "amount" in fields:
            fields["amount"] = dialect.amount(fields["amount"])
            if dialect.decimal is not None and "balance" in fields:
                fields["balance"] = dialect.amount(fields["balance"], signed=True)
        elif not fields.keys().isdisjoint(_OTHER_AMOUNTS):
            self._has_minus = _one_amount(fields, dialect)
        if "at" in fields:
            fields["at"] = dialect.time(fields["at"])
        elif self._has_foreign_dates:
            raise FormFault("the line has no date", hint="give it one; or remove it, if it is a total or still pending")
        if not self._is_restored and "kind" in fields:
            fields["kind"] = fields["kind"].lower()
        return fields


_OTHER_AMOUNTS = frozenset({"signed_amount", "credit", "debit"})
_AMOUNTS = _OTHER_AMOUNTS | {"amount"}


def _one_amount(fields: dict[str, Any], dialect: Dialect) -> bool | None:
    """Replace another program's amount columns by an amount and a kind. Returns whether a column of debits has a minus;
    None if it is not the one with the amount.
    """
    given = {name: fields.pop(name) for name in _OTHER_AMOUNTS if name in fields}
    amounts = {name: dialect.amount(value, signed=True) for name, value in given.items()}
    if len(amounts) == 2:  # an unused column may have a 0
        amounts = {name: value for name, value in amounts.items() if value.strip("-0.")}
    if not amounts:
        raise InvalidInput(
            "the line has a credit of 0 and a debit of 0", hint="write the amount in one of the two columns"
        )
    if len(amounts) > 1:
        raise InvalidInput("the line has a credit and a debit", hint="leave one of the two columns empty, or 0")
    ((kind, amount),) = amounts.items()
    has_minus = amount.startswith("-") if kind == "debit" and amount.strip("-0.") else None
    if kind == "signed_amount":
        kind = "debit" if amount.startswith("-") else "credit"
    # Some programs write debits with a minus in a separate column.
    fields["kind"] = kind
    fields["amount"] = (amount.removeprefix("-") or amount) if kind == "debit" else amount
    return has_minus


def _look_below(lines: _Lines, wanted: set[str], delimiter_of: Callable[[str], str]) -> None:
    """Raise InvalidInput if a line below the first one has these columns: what is above it is no header."""
    for raw in islice(lines, HEADER_WITHIN):
        text = raw.decode("utf-8", "surrogateescape")
        if wanted.issubset(_split(text, delimiter_of(text))):
            raise InvalidInput(
                f"the header is not at the top, but in line {lines.number}: {shown(_shown(text))}",
                hint="remove the lines above it in a text editor",
            )


def _delimiter_of(header: str, mapped: Mapping[str, str]) -> str:
    """The separator of a header: the one with the most known names, or else the most names."""

    def known(delimiter: str) -> tuple[int, int]:
        names = _split(header, delimiter)
        return sum(name in mapped or name in COLUMNS for name in names), len(names)

    return max(DELIMITERS, key=known)


def _split(header: str, delimiter: str) -> list[str]:
    """The names in a header; none if it is not CSV."""
    try:
        (names,) = csv.reader([header], delimiter=delimiter, skipinitialspace=True)
    except (csv.Error, ValueError):
        return []
    return [plain(name) for name in names]


def _mapping_of(columns: Sequence[str], given: Sequence[str | None], missing: Sequence[str] = ()) -> str:
    """How to map columns of another program, shown with the file's columns: guessed by their names, or in order.

    `given` are the fields that the file has already, `missing` those that it needs. A map that is shown is accepted.
    """
    is_header = not any(name.isdigit() for name in columns)
    usable = [name for name in columns if is_header and 0 < len(name) <= MAX_EXAMPLE_CHARS and _can_be_typed(name)]
    found: dict[str, str] = {}
    for usual, words in _USUAL_NAMES.items():
        target = "amount" if usual == "signed_amount" and "kind" in given else usual
        name = next((each for each in usable if each not in found and re.search(words, each.lower())), None)
        said = {each for each in (*given, *found.values(), target) if each in _AMOUNTS or each == "kind"}
        if name is not None and target not in given and (target not in said or any(said <= way for way in _WAYS)):
            found[name] = target
    halves = {"credit", "debit"}.difference(given)
    if len(halves.intersection(found.values())) < len(halves):  # the one without the other is no amount
        found = {name: target for name, target in found.items() if target not in halves}
    words_alone = [name for name in usable if not re.search(rf"\d|{_IDS}", name.lower())]
    if not found and missing and len(words_alone) == len(usable) >= len(missing):
        found = dict(zip(usable, missing, strict=False))
    example = ",".join(f"{name}={target}" for name, target in found.items())
    return "name the columns of other programs with --map" + (f", such as --map '{example}'" if example else "")


def _can_be_typed(name: str) -> bool:
    """Whether a column's name can be in an example of `--map`, between `'`."""
    return name.isprintable() and not set(name) & set("\"',=")


def _check_utf8(start: int, seen: Sequence[str]) -> None:
    """Raise FormFault for a record with bytes that are not UTF-8, with their place."""
    for number, text in enumerate(seen, start):
        at = next((at for at, c in enumerate(text) if "\udc80" <= c <= "\udcff"), None)
        if at is not None:
            byte = len(text[:at].encode("utf-8", "surrogateescape")) + 1
            value = text[at].encode("utf-8", "surrogateescape").hex()
            where = f"byte {byte} of line {number}" if len(seen) > 1 else f"byte {byte}"
            raise FormFault(
                f"the line is not UTF-8: {where} is {value}",
                hint="save it as UTF-8, or give its encoding: --encoding cp1252 for Excel for Windows",
            )


def _shown(text: str | bytes) -> str:
    """The part of an unreadable line that is shown."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    cut = text.rstrip("\r\n")[:1000]
    return cut.encode("utf-8", "backslashreplace").decode("utf-8")
