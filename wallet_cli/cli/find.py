"""`wallet find`"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Annotated, Any

import typer

from wallet_cli.api import LedgerApi
from wallet_cli.cli.by_hand import typed, who_is_meant
from wallet_cli.cli.lists import LimitOption
from wallet_cli.cli.named_ledger import on_it
from wallet_cli.cli.output import Listing, Output, Pages, Style, notice
from wallet_cli.domain.ids import format_user
from wallet_cli.domain.names import may_be_name
from wallet_cli.errors import shown
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.finding import LEAST_DIGITS, digits_of
from wallet_cli.operations.pages import DEFAULT_LIMIT
from wallet_cli.operations.transactions import Wanted


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
    if 0 < len(digits_of(text)) < LEAST_DIGITS:
        notice(f"in numbers, {LEAST_DIGITS} digits or more are looked for")
    if limit is None and (style.quiet or style.streams):
        entries = ledger.history(None, None, Wanted(text=text)).rest(None)
        return _lines(ledger.users(text).rest(None), entries)
    answer = ledger.find(text, DEFAULT_LIMIT if limit is None else limit)
    users, transactions = answer["users"], answer["transactions"]
    cut = _cut(text, answer, flags)
    if style.quiet or style.streams or style.is_json:
        return _lines(users, transactions)._replace(page=answer, cut=cut)
    parts = [Listing(each, (), kind=kind) for each, kind in ((users, "user"), (transactions, "history")) if each]
    if cut is not None:
        notice(cut)
    elif not parts:
        named = ledger.named(text) if may_be_name(text) else {"users": [], "similar": []}
        meant = who_is_meant([*named["users"], *named["similar"]])
        notice(f"nothing has {shown(text)} in it{f'; {meant}' if meant else ''}")
    return Pages(parts)


def _lines(users: Iterable[Answer], transactions: Iterable[Answer]) -> Listing:
    from wallet_cli.operations.fields import FoundLine

    columns = tuple(FoundLine.__annotations__)
    found = chain((("user", each) for each in users), (("transaction", each) for each in transactions))
    rows = ({name: each.get(name) for name in columns} | {"found": kind} for kind, each in found)
    return Listing(rows, columns, _value)


def _value(row: Mapping[str, Any]) -> str:
    """What the next command takes."""
    return format_user(row["id"]) if row["found"] == "user" else str(row["id"])


def _cut(text: str, answer: Mapping[str, Any], flags: Mapping[str, str]) -> str | None:
    """What was left out, if anything was."""
    more = []
    if answer["more_users"]:
        more.append(f"users ({on_it('wallet users', flags)} --text {typed(text, 'TEXT')})")
    if answer["next_cursor"] is not None:
        more.append(f"transactions ({on_it('wallet history', flags)} --text {typed(text, 'TEXT')})")
    return f"there are more {' and '.join(more)}" if more else None
