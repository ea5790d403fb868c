"""User text: made safe to show, put into cells, and compared as people read it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from wallet_cli.errors import JOINERS


def harmless(text: str) -> str:
    """Return text with control and formatting characters escaped, so that it cannot move, hide or colour output."""
    if text.isprintable():
        return text
    import unicodedata

    return "".join(escaped(c) if unicodedata.category(c) in _HARMFUL and c not in JOINERS else c for c in text)


def no_formula(text: str) -> str:
    """Text for a spreadsheet cell: `'` goes before what would run as a formula; numbers stay as they are."""
    start = text.lstrip()[:1]
    if (start and start in _FORMULA) or text[:1] in ("\t", "\r", "\n"):
        return text if re.fullmatch(_HARMLESS, text, re.ASCII) else f"'{text}"
    return text


def cell(value: Any) -> str:
    """A value of JSON as one cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        import json

        return json.dumps(value, separators=(",", ":"))
    return str(value)


class _Lines(list[str]):
    write = list.append


def csv_lines(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Rows of cells as the lines of CSV, with the same line ends as all other output."""
    import csv

    lines = _Lines()
    # With this line end, a cell with either of its characters is quoted; with "\n" alone, not one with a CR.
    write = csv.writer(lines, lineterminator="\r\n").writerow
    for row in rows:
        write(row)
        yield lines.pop()[:-2] + "\n"


def escaped(c: str) -> str:
    """A character as Python would write it: `\\u202e`."""
    return c.encode("unicode_escape").decode("ascii")


# The wide forms count too: spreadsheets in East Asia read them. White space before a sign is ignored.
_FORMULA = "=+-@\uff1d\uff0b\uff0d\uff20\ufe62\ufe63\ufe66\ufe6b\u2212"
# A number, with or without a fraction; a phone number; an option's name.
_HARMLESS = r"[+-][0-9]+(\.[0-9]+)?|\+[0-9]+( [0-9]+)*|--[a-z_-]+"
# Controls, surrogates, unassigned, private use, and the separators that break lines; but emoji joiners are formats too.
_HARMFUL = {"Cc", "Cs", "Cn", "Co", "Zl", "Zp", "Cf"}


# Searching


def containing(wanted: str) -> Callable[[str], bool]:
    """A test of texts: whether one contains `wanted`, as people read it (see `fold`); an exact match counts too.

    There are no wildcards. The time is linear in the length of the text.
    """
    folded = fold(wanted)
    return lambda text: folded in fold(text) or wanted in text


def fold(text: str) -> str:
    """Text for comparison: without upper and lower case, and with one spelling for each character.

    `ÄRZTE` becomes `ärzte`, `STRASSE` `straße`, a final sigma a sigma, and full width half width. Accents count,
    whether they are one character with their letter or two. The Turkish letters I with and without a dot are the same,
    because the right one depends on the language, and a note does not name its language. Folding twice changes nothing
    more.
    """
    if text.isascii():
        return text.lower()
    from unicodedata import normalize

    lower = normalize("NFKC", text).casefold()
    return normalize("NFKC", re.sub("[i\u0131]\u0307*", "i", lower))
