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
from collections.abc import Iterable, Mapping
from datetime import UTC
from functools import lru_cache
from typing import BinaryIO, NamedTuple

from wallet_cli.domain.period import parse_time
from wallet_cli.domain.remarks import OTHERS
from wallet_cli.domain.typed_amount import is_grouped, ungrouped
from wallet_cli.errors import InvalidInput, StorageError, shown

DELIMITERS = {",": "','", ";": "';'", "\t": "tab", "|": "'|'"}
"""Column separators, and the name of each."""
_DELIMITER_NAMES = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|"}
_DECIMAL_NAMES = {"comma": ",", "point": "."}
DATES = ("dmy", "mdy")
OPTIONAL_COLUMNS = ("at", "note", "key", *OTHERS, "name")
TARGETS = ("wallet", "amount", "signed_amount", "credit", "debit", "kind", *OPTIONAL_COLUMNS, "currency")
"""The fields to which a column of another program may be mapped. A `signed_amount` below 0 is a debit. `credit` and
`debit` are two columns of amounts; each line fills one of them."""

ENDS = "".join(map(chr, (*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x2010), 0x2028, 0x2029, 0x202F,
                         *range(0x202A, 0x202F), 0x205F, 0x2060, *range(0x2066, 0x206A), 0x3000, 0xFEFF)))  # fmt: skip
"""Ignored at the ends of a cell: white space of all kinds, and invisible characters."""

_SPACES = "[ \u00a0\u2007\u2009\u202f]"
PLAIN = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
_ONE_NUMBER = re.compile(rf"(?P<before>\D*)[0-9](?:[0-9.,'\u2019]|{_SPACES})*+(?P<after>\D*)")
_DIGITS = re.compile("[0-9]+")
_SEPARATED = re.compile(rf"[0-9]+(?:(?:[.,'\u2019]|{_SPACES})[0-9]+)+")
_MINUS = "-\u2212\u2012\u2013\ufe63\uff0d"
_SIGNS = frozenset(f"{_MINUS}+().,'\u2019{ENDS}")
"""What may stand around a number: a sign, or a separator."""

_UNSEEN = dict.fromkeys(ord(c) for c in ENDS if not c.isspace())
_ISO = re.compile(r"[0-9]{4}-", re.ASCII)
_FOUR_DIGITS = re.compile(r"[0-9]{4}", re.ASCII)
_DATE = re.compile(
    r"(?P<a>[0-9]{1,4})(?P<s>[./-])(?P<b>[0-9]{1,2})(?P=s)(?P<c>[0-9]{1,4})"
    r"(?:,?[ T]+(?P<h>[0-9]{1,2}):(?P<m>[0-9]{2})(?::(?P<sec>[0-9]{2}(?:[.,][0-9]{1,9})?))?"
    r"(?: *(?P<half>[AaPp])\.? ?[Mm]\.?)?(?P<zone> ?(?:Z|[+-][0-9]{2}:?[0-9]{2}))?)?",
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
        """An amount in this program's form. Raises FormFault for a number in another one, or that could mean two."""
        if self.decimal != "," and PLAIN.fullmatch(text):
            return text
        number = _number(text, self.decimal, signed=signed)
        if number is not None:
            return number
        match = _ONE_NUMBER.fullmatch(text)
        if match is None:
            return text  # not a number in any form: its line gets an error later
        if not set(match["before"] + match["after"]) <= _SIGNS:
            raise FormFault(
                f"the amount has more in it than a number: {shown(text)}",
                hint="keep the number and nothing else: a wallet has one currency, and kind, or a minus in a"
                " signed_amount, tells debits from credits",
            )
        read = _readings(text, signed=signed)
        if self.decimal is None and read:
            raise two_meanings(text, signed=signed)
        if read:
            raise FormFault(
                f"the amount is not a number with the decimal sign {self.decimal!r}: {shown(text)}",
                hint=f"the other sign is only for groups of three digits; --decimal {''.join(read)} may be right",
            )
        if (not signed and text[0] in "+-") or re.fullmatch(r"[-+]?[0-9]+\.", text):
            return text  # a number that is no amount: its line gets an error later
        if not signed and _readings(text, signed=True):
            raise FormFault(
                f"the amount has a sign: {shown(text)}",
                hint="give credit or debit as kind; or use --map 'COLUMN=signed_amount', where negative amounts"
                " are debits",
            )
        raise FormFault(
            f"the amount is not a number: {shown(text)}", hint="digits with at most one decimal sign, such as 1234.50"
        )

    def time(self, text: str) -> str:
        """A time in ISO 8601. Raises FormFault for a date that is not certain, is none, or is a number of days."""
        seen = text if text.isascii() else " ".join(text.translate(_UNSEEN).split())
        if _ISO.match(seen):
            return seen
        if _SERIAL.fullmatch(seen):
            raise FormFault(
                f"the date is a spreadsheet's number of days: {shown(text)}",
                hint="give the column the format YYYY-MM-DD in the spreadsheet, and save it again",
            )
        if _FOUR_DIGITS.fullmatch(seen):
            raise FormFault(
                f"the date has four digits, and is no day: {shown(text)}",
                hint="write the year, the month and the day, such as 2024-12-31",
            )
        match = _DATE.fullmatch(seen)
        if match is None:
            return text  # not a time in any form: its line gets an error later
        first, second, third = match["a"], match["b"], match["c"]
        is_year_first = len(first) == 4 and len(third) <= 2
        if not is_year_first and (len(third) != 4 or len(first) > 2):
            raise FormFault(f"the year of the date does not have four digits: {shown(text)}", hint="such as 31/12/2024")
        days = {"dmy": (third, second, first), "mdy": (third, first, second)}
        order = self.dates
        if is_year_first:
            days, order = {"ymd": (first, second, third)}, "ymd"
        if order is not None and (at := _moment(match, *days[order])) is not None:
            return at
        read = {each: at for each, day in days.items() if (at := _moment(match, *day)) is not None}
        if not read:
            raise FormFault(
                f"this time does not exist: {shown(text)}", hint="check the day, the month, the hour and the offset"
            )
        other = next(iter(read))
        if order is not None:
            raise FormFault(
                f"the date has no month {first if order == 'mdy' else second}, read as {order}: {shown(text)}",
                hint=f"--dates {other} may be right",
            )
        options = "--dates dmy if the day comes first, or --dates mdy if the month comes first"
        if len(set(read.values())) == 1:
            use = options if len(read) == 2 else f"--dates {other}"
            raise FormFault(f"the order of day and month is not given: {shown(text)}", hint=f"use {use}")
        raise FormFault(f"the date could be two days: {shown(text)}", hint=f"use {options}")


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
    if decimal is not None:
        decimal = _DECIMAL_NAMES.get(decimal, decimal)
        if decimal not in (".", ","):
            raise InvalidInput(f"not a decimal sign: {shown(decimal)}", hint="one of , . comma, point")
    if dates is not None and dates not in DATES:
        raise InvalidInput(f"not an order of dates: {shown(dates)}", hint="dmy (31/12/2024) or mdy (12/31/2024)")
    if encoding is not None:
        encoding = _codec(encoding)
    return Dialect(delimiter, decimal, dates, encoding, _mapping(columns), wallet)


def plain(name: str) -> str:
    """The name of a column, without differences of case and spacing."""
    return " ".join(name.split()).strip(ENDS).casefold()


def is_ambiguous(amount: str) -> bool:
    """Whether a PLAIN amount such as `1.234` could also mean a thousand or more."""
    return amount[-4:-3] == "." and is_grouped(amount)


def two_meanings(text: str, *, signed: bool = True) -> FormFault:
    """The fault of an amount whose decimal sign has to be known; not all of them are two numbers."""
    read = _readings(text, signed=signed)
    if len(set(read.values())) == 1:
        sign = "".join(read) if len(read) == 1 else "SIGN, the one of the file"
        return FormFault(f"the decimal sign is not given: {shown(text)}", hint=f"use --decimal {sign}")
    return FormFault(
        f"the amount could be two numbers: {shown(text)}",
        hint="use --decimal , if the comma is the decimal sign, or --decimal . if the point is",
    )


def _readings(text: str, *, signed: bool) -> dict[str, str]:
    """The amount that a text is with each decimal sign, if it is one."""
    return {sign: number for sign in ".," if (number := _number(text, sign, signed=signed)) is not None}


def _number(text: str, decimal: str | None, *, signed: bool) -> str | None:
    """An amount in this program's form; None if it cannot be read with this decimal sign."""
    sign, digits = _signed(text) if signed else ("", text)
    if decimal is None:
        return sign + digits if PLAIN.fullmatch(digits) else None
    whole, mark, fraction = digits.partition(decimal)
    if _SEPARATED.fullmatch(whole) and is_grouped(whole):
        whole = ungrouped(whole)
    if not _DIGITS.fullmatch(whole) or (mark and not _DIGITS.fullmatch(fraction)):
        return None
    return f"{sign}{whole}{mark and '.'}{fraction}"


def _signed(text: str) -> tuple[str, str]:
    """The sign of an amount (`-` or nothing) and its digits; (5), 5- and -5 are all below 0."""
    inner = text.strip(ENDS)
    if len(inner) > 2 and inner[0] == "(" and inner[-1] == ")":
        return "-", inner[1:-1].strip(ENDS)
    for c in (inner[:1], inner[-1:]):
        if c and c in _MINUS:
            return "-", inner.removeprefix(c).removesuffix(c).strip(ENDS)
    return "", inner.removeprefix("+").removesuffix("+").strip(ENDS)


def _moment(match: re.Match[str], year: str, month: str, day: str) -> str | None:
    """A date, and the time of day after it, in ISO 8601; None if there is no such time."""
    text = f"{year}-{month:0>2}-{day:0>2}"
    if match["h"] is not None:
        hour = int(match["h"])
        if match["half"]:
            if not 1 <= hour <= 12:
                return None
            hour = hour % 12 + (12 if match["half"] in "Pp" else 0)
        seconds = f":{match['sec']}" if match["sec"] else ""
        text += f"T{hour:02}:{match['m']}{seconds}{(match['zone'] or '').strip()}"
    return text if _is_time(text) else None


@lru_cache(4096)
def _is_time(text: str) -> bool:
    try:
        parse_time(text, UTC)
    except InvalidInput:
        return False
    return True


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
