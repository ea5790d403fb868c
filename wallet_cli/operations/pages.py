"""Pages of a list: their length, and where the next one starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from wallet_cli.domain.ids import MAX_ID
from wallet_cli.errors import InvalidInput, shown
from wallet_cli.named_tuples import NamedTuple
from wallet_cli.operations.answers import Answer

MAX_LIMIT = 1000
DEFAULT_LIMIT = 20

FIRST_PIECE, MAX_PIECE = 500, 4_000
"""How many transactions one statement examines where few of them may match: it ends soon, and releases the snapshot
that it reads, however slowly the caller takes the answer."""


class Paged(NamedTuple):
    """A list that is not read yet. Nothing is queried before one of these is called."""

    page: Callable[[int, str | None, bool], Answer]
    """A page by its limit and cursor: the rows under the name of the list, `next_cursor`, and, if the last argument
    asks for it, `count`: the length of the whole list, where that is known."""

    rest: Callable[[str | None], Iterator[Answer]]
    """Everything after a cursor, one row at a time, in constant memory."""


def paged(
    name: str, read: Callable[[int, int], Iterator[tuple[int, Answer]]], count: Callable[[], int | None]
) -> Paged:
    """A list called `name`. `read` gets the id or number after which to continue (0 for none) and how many rows are
    wanted (-1 for all), and yields each row with its id or number."""

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
    """The id or number after which a page continues; 0 for the first page."""
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 19 and 1 <= int(cursor) <= MAX_ID):
        raise InvalidInput(
            f"not a cursor: {shown(cursor)}", hint="give the next_cursor of the previous page, unchanged"
        )
    return int(cursor)


def pieces(first: int, last: int, size: int = MAX_PIECE) -> Iterator[tuple[int, int]]:
    """The numbers from `first` to `last` in pieces, in order: the first and the last of each piece.

    Transactions never change, and none is inserted between others: read in pieces, they are the same as read at once.
    """
    for low in range(first, last + 1, size):
        yield low, min(low + size - 1, last)


def pieces_back(first: int, last: int, size: int) -> Iterator[tuple[int, int]]:
    """The same from the end, in pieces that grow from `size`: the first one is often enough."""
    while last >= first:
        low = max(first, last - size + 1)
        yield low, last
        last, size = low - 1, min(2 * size, max(size, MAX_PIECE))
