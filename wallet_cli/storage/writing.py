"""From the rules' changes to rows: the statement for each, in the order that foreign keys need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from wallet_cli.domain.commands import Change, Restoring
from wallet_cli.domain.model import ApiKey, Event, Hold, LedgerSetting, Transaction, User, Wallet
from wallet_cli.storage import sql

Rows = list[Sequence[Any]]

_STATEMENTS: dict[type, str] = {
    User: sql.INSERT_USER,
    Wallet: sql.UPSERT_WALLET,
    ApiKey: sql.UPSERT_OPERATOR,
    Hold: sql.UPSERT_HOLD,
    Transaction: sql.INSERT_TRANSACTION,
    Event: sql.INSERT_EVENT,
}

_PLACE = itemgetter(0, 1)
"""Wallet id and seq of a transaction."""

_HASH = sql.TRANSACTION_COLUMNS.index("hash")


def flat(statement: str, rows: Rows) -> Iterable[Sequence[Any]]:
    """The rows as they are stored. Made one at a time: many that are kept make a large import a sixth slower."""
    return map(sql.transaction_values, rows) if statement is sql.INSERT_TRANSACTION else rows


def rows_of(changes: Sequence[Change]) -> Iterator[tuple[str, Rows]]:
    """Statements and the rows for each. A row that changed more than once in the batch is written once, in its last
    state.
    """
    if len(changes) == 1 and isinstance(alone := changes[0], Transaction):  # most batches
        yield sql.INSERT_TRANSACTION, [alone]
        yield sql.SET_HEAD, [(alone.seq, alone.hash, alone.wallet_id)]
        return
    rows: dict[type, Rows] = {kind: [] for kind in _STATEMENTS}
    wallets: dict[int, Sequence[Any]] = {}
    witnesses: dict[int, Sequence[Any]] = {}
    operators: dict[str, Sequence[Any]] = {}
    holds: dict[tuple[int, int], Sequence[Any]] = {}
    settings: dict[str, str | None] = {}
    for thing in changes:
        if type(thing) is Transaction:
            rows[Transaction].append(thing)
        elif isinstance(thing, Wallet):
            wallets[thing.id] = sql.wallet_values(thing)
            witnesses[thing.id] = sql.witness_values(thing)
        elif isinstance(thing, Hold):
            holds[thing.wallet_id, thing.number] = thing
        elif isinstance(thing, ApiKey):
            operators[thing.name] = thing
        elif isinstance(thing, LedgerSetting):
            settings[thing.name] = thing.value
        elif isinstance(thing, Restoring):
            continue  # no row is added: see Copying._note_of_ledger
        else:
            rows[type(thing)].append(thing)
    rows[Wallet] += wallets.values()
    rows[ApiKey] += operators.values()
    rows[Hold] += holds.values()
    # In storage order: a large batch over many wallets is written a third faster.
    rows[Transaction].sort(key=_PLACE)
    for kind, statement in _STATEMENTS.items():
        if rows[kind]:
            yield statement, rows[kind]
    # After the wallets, to which they refer. Each gets its wallet's last transaction, because the rows are in order.
    if witnesses:
        yield sql.UPSERT_WITNESS, list(witnesses.values())
    if rows[Transaction]:
        yield sql.SET_HEAD, list({row[0]: (row[1], row[_HASH], row[0]) for row in rows[Transaction]}.values())
    for name, value in settings.items():
        yield sql.SET_SETTING[name], [(1, value)]
