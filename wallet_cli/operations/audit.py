"""The audit trail: what was done to users, wallets, holds, operator keys and the ledger, when, and by whom.

Transactions are not in it: `history` has them, each with who made it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from heapq import merge
from typing import Any

from wallet_cli.domain.actors import actor_of
from wallet_cli.domain.events import KINDS, LEDGER, USER, WALLET, Subject
from wallet_cli.domain.ids import (
    MAX_ID,
    TypedWallet,
    UserName,
    format_hold_id,
    format_transaction_id,
    format_wallet,
)
from wallet_cli.domain.model import Event
from wallet_cli.domain.money import Currency, format_minor
from wallet_cli.domain.period import LAST_US, format_time
from wallet_cli.errors import InvalidInput, shown
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import Ledger
from wallet_cli.operations.pages import FIRST_PIECE, Paged, check_limit
from wallet_cli.operations.users import find_user
from wallet_cli.operations.wallets import find_wallet
from wallet_cli.storage.queries import EventPlace

LETTERS = {LEDGER: "l", USER: "u", WALLET: "w"}
_ID = r"(l|u|w)(0|[1-9][0-9]{0,18})-([1-9][0-9]{0,18})"
NEWEST = EventPlace(LAST_US + 1, 0, 0, 0)

AMOUNTS = {"own_minimum": "minimum_balance", "maximum": "maximum_balance", "daily_debit": "daily_debit"}
"""The limits of a wallet, as the other answers call them."""


def audit(ledger: Ledger, wallet: TypedWallet | None = None, user: UserName | None = None) -> Paged:
    """The events of a wallet, of a user with all their wallets, or of all, the newest first, as a list `events`.

    Nothing is read before a page is.
    """

    def page(limit: int, cursor: str | None, counted: bool) -> Answer:
        check_limit(limit)
        found = _events(ledger, _subjects(ledger, wallet, user), cursor, limit + 1)
        kept = [event for event, _ in zip(found, range(limit + 1), strict=False)]
        answer: Answer = {
            "events": [_answer(ledger, event) for event in kept[:limit]],
            "next_cursor": _id(kept[limit - 1]) if len(kept) > limit else None,
        }
        return answer | {"count": None} if counted else answer

    def rest(cursor: str | None) -> Iterator[Answer]:
        for event in _events(ledger, _subjects(ledger, wallet, user), cursor, FIRST_PIECE):
            yield _answer(ledger, event)

    return Paged(page, rest)


def _subjects(ledger: Ledger, wallet: TypedWallet | None, user: UserName | None) -> list[Subject] | None:
    """What the events are of; None for everything."""
    if wallet is not None:
        return [(WALLET, find_wallet(ledger, wallet).id)]
    if user is None:
        return None
    id_ = find_user(ledger, user).id
    wallets = ledger.store.accounts_of(id_, ledger.now_us())
    return [(USER, id_), *((WALLET, account.wallet.id) for account in wallets)]


def _events(ledger: Ledger, subjects: list[Subject] | None, cursor: str | None, size: int) -> Iterator[Event]:
    before = NEWEST if cursor is None else _place_of(ledger, cursor)
    if subjects is None:
        return _in_pieces(ledger, None, before, size)
    each = [_in_pieces(ledger, subject, before, size) for subject in subjects]
    return merge(*each, key=_place, reverse=True)


def _in_pieces(ledger: Ledger, subject: Subject | None, before: EventPlace, size: int) -> Iterator[Event]:
    """Each piece is read completely, so that nothing stays open for a slow reader."""
    while True:
        found = list(ledger.store.events_by_time(before, size, subject))
        yield from found
        if len(found) < size:
            return
        before = _place(found[-1])


def _place(event: Event) -> EventPlace:
    return EventPlace(event.at_us, event.kind, event.subject_id, event.number)


def _id(event: Event) -> str:
    return f"{LETTERS[event.kind]}{event.subject_id}-{event.number}"


def _place_of(ledger: Ledger, cursor: str) -> EventPlace:
    found = re.fullmatch(_ID, cursor)
    event = None
    if found is not None:
        kind = next(kind for kind, letter in LETTERS.items() if letter == found[1])
        subject_id, number = int(found[2]), int(found[3])
        if max(subject_id, number) <= MAX_ID:
            event = ledger.store.event(kind, subject_id, number)
    if event is None:
        raise InvalidInput(
            f"not a cursor of this list: {shown(cursor)}", hint="give the next_cursor of the previous page, unchanged"
        )
    return _place(event)


# The answer.


def _answer(ledger: Ledger, event: Event) -> Answer:
    answer: Answer = {
        "id": _id(event),
        "at": format_time(event.at_us),
        "event": event.what,
        "of": KINDS[event.kind],
        "user_id": None,
        "wallet": None,
        "via": None,
        "actor": None,
    }
    if event.actor is not None:
        answer["via"], answer["actor"] = actor_of(event.actor)
    currency = None
    if event.kind == USER:
        answer["user_id"] = event.subject_id
    elif event.kind == WALLET:
        wallet = ledger.store.wallet(event.subject_id)
        if wallet is not None:
            answer |= {"user_id": wallet.user_id, "wallet": format_wallet(wallet.user_id, wallet.type)}
            currency = wallet.currency
    rows = json.loads(event.details)
    return answer | {"details": {kind: _told(kind, row, event.subject_id, currency) for kind, row in rows.items()}}


def _told(kind: str, row: dict[str, Any], subject_id: int, currency: Currency | None) -> Answer:
    """A row as the other answers have it: amounts as text, times in UTC, ids as they are typed."""
    told: Answer = {}
    for name, value in row.items():
        if name in ("key_hash", "exponent", "opening_minimum"):
            continue
        if name.endswith("_us"):
            told[name.removesuffix("_us")] = None if value is None else format_time(value)
        elif name in AMOUNTS or (kind == "hold" and name in ("amount", "captured")):
            minor = None if value is None or currency is None else format_minor(value, currency)
            told[AMOUNTS.get(name, name)] = minor
        elif kind == "hold" and name == "number":
            told["id"] = format_hold_id(subject_id, value)
        elif kind == "transaction":
            told["id"] = format_transaction_id(subject_id, value)
        else:
            told[name] = value
    return told
