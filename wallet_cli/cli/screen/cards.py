"""Cards: one thing, what it is in a line, and a line for each thing to know of it; and whole sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from wallet_cli.cli.screen.money import Amount
from wallet_cli.cli.screen.tables import BOLD, DIM, GAP
from wallet_cli.cli.screen.told import Told
from wallet_cli.cli.screen.widths import cells, padded, wrapped

LEAST_BESIDE = 16
"""With less room beside the labels, a value that does not fit there goes under its label; so does a longer word."""

Field = tuple[str, str | Amount | None]


class Card(NamedTuple):
    """A title, and fields by their labels; a field without a value is left out. With no title, the fields alone."""

    title: str
    fields: Sequence[Field] = ()
    more: Sequence[str] = ()
    """Sentences after the title."""


def lines_of(card: Card, told: Told, width: int | None, *, color: bool) -> Iterator[str]:
    """The lines of a card. A value that does not fit goes on under its beginning, or under its label, between words."""

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
        if room is None or cells(text) <= room or isinstance(value, Amount):
            beside, below, left = text, [], 0
        elif room >= LEAST_BESIDE and max(map(cells, text.split(" "))) <= room:
            (beside, *below), left = wrapped(text, room), label_width + len(GAP)
        else:
            beside, below, left = "", wrapped(text, label_width + room), len(GAP)
        yield (styled(padded(told.safe(label), label_width), DIM) + GAP + beside).rstrip()
        yield from (" " * left + line for line in below)
