"""Pages of a list: how long one may be, and where the next one goes on."""

from __future__ import annotations

from wallet_cli.domain.address import MAX_ID
from wallet_cli.errors import InvalidInput, shown

MAX_LIMIT = 1000
DEFAULT_LIMIT = 20


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
