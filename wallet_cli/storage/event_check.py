"""Whether the rows of a ledger are what its events say, and the chains of events whole: for `verify` and for the end of
an import.

Both are read in the order of their subjects, side by side. The rows of one subject are in memory at a time: a user, a
wallet with its holds, or the ledger's settings with its operator keys.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from wallet_cli.domain import events
from wallet_cli.domain.events import LEDGER, USER, WALLET, Subject
from wallet_cli.domain.ids import MAX_ID
from wallet_cli.domain.model import Event, Hold
from wallet_cli.storage.move_state import ARRIVING
from wallet_cli.storage.sql import rows_of_itself

if TYPE_CHECKING:
    from wallet_cli.storage.queries import Queries

Of = tuple[str, int | str | None]
"""A row of a subject: its kind in `Event.details`, and its number or name there, if a subject has several."""

Rows = Iterator[tuple[int, dict[Of, Any]]]
"""The id of each subject of a kind, and its rows; None for one that may be any."""

NAMED_BY = {"hold": "number", "key": "name"}
UNCHECKED = {"transaction", "schema", "file"}
"""What an event only mentions: transactions have a chain of hashes themselves."""


class Unlike(NamedTuple):
    """What does not agree: of which subject, which of its rows (None for the chain of its events), and why."""

    subject: Subject
    of: Of | None
    reason: str


Right = Callable[[Subject, Event], None]
"""Told of each subject that agrees, and of its last event."""


def unlike(reader: Queries, wallet_id: int | None = None, right: Right | None = None) -> Iterator[Unlike]:
    """What does not agree, in the whole ledger or in one wallet: the first thing of each subject."""
    first, last = (0, MAX_ID) if wallet_id is None else (wallet_id, wallet_id)
    sides = [(WALLET, _wallets(reader, wallet_id))]
    if wallet_id is None:
        sides = [(LEDGER, _ledger(reader)), (USER, _users(reader)), *sides]
    for kind, rows in sides:
        for subject_id, found, chain in _side_by_side(rows, reader.events_in_order(kind, first, last)):
            compared = _compare((kind, subject_id), found, chain)
            if isinstance(compared, Unlike):
                yield compared
            elif right is not None:
                right((kind, subject_id), compared)


def _ledger(reader: Queries) -> Rows:
    itself = reader.itself()
    rows: dict[Of, Any] = {(kind, None): row for kind, row in rows_of_itself(itself).items()}
    if itself.move_state.state == ARRIVING:
        # Its events are those of the ledger at the other end, whose settings it gets when it takes writes.
        rows["ledger", None] = rows["place", None] = None
    rows |= {("key", key.name): events.of_key(key) for key in reader.operators()}
    yield 0, rows


def _users(reader: Queries) -> Rows:
    for user in reader.users():
        yield user.id, {("user", None): events.of_user(user)}


def _wallets(reader: Queries, wallet_id: int | None) -> Rows:
    if wallet_id is None:
        wallets = reader.wallets()
    else:
        wallet = reader.wallet(wallet_id)
        wallets = iter([] if wallet is None else [wallet])
    rows: Rows = ((each.id, {("wallet", None): events.of_wallet(each)}) for each in wallets)
    for id_, found, holds in _side_by_side(rows, reader.holds_in_order(wallet_id)):
        yield id_, (found or {}) | {("hold", hold.number): events.of_hold(hold) for hold in holds}


def _side_by_side(
    rows: Rows, others: Iterable[Event] | Iterable[Hold]
) -> Iterator[tuple[int, dict[Of, Any] | None, Iterable[Any]]]:
    """Subjects with their rows, and what belongs to each; both are in the order of the ids. A subject may have only
    one of the two.
    """
    groups = groupby(others, lambda each: each.subject_id if isinstance(each, Event) else each.wallet_id)
    id_, group = next(groups, (None, iter(())))
    for subject_id, found in rows:
        while id_ is not None and id_ < subject_id:
            yield id_, None, group
            id_, group = next(groups, (None, iter(())))
        if id_ == subject_id:
            yield subject_id, found, group
            id_, group = next(groups, (None, iter(())))
        else:
            yield subject_id, found, ()
    while id_ is not None:
        yield id_, None, group
        id_, group = next(groups, (None, iter(())))


def _compare(subject: Subject, rows: dict[Of, Any] | None, chain: Iterable[Event]) -> Unlike | Event:
    """The last event of a subject that agrees with it, or what does not."""
    told: dict[Of, Any] = {}
    last: Event | None = None
    for event in chain:
        number = 1 if last is None else last.number + 1
        if event.number != number:
            return Unlike(subject, None, f"event {number} is missing")
        if events.hashed(event, last) != event:
            return Unlike(subject, None, f"the hash of event {number} is wrong")
        try:
            for kind, row in json.loads(event.details).items():
                if kind not in UNCHECKED:
                    told[kind, row.get(NAMED_BY.get(kind))] = row
        except (ValueError, AttributeError, TypeError, RecursionError):
            return Unlike(subject, None, f"event {number} cannot be read")
        last = event
    if rows is None:
        return Unlike(subject, None, "it is missing, and has events")
    for of in [*rows, *told] if told != rows else ():
        if of in rows and rows[of] is None:
            continue
        wrong = _difference(rows.get(of), told.get(of))
        if wrong is not None:
            return Unlike(subject, of, wrong)
    if last is None:
        return Unlike(subject, None, "it has no event")
    return last


def _difference(row: Mapping[str, Any] | None, told: Mapping[str, Any] | None) -> str | None:
    if told is None:
        return "it has no event"
    if row is None:
        return "it is missing, and has events"
    differ = [name.removesuffix("_us") for name in row if row[name] != told.get(name)]
    return f"it differs from its last event in its {' and '.join(differ)}" if differ else None
