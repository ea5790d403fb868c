"""A screen as lines: cards and tables, one after the other, as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, TextIO

from wallet_cli.cli.screen import cards, terminal
from wallet_cli.cli.screen.kinds import KINDS, Kind, anything
from wallet_cli.cli.screen.tables import Table
from wallet_cli.cli.screen.told import Row, Told

if TYPE_CHECKING:
    from wallet_cli.api import LedgerApi

ROWS_A_TABLE = 500
"""A table has to be held whole to be drawn: a longer list is several, each with its head."""


class View:
    """What is shown on a stream: as wide as that is, in colour where that has colours.

    Off a terminal lines end nowhere, so nothing is left out.
    """

    def __init__(self, stream: TextIO, ledger: LedgerApi | None = None) -> None:
        self._told = Told(ledger, stream.encoding or "utf-8")
        self._width = terminal.columns_of(stream)
        self._color = terminal.has_color(stream)
        self._hidden: dict[str, None] = {}
        self._none: list[str] = []

    def card(self, row: Row, kind: str = "") -> Iterator[str]:
        """The lines of one thing, of the kind of that name."""
        of = KINDS[kind] if kind else anything(list(row))
        assert of.card is not None
        yield from cards.lines_of(of.card(row, self._told), self._told, self._width, color=self._color)

    def rows(self, rows: Iterable[Row], kind: str = "", names: Sequence[str] = ()) -> Iterator[str]:
        """The lines of many things of the kind of that name; with no kind, `names` are the fields to show."""
        of = KINDS[kind] if kind else anything(names)
        rest = iter(rows)
        part = list(islice(rest, ROWS_A_TABLE))
        if not part:
            self._none.append(of.none)
        while part:
            yield from self._table(part, of)
            part = list(islice(rest, ROWS_A_TABLE))
            if part:
                yield ""

    def _table(self, rows: Sequence[Row], kind: Kind) -> Iterator[str]:
        self._told.know(id_ for row in rows for id_ in kind.wallets(row))
        table = Table(kind.columns, self._told, self._width, color=self._color)
        yield from table.lines(rows)
        self._hidden |= dict.fromkeys(table.hidden)

    def left_out(self, cut: str | None) -> str | None:
        """What to say at the end: that there is nothing, what `cut` says of the rest, and columns that did not fit."""
        hidden = f"not shown at {self._width} columns: {', '.join(self._hidden)}" if self._hidden else None
        said = [text for text in (*self._none, cut, hidden) if text]
        return "; ".join(said) or None
