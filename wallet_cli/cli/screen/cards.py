"""Cards: one thing, what it is in a line, and a line for each thing to know of it; and whole sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from wallet_cli.cli.screen.money import Amount
from wallet_cli.cli.screen.tables import BOLD, DIM, GAP
from wallet_cli.cli.screen.told import Told
from wallet_cli.cli.screen.widths import cells, padded, wrapped

Field = tuple[str, str | Amount | None]


class Card(NamedTuple):
    """A title, and fields by their labels; a field without a value is left out. With no title, the fields alone."""

    title: str
    fields: Sequence[Field] = ()
    more: Sequence[str] = ()
    """Sentences after the title."""


def lines_of(card: Card, told: Told, width: int | None, *, color: bool) -> Iterator[str]:
    """The lines of a card; a value that is longer than the width goes on under its beginning, between words."""

    def styled(text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[m" if color else text

    for number, text in enumerate([card.title, *card.more] if card.title else card.more):
        for line in wrapped(told.safe(text), width) if width is not None else [told.safe(text)]:
            yield styled(line, BOLD) if number == 0 and card.title else line
    fields = [(label, value) for label, value in card.fields if value is not None and value != ""]
    if not fields:
        return
    label_width = max(cells(told.safe(label)) for label, _ in fields)
    whole = max((cells(value.whole) for _, value in fields if isinstance(value, Amount)), default=0)
    room = None if width is None else max(1, width - label_width - len(GAP))
    for label, value in fields:
        text = padded(value.whole, whole, right=True) + value.rest if isinstance(value, Amount) else told.safe(value)
        first, *more = [text] if room is None or isinstance(value, Amount) else wrapped(text, room)
        yield (styled(padded(told.safe(label), label_width), DIM) + GAP + first).rstrip()
        yield from (" " * label_width + GAP + line for line in more)
