"""Tables that fit: columns aligned by cells, amounts on their decimal sign, and what gives way when the width is short.

Nothing is wrapped and no word is broken. First texts that may be cut are, down to some cells; then, by rank, columns
take their short form or leave. What left is known afterwards (`Table.hidden`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from wallet_cli.cli.screen.money import Amount
from wallet_cli.cli.screen.told import Row, Told
from wallet_cli.cli.screen.widths import cells, cut, padded

GAP = "  "

BOLD, DIM, RED, GREEN, YELLOW = "1", "2", "31", "32", "33"

Value = str | Amount | None


class Column(NamedTuple):
    """A column: its head, what it shows of a row, and its rank: those of the highest leave first.

    `short` is shown in the place of `cell` from `short_rank` on. `least`: it may be cut, to so many cells. `style` is
    an SGR code, or chosen by the row.
    """

    head: str
    cell: Callable[[Row, Told], Value]
    rank: int = 0
    short: Callable[[Row, Told], Value] | None = None
    short_rank: int = 0
    least: int | None = None
    right: bool = False
    style: str | Callable[[Row], str] = ""
    when: Callable[[Row], bool] | None = None
    """The column is there only where this is so of some row."""


class Table:
    """Rows under their columns, for so many cells in a line (None: as many as they take)."""

    def __init__(self, columns: Sequence[Column], told: Told, width: int | None, *, color: bool) -> None:
        self._columns = columns
        self._told = told
        self._width = width
        self._color = color
        self.hidden: list[str] = []
        """The heads of the columns that were left out."""

    def lines(self, rows: Sequence[Row]) -> Iterator[str]:
        there = (column for column in self._columns if column.when is None or any(map(column.when, rows)))
        made = [_Shown(column, rows, self._told) for column in there]
        wanted = [each for each in made if each.has_any]
        shown = self._fitted(wanted)
        self.hidden = [each.column.head for each in wanted if each not in shown]
        yield GAP.join(self._styled(each.head(), BOLD) for each in shown).rstrip()
        for number, row in enumerate(rows):
            cells_of = (self._styled(each.text(number), each.style(row)) for each in shown)
            yield GAP.join(cells_of).rstrip()

    def _fitted(self, wanted: Sequence[_Shown]) -> list[_Shown]:
        """Those that there is room for, as wide as they may be."""
        shown, width = list(wanted), self._width
        while width is not None and _least(shown) > width and (yielding := _next_to_yield(shown)) is not None:
            if yielding.shortens:
                yielding.shorten()
            else:
                shown.remove(yielding)
        for each in shown:
            each.grow(None if width is None else width - _least(shown))
        return shown

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[m" if style and self._color and text.strip() else text


def _least(shown: Sequence[_Shown]) -> int:
    return sum(each.width for each in shown) + len(GAP) * (len(shown) - 1)


def _next_to_yield(shown: Sequence[_Shown]) -> _Shown | None:
    """What takes its short form or leaves next; None where nothing may."""
    able = [each for each in shown if each.rank]
    return max(able, key=lambda each: each.rank) if able else None


class _Shown:
    """A column as it is shown: its texts, and how wide it is now."""

    def __init__(self, column: Column, rows: Sequence[Row], told: Told) -> None:
        self.column = column
        self._rows = rows
        self._told = told
        self._take([column.cell(row, told) for row in rows])
        self.shortens = column.short is not None
        self.width = self._full if column.least is None else min(self._full, max(column.least, cells(column.head)))

    def _take(self, values: Sequence[Value]) -> None:
        self.has_any = any(value is not None and value != "" for value in values)
        self._is_amount = any(isinstance(value, Amount) for value in values)
        if self._is_amount:
            rest = max(cells(value.rest) for value in values if isinstance(value, Amount))
            self._texts = [
                value.whole + padded(value.rest, rest) if isinstance(value, Amount) else value or "" for value in values
            ]
        else:
            self._texts = [self._told.safe(str(value or "")) for value in values]
        self._full = max(map(cells, [self.column.head, *self._texts]))

    @property
    def rank(self) -> int:
        return self.column.short_rank if self.shortens else self.column.rank

    def shorten(self) -> None:
        assert self.column.short is not None
        self._take([self.column.short(row, self._told) for row in self._rows])
        self.width, self.shortens = self._full, False

    def grow(self, room: int | None) -> None:
        """Take what is needed of the room that is left (None: there is no end to it)."""
        needed = self._full - self.width
        self.width += needed if room is None else max(0, min(room, needed))

    def head(self) -> str:
        return padded(self.column.head, self.width, right=self._is_amount or self.column.right)

    def text(self, number: int) -> str:
        text = self._texts[number]
        if self.column.least is not None:
            text = cut(text, self.width, self._told.ellipsis)
        return padded(text, self.width, right=self._is_amount or self.column.right)

    def style(self, row: Mapping[str, Any]) -> str:
        style = self.column.style
        return style(row) if callable(style) else style
