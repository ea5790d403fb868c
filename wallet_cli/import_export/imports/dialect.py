"""How a CSV file is written: column separators, decimal signs, dates, encodings, and other programs' columns.

Text that could mean two things is a FormFault: it concerns the whole file, and nothing is applied. Everything here
turns text into the form that the rest of the import reads: `1234.50`, `2024-12-31T10:15`.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import tempfile
import unicodedata
from collections.abc import Iterable, Mapping
from typing import BinaryIO, NamedTuple

from wallet_cli.domain.remarks import OTHERS
from wallet_cli.errors import InvalidInput, StorageError, shown

DELIMITERS = {",": "','", ";": "';'", "\t": "tab", "|": "'|'"}
"""Column separators, and the name of each."""
_DELIMITER_NAMES = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|"}
DATES = ("dmy", "mdy")
OPTIONAL_COLUMNS = ("at", "note", "key", *OTHERS, "name")
TARGETS = ("wallet", "amount", "signed_amount", "credit", "debit", "kind", *OPTIONAL_COLUMNS, "currency")
"""The fields to which a column of another program may be mapped. A `signed_amount` below 0 is a debit. `credit` and
`debit` are two columns of amounts; each line fills one of them."""

ENDS = "".join(map(chr, (*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x2010), 0x2028, 0x2029, 0x202F,
                         *range(0x202A, 0x202F), 0x205F, 0x2060, *range(0x2066, 0x206A), 0x3000, 0xFEFF)))  # fmt: skip
"""Ignored at the ends of a cell: white space of all kinds, and invisible characters."""

_SPACES = "[ \u00a0\u2007\u2009\u202f]"
_PLAIN = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
_NUMBERLIKE = re.compile(rf"(?=.*[0-9])([0-9.,'\u2019]|{_SPACES})+")
_GROUPED = {
    ",": re.compile(rf"[0-9]{{1,3}}(?P<g>[.'\u2019]|{_SPACES})[0-9]{{3}}((?P=g)[0-9]{{3}})*(?P<f>,[0-9]+)?"),
    # India writes 12,34,567.89.
    ".": re.compile(rf"[0-9]{{1,3}}(?P<g>[,'\u2019]|{_SPACES})([0-9]{{2,3}}(?P=g))*[0-9]{{3}}(?P<f>\.[0-9]+)?"),
}
_UNGROUPED = {",": re.compile(r"[0-9]+(,[0-9]+)?"), ".": _PLAIN}
_MINUS = "-\u2212\u2012\u2013\ufe63\uff0d"

_ISO = re.compile(r"[0-9]{4}(-|$)", re.ASCII)
_DATE = re.compile(
    r"(?P<a>[0-9]{1,4})(?P<s>[./-])(?P<b>[0-9]{1,2})(?P=s)(?P<c>[0-9]{1,4})"
    r"(?:,?[ T]+(?P<h>[0-9]{1,2}):(?P<m>[0-9]{2})(?::(?P<sec>[0-9]{2}(?:[.,][0-9]{1,9})?))?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?(?P<zone> ?(?:Z|[+-][0-9]{2}:?[0-9]{2}))?)?",
    re.ASCII,
)
_SERIAL = re.compile(r"[0-9]{5}([.,][0-9]+)?", re.ASCII)


class FormFault(InvalidInput):
    """A fault in how a file is written that may concern all of it: nothing of the file may be applied."""


class Dialect(NamedTuple):
    """How a CSV file is written; None if not given. `columns` maps names to TARGETS."""

    delimiter: str | None = None
    decimal: str | None = None
    dates: str | None = None
    encoding: str | None = None
    columns: Mapping[str, str] | None = None
    wallet: str | None = None
    """The wallet of every line, if the file has no column for it."""

    def amount(self, text: str, *, signed: bool = False) -> str:
        """An amount in this program's form. Raises FormFault if it is not one, or could mean two numbers."""
        if self.decimal != "," and _PLAIN.fullmatch(text):
            return text
        sign, digits = _signed(text) if signed else ("", text)
        if not _NUMBERLIKE.fullmatch(digits):
            if any(unicodedata.category(c) == "Sc" for c in digits) or re.search(r"[0-9]\W*[A-Za-z]{3}$", digits):
                raise FormFault(
                    f"the amount has a currency in it: {shown(text)}", hint="remove it; each wallet has one currency"
                )
            if not signed and _signed(digits)[0] and digits[0] != "-":
                raise FormFault(
                    f"the amount has a sign: {shown(text)}",
                    hint="give credit or debit as kind; or use --map 'COLUMN=signed_amount', where negative amounts"
                    " are debits",
                )
            return text  # not a number in any form: its line gets an error later
        if self.decimal is None:
            if signed and _PLAIN.fullmatch(digits):
                return sign + digits
            if _PLAIN.fullmatch(digits) is None and re.search(rf"[,'\u2019]|{_SPACES}", digits):
                raise two_meanings(text)
            return text
        for pattern in (_UNGROUPED, _GROUPED):
            match = pattern[self.decimal].fullmatch(digits)
            if match is not None:
                whole, _, fraction = digits.partition(self.decimal)
                whole = re.sub(r"[^0-9]", "", whole)
                return f"{sign}{whole}.{fraction}" if fraction else sign + whole
        if re.fullmatch(r"[0-9]+\.", digits):
            return text
        raise FormFault(
            f"the amount is not a number with the decimal sign {self.decimal!r}: {shown(text)}",
            hint="the other sign is only for groups of three digits; set the decimal sign with --decimal",
        )

    def time(self, text: str) -> str:
        """A time in ISO 8601. Raises FormFault for a date that could be two days, or is a number of days."""
        if _ISO.match(text):
            return text
        if _SERIAL.fullmatch(text):
            raise FormFault(
                f"the date is a spreadsheet's number of days: {shown(text)}",
                hint="give the column the format YYYY-MM-DD in the spreadsheet, and save it again",
            )
        match = _DATE.fullmatch(text)
        if match is None:
            return text
        first, second, third = match["a"], match["b"], match["c"]
        if len(first) == 4 and len(third) <= 2:
            day = (first, second, third)
        elif len(third) != 4 or len(first) > 2:
            raise FormFault(f"the year of the date does not have four digits: {shown(text)}", hint="such as 31/12/2024")
        elif self.dates is None and max(int(first), int(second)) > 12:
            raise FormFault(
                f"the order of day and month is not given: {shown(text)}",
                hint=f"use --dates {'dmy' if int(first) > 12 else 'mdy'}",
            )
        elif self.dates is None:
            raise FormFault(
                f"the date could be two days: {shown(text)}",
                hint="use --dates dmy if the day comes first, or --dates mdy if the month comes first",
            )
        else:
            day = (third, second, first) if self.dates == "dmy" else (third, first, second)
            if int(day[1]) > 12 >= int(day[2]):
                raise FormFault(
                    f"the date has no month {day[1]}, read as {self.dates}: {shown(text)}",
                    hint=f"--dates {'mdy' if self.dates == 'dmy' else 'dmy'} may be right",
                )
        return f"{day[0]}-{day[1]:0>2}-{day[2]:0>2}{_clock(match)}"


def dialect(
    delimiter: str | None = None,
    decimal: str | None = None,
    dates: str | None = None,
    encoding: str | None = None,
    columns: Iterable[str] = (),
    wallet: str | None = None,
) -> Dialect:
    """A dialect from user text; `columns` are texts like `Betrag=amount,Datum=at`. Raises InvalidInput."""
    if delimiter is not None:
        delimiter = _DELIMITER_NAMES.get(delimiter, delimiter)
        if delimiter not in DELIMITERS:
            raise InvalidInput(
                f"columns cannot be separated by {shown(delimiter)}", hint="one of , ; | tab, comma, semicolon, pipe"
            )
    if decimal is not None and decimal not in (".", ","):
        raise InvalidInput(f"not a decimal sign: {shown(decimal)}", hint="--decimal , or --decimal .")
    if dates is not None and dates not in DATES:
        raise InvalidInput(f"not an order of dates: {shown(dates)}", hint="dmy (31/12/2024) or mdy (12/31/2024)")
    if encoding is not None:
        encoding = _codec(encoding)
    return Dialect(delimiter, decimal, dates, encoding, _mapping(columns), wallet)


def plain(name: str) -> str:
    """The name of a column, without differences of case and spacing."""
    return " ".join(name.split()).strip(ENDS).casefold()


def is_ambiguous(amount: str) -> bool:
    """Whether a plain amount such as `1.234` could also mean a thousand or more."""
    return len(amount) >= 5 and amount[-4] == "." and len(amount) <= 7 and amount[0] != "0"


def two_meanings(text: str) -> FormFault:
    """The fault of an amount whose decimal sign has to be known; not all of them are two numbers."""
    read = {sign: number for sign in ".," if (number := _read_with(sign, text)) is not None}
    if len(read) < 2 or len(set(read.values())) == 1:
        sign = "".join(read) if len(read) == 1 else "SIGN, the one of the file"
        return FormFault(f"the decimal sign is not given: {shown(text)}", hint=f"use --decimal {sign}")
    return FormFault(
        f"the amount could be two numbers: {shown(text)}",
        hint="use --decimal , if the comma is the decimal sign, or --decimal . if the point is",
    )


def _read_with(decimal: str, text: str) -> str | None:
    try:
        return Dialect(decimal=decimal).amount(text, signed=True)
    except FormFault:
        return None


def _signed(text: str) -> tuple[str, str]:
    """The sign of an amount (`-` or nothing) and its digits; (5), 5- and -5 are all below 0."""
    inner = text.strip(ENDS)
    if len(inner) > 2 and inner[0] == "(" and inner[-1] == ")":
        return "-", inner[1:-1].strip(ENDS)
    for c in (inner[:1], inner[-1:]):
        if c and c in _MINUS:
            return "-", inner.removeprefix(c).removesuffix(c).strip(ENDS)
    return "", inner.removeprefix("+").removesuffix("+").strip(ENDS)


def _clock(match: re.Match[str]) -> str:
    if match["h"] is None:
        return ""
    hour = int(match["h"])
    if match["half"]:
        if not 1 <= hour <= 12:
            return f"T{match['h']}:{match['m']} {match['half']}m"  # not a time: its line gets an error later
        hour = hour % 12 + (12 if match["half"] in "Pp" else 0)
    seconds = f":{match['sec']}" if match["sec"] else ""
    return f"T{hour:02}:{match['m']}{seconds}{(match['zone'] or '').strip()}"


def _mapping(texts: Iterable[str]) -> dict[str, str] | None:
    columns: dict[str, str] = {}
    for text in texts:
        try:
            (parts,) = csv.reader([text], skipinitialspace=True, strict=True)
        except (csv.Error, ValueError):
            raise _no_mapping(text) from None
        for part in parts:
            name, equals, target = part.rpartition("=")
            target = plain(target)
            if not equals or not plain(name):
                raise _no_mapping(part)
            if target not in TARGETS:
                raise InvalidInput(f"a column cannot be mapped to {shown(target)}", hint=f"one of {', '.join(TARGETS)}")
            if target in columns.values() or plain(name) in map(plain, columns):
                raise InvalidInput(
                    f"--map has {shown(part)} and another one like it", hint="each column and field once"
                )
            columns[name.strip(ENDS)] = target
    return columns or None


def _no_mapping(text: str) -> InvalidInput:
    return InvalidInput(f"not a map of columns: {shown(text)}", hint='such as "Betrag=amount,Datum=at"')


def _codec(name: str) -> str:
    try:
        found = codecs.lookup(name)
        if not getattr(found, "_is_text_encoding", True):
            raise LookupError
    except (LookupError, ValueError):
        raise InvalidInput(f"not an encoding: {shown(name)}", hint="such as utf-8, cp1252, latin-1 or utf-16") from None
    return found.name


# Bytes.

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LOOKED_AT = 64 * 1024


def as_utf8(source: BinaryIO, encoding: str | None) -> BinaryIO:
    """The file from its present position, as UTF-8 with line feeds: itself if it is that already, else a copy on disk.

    Raises InvalidInput if the file has another encoding.
    """
    start = source.tell()
    try:
        head = source.read(_LOOKED_AT)
        source.seek(start)
    except OSError:
        source.seek(start)
        return source  # its line gets an error when it is read
    found = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if found is None and encoding is None and b"\0" in head[:200] and _is_wide(head[:200]):
        raise InvalidInput(
            "the file is UTF-16 without a byte order mark, line 1",
            hint="--encoding utf-16-le or utf-16-be, or save it as UTF-8",
        )
    # A byte order mark is more reliable than an option.
    name = found or encoding or "utf-8"
    old_ends = b"\r" in head and b"\n" not in head and name in ("utf-8", *_BYTEWISE)
    if codecs.lookup(name).name == "utf-8" and not old_ends:
        return source
    return _recoded(source, name)


_BYTEWISE = ("cp1252", "iso8859-1", "latin-1")


def _is_wide(head: bytes) -> bool:
    even, odd = head[::2].count(0), head[1::2].count(0)
    return max(even, odd) > len(head) // 4 and min(even, odd) == 0


def _recoded(source: BinaryIO, encoding: str) -> BinaryIO:
    copy = tempfile.TemporaryFile()  # noqa: SIM115  (closed by its user)
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)("strict"), translate=True)
    line = 1
    try:
        while True:
            part = source.read(_LOOKED_AT)
            text = decoder.decode(part, final=not part)
            line += text.count("\n")
            copy.write(text.encode("utf-8"))
            if not part:
                break
        copy.seek(0)
    except UnicodeError as error:
        copy.close()
        where = ""
        if isinstance(error, UnicodeDecodeError):
            before = error.object[: error.start].decode(encoding, "replace")
            line += before.count("\n") or before.count("\r")
            where = f": byte {error.object[error.start : error.start + 1].hex()}"
        raise InvalidInput(
            f"line {line} is not {encoding}{where}; nothing was applied",
            hint="give the file's encoding with --encoding",
        ) from None
    except OSError as error:
        copy.close()
        raise StorageError(
            f"cannot store the file as UTF-8: {error.strerror or error}", hint="free some space"
        ) from error
    return copy
