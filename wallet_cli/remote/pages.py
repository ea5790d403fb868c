"""A list that comes in pages, one thing at a time and in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from wallet_cli.services.answers import Answer
from wallet_cli.services.pages import MAX_LIMIT


def one_by_one(
    page_of: Callable[[int, str | None], Answer], name: str, limit: int | None, cursor: str | None
) -> Iterator[Answer]:
    """The things called `name` on the pages of a list: all of them, or at most `limit`.

    A page may have fewer than it was asked for, or none, and there may be more behind it all the same.
    """
    left = limit
    while True:
        page = page_of(MAX_LIMIT if left is None else left, cursor)
        yield from page[name]
        cursor = page["next_cursor"]
        if left is not None:
            left -= len(page[name])
        if cursor is None or left == 0:
            return


def part_of(limit: int, cursor: str | None, counted: bool) -> dict[str, str | None]:
    """The parameters that ask for a page."""
    return {"limit": str(limit), "cursor": cursor, "count": "true" if counted else None}
