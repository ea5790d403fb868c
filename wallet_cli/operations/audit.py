"""The audit trail: what was done to users, wallets, holds, operator keys and the ledger, when, and by whom.

Transactions are not in it: `history` has them, each with who made it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import Any

from wallet_cli.domain.actors import actor_of
from wallet_cli.domain.events import KINDS, LEDGER, USER, WALLET, Subject
from wallet_cli.domain.ids import MAX_ID, TypedWallet, UserName, format_hold_id, format_transaction_id
from wallet_cli.domain.model import Event, User, Wallet
from wallet_cli.domain.money import Currency, format_minor
from wallet_cli.domain.period import format_time
from wallet_cli.errors import Damaged, InvalidInput, shown
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import Ledger
from wallet_cli.operations.pages import FIRST_PIECE, Paged, check_limit
from wallet_cli.operations.users import find_user
from wallet_cli.operations.wallets import find_wallet
from wallet_cli.storage.queries import EventPlace

LETTERS = {LEDGER: "l", USER: "u", WALLET: "w"}
_ID = r"(l|u|w)(0|[1-9][0-9]{0,18})-([1-9][0-9]{0,18})"
NEWEST = EventPlace(MAX_ID, WALLET + 1, 0, 0)
"""After every event, whatever time it says."""
LEAST_PIECE = 16
"""At least so many events of a subject are read at a time."""

AMOUNTS = {"own_minimum": "minimum_balance", "maximum": "maximum_balance", "daily_debit": "daily_debit"}
"""The limits of a wallet, as the other answers call them."""


def audit(ledger: Ledger, wallet: TypedWallet | None = None, user: UserName | None = None) -> Paged:
    """The events of a wallet, of a user with all their wallets, or of all, the newest first, as a list `events`.

    Nothing is read before a page is. Raises InvalidInput for a wallet and a user together.
    """
    if wallet is not None and user is not None:
        raise InvalidInput("a wallet and a user contradict each other", hint="give one of them")

    def page(limit: int, cursor: str | None, counted: bool) -> Answer:
        check_limit(limit)
        found = _events(ledger, wallet, user, cursor, limit + 1)
        kept = list(islice(found, limit + 1))
        answer: Answer = {
            "events": _answers(ledger, kept[:limit]),
            "next_cursor": _id(kept[limit - 1]) if len(kept) > limit else None,
        }
        if counted:
            answer["count"] = ledger.store.event_count(_subjects(ledger, wallet, user))
        return answer

    def rest(cursor: str | None) -> Iterator[Answer]:
        found = _events(ledger, wallet, user, cursor, FIRST_PIECE)
        while piece := list(islice(found, FIRST_PIECE)):
            yield from _answers(ledger, piece)

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


def _events(
    ledger: Ledger, wallet: TypedWallet | None, user: UserName | None, cursor: str | None, size: int
) -> Iterator[Event]:
    before = NEWEST if cursor is None else _place_of(ledger, cursor)
    subjects = _subjects(ledger, wallet, user)
    if subjects is None:
        return _in_pieces(ledger, None, before, size)
    # Of many wallets, each has but a few of what is wanted.
    size = max(size // len(subjects), LEAST_PIECE)
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


def parse_cursor(cursor: str) -> tuple[int, int, int]:
    """The kind, the subject's id and the number in the id of an event. Raises InvalidInput."""
    found = re.fullmatch(_ID, cursor)
    if found is None or max(int(found[2]), int(found[3])) > MAX_ID:
        raise _not_a_cursor(cursor)
    return next(kind for kind, letter in LETTERS.items() if letter == found[1]), int(found[2]), int(found[3])


def _place_of(ledger: Ledger, cursor: str) -> EventPlace:
    event = ledger.store.event(*parse_cursor(cursor))
    if event is None:
        raise _not_a_cursor(cursor)
    return _place(event)


def _not_a_cursor(cursor: str) -> InvalidInput:
    return InvalidInput(
        f"not a cursor of this list: {shown(cursor)}", hint="give the next_cursor of the previous page, unchanged"
    )


# The answer.


def _answers(ledger: Ledger, found: Sequence[Event]) -> list[Answer]:
    """The events as they are told, each with whose it is."""
    ids = {event.subject_id for event in found if event.kind == WALLET}
    holders = {wallet.id: (wallet, user) for wallet, user in ledger.store.holders(ids)}
    users = {user.id: user for user in _users(ledger, found)}
    answers = []
    for event in found:
        wallet, user = None, None
        if event.kind == WALLET:
            wallet, user = holders.get(event.subject_id, (None, None))
        elif event.kind == USER:
            user = users.get(event.subject_id)
        try:
            answers.append(_answer(event, wallet, user))
        except (Damaged, ValueError, RecursionError, AttributeError, TypeError) as error:
            raise Damaged(
                f"{Damaged.DAMAGED}event {_id(event)} cannot be read", hint="find what is wrong with `wallet verify`"
            ) from error
    return answers


def _users(ledger: Ledger, found: Iterable[Event]) -> Iterator[User]:
    for id_ in {event.subject_id for event in found if event.kind == USER}:
        user = ledger.store.user_by_id(id_)
        if user is not None:
            yield user


def _answer(event: Event, wallet: Wallet | None, user: User | None) -> Answer:
    via, actor = (None, None) if event.actor is None else actor_of(event.actor)
    currency = None if wallet is None else wallet.currency
    rows = json.loads(event.details)
    return {
        "id": _id(event),
        "at": format_time(event.at_us),
        "event": event.what,
        "of": KINDS[event.kind],
        "user_id": None if user is None else user.id,
        "name": None if user is None else user.name,
        "wallet": None if wallet is None else wallet.name,
        "currency": None if currency is None else currency.name,
        "via": via,
        "actor": actor,
        "details": {kind: _told(kind, row, event.subject_id, currency) for kind, row in rows.items()},
    }


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
