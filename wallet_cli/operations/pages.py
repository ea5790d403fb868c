"""Pages of a list: how long one may be, and where the next one goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from wallet_cli.domain.ids import MAX_ID
from wallet_cli.errors import InvalidInput, shown
from wallet_cli.operations.answers import Answer

MAX_LIMIT = 1000
DEFAULT_LIMIT = 20

FIRST_PIECE, MAX_PIECE = 500, 4_000
"""How many transactions one statement goes over where few of them may be wanted: it ends soon, and lets go of the
snapshot that it was read from, however slowly its answer is taken."""


class Paged(NamedTuple):
    """A list that has not been read yet. Nothing is asked for before one of these is called."""

    page: Callable[[int, str | None, bool], Answer]
    """A page by its limit and cursor: the things by the name of the list, `next_cursor`, and if the last argument says
    so `count`, how many there are in all, where that is known."""

    rest: Callable[[str | None], Iterator[Answer]]
    """All that comes after a cursor, one thing at a time and in constant memory."""


def paged(
    name: str, read: Callable[[int, int], Iterator[tuple[int, Answer]]], count: Callable[[], int | None]
) -> Paged:
    """A list called `name`. `read` is given an id or number to go on after (0 for none) and how many things are wanted
    (-1 for all), and gives each thing with its id or number."""

    def page(limit: int, cursor: str | None, counted: bool) -> Answer:
        check_limit(limit)
        found = list(read(parse_after(cursor), limit + 1))
        page: Answer = {
            name: [answer for _, answer in found[:limit]],
            "next_cursor": str(found[limit - 1][0]) if len(found) > limit else None,
        }
        return page | {"count": count()} if counted else page

    def rest(cursor: str | None) -> Iterator[Answer]:
        return (answer for _, answer in read(parse_after(cursor), -1))

    return Paged(page, rest)


def check_limit(limit: int) -> None:
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"the limit is out of bounds: {limit}", hint=f"1 to {MAX_LIMIT}")


def parse_after(cursor: str | None) -> int:
    """The id or number that a page of things in the order of these goes on after; 0 for the first page."""
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 19 and 1 <= int(cursor) <= MAX_ID):
        raise InvalidInput(f"not a cursor: {shown(cursor)}", hint="give the next_cursor of the page before, unchanged")
    return int(cursor)


def pieces(first: int, last: int, size: int = MAX_PIECE) -> Iterator[tuple[int, int]]:
    """The numbers from `first` to `last` piece by piece, in order: the first and the last of each.

    Transactions are never changed nor put between others: read in pieces, they are the same as read at once.
    """
    for low in range(first, last + 1, size):
        yield low, min(low + size - 1, last)


def pieces_back(first: int, last: int, size: int) -> Iterator[tuple[int, int]]:
    """The same from the end, in pieces that grow from `size` on: the first one may do."""
    while last >= first:
        low = max(first, last - size + 1)
        yield low, last
        last, size = low - 1, min(2 * size, max(size, MAX_PIECE))
