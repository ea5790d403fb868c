"""`wallet find`"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from wallet_cli.api import LedgerApi
from wallet_cli.cli.lists import LimitOption
from wallet_cli.cli.named_ledger import on_it
from wallet_cli.cli.output import Listing, Output, Pages, Style, notice
from wallet_cli.domain.ids import format_user
from wallet_cli.errors import shown
from wallet_cli.operations.pages import DEFAULT_LIMIT


def find(
    ledger: LedgerApi,
    style: Style,
    flags: Mapping[str, str],
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="A part of a name, a number or a note.", show_default=False)
    ],
    limit: LimitOption = None,
) -> Output:
    """Users by their names and numbers come first, then transactions by their notes, the newest first.

    Examples:
        wallet find asha
        wallet find 98869 -q                        # ids, for the next command
        wallet find groceries --limit 5 --json
    """
    answer = ledger.find(text, DEFAULT_LIMIT if limit is None else limit)
    users, transactions = answer["users"], answer["transactions"]
    cut = _cut(text, answer, flags)
    if style.quiet or style.streams or style.is_json:
        from wallet_cli.operations.fields import FoundLine

        columns = tuple(FoundLine.__annotations__)
        found = [("user", each) for each in users] + [("transaction", each) for each in transactions]
        rows = [{name: each.get(name) for name in columns} | {"found": kind} for kind, each in found]
        return Listing(rows, columns, _value, page=answer, cut=None if style.is_json else cut)
    parts = [Listing(each, (), kind=kind) for each, kind in ((users, "user"), (transactions, "history")) if each]
    if cut is not None:
        notice(cut)
    elif not parts:
        notice(f"nothing has {shown(text)} in it")
    return Pages(parts)


def _value(row: Mapping[str, Any]) -> str:
    """What the next command takes."""
    return format_user(row["id"]) if row["found"] == "user" else str(row["id"])


def _cut(text: str, answer: Mapping[str, Any], flags: Mapping[str, str]) -> str | None:
    """What was left out, if anything was."""
    more = []
    if answer["more_users"]:
        more.append("users (--limit)")
    if answer["next_cursor"] is not None:
        more.append(f"transactions ({on_it('wallet history', flags)} --text {shown(text)})")
    return f"there are more {' and '.join(more)}" if more else None
