"""Verifying a ledger: every running total, sequence number, time and hash is computed again and compared.

The walk of a wallet's chain checks each row against the one before (chain_check.py). After it, one statement each
checks what rows say about other rows: the other leg of a transfer, what a reversal reverses, what a hold has captured,
what a wallet's holds keep. The chains of events come last (storage/event_check.py): they tell what every other row must
be.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING

from wallet_cli.domain import events
from wallet_cli.domain.ids import MAX_ID, TypedWallet, format_hold_id, format_transaction_id, format_wallet_id
from wallet_cli.domain.model import Wallet
from wallet_cli.domain.money import format_minor
from wallet_cli.errors import Damaged, StorageError, Undefined, WalletError
from wallet_cli.operations import last_checks
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.chain_check import (
    MANY,
    MAX_WRONG,
    Along,
    Told,
    Wrong,
    check_chains,
    check_on_all_cores,
    cores,
)
from wallet_cli.operations.context import LOOK_TIMEOUT_S, Ledger, open_ledger
from wallet_cli.operations.prepared import naming
from wallet_cli.operations.wallets import find_wallet
from wallet_cli.storage.event_check import Unlike, unlike
from wallet_cli.storage.sql import TRANSACTIONS

if TYPE_CHECKING:
    from wallet_cli.operations.context import Store

RESTORE = "the ledger was changed outside this program, or the disk is failing; restore a backup"

OF_TRANSACTIONS = {
    "legs": "the other leg of this transfer is missing, or is not its counterpart",
    "reversals": "what it reverses is not an earlier transaction of the other kind, or is a reversal itself",
    "overdone reversals": "its reversals add up to more than its amount",
    "captures": "it captures a hold that is missing, or is not a debit",
}
OF_HOLDS = {
    "captured": "its captured amount is not the sum of its captures",
    "holds": "its status, its amounts and its times do not agree",
}
"""What can be wrong between rows (see sql.WRONG), and the text of each error."""

OF_INDEXES = {
    "keys": ("transaction", "it does not agree with the index of keys"),
    "reversals": ("transaction", "it does not agree with the index of reversals"),
    "keys of holds": ("hold", "it does not agree with the index of keys of holds"),
    "open holds": ("hold", "it does not agree with the index of open holds"),
    "keys of wallets": ("wallet", "it does not agree with the index of keys of wallets"),
    "keys of users": ("user", "it does not agree with the index of keys of users"),
}
"""Where a row or its index entry can be lost (see sql.UNINDEXED): the kind of row, and the text of the error."""


EVERY_WALLET = -MAX_ID, MAX_ID
"""The first and the last id that a wallet may have in a row that was changed by hand."""


Watch = Callable[[int, int | None], None]
"""Told how many transactions are checked, and of how many, where that is known."""


def verify(
    ledger: Ledger,
    wallet: TypedWallet | None = None,
    watch: Watch | None = None,
    along: Along | None = None,
    *,
    all_cores: bool = False,
) -> Answer:
    """Check one wallet, or the whole ledger and the file under it: `ok, wallets, transactions`.

    Reads one snapshot in constant memory, while others write; with `all_cores`, other processes read the chains of a
    large ledger, each in one snapshot. Raises Damaged with the first bad row in `details.transaction`, `details.hold`,
    `details.wallet` or `details.user`, and, if more is wrong, with what is wrong first with each wallet, each user and
    the ledger in `details.wrong`. The ledger then takes no more writes until a verification of the whole ledger passes.
    Raises StorageError for a read that fails, and StorageError or Busy where all is right and the ledger still takes no
    writes.
    """
    try:
        answer, mark = _verified(ledger, wallet, watch, along, all_cores=all_cores)
    except Damaged as error:
        if not _note(ledger, error.finding):
            error.parts += ("; this cannot be noted in the ledger",)
            error.hint = f"stop what writes to it; {error.hint}"
        with suppress(WalletError):
            last_checks.note(ledger.store.ledger_id(), ledger.store.address, last_checks.FOUND_DAMAGE)
        raise
    if wallet is None:
        if not ledger.store.is_copy and ledger.store.itself().damaged is not None:
            _take_writes_again(ledger, mark)
        last_checks.note(ledger.store.ledger_id(), ledger.store.address, last_checks.VERIFIED)
    return answer


def check(ledger: Ledger, wallet: TypedWallet | None = None) -> Answer:
    """Check as `verify` does, and note nothing: for a copy, and for who only reads. Raises Damaged, or StorageError."""
    return _verified(ledger, wallet, None, None, all_cores=False)[0]


def _note(ledger: Ledger, damaged: str) -> bool:
    """Mark the ledger as damaged.

    False if that is not possible soon, and it has no mark: each write must find the damage itself. A copy has no mark,
    and an older ledger is not migrated for this.
    """
    if ledger.store.is_copy:
        return True
    with suppress(WalletError):
        with _alone(ledger) as store:
            store.set_damaged(damaged)
        return True
    with suppress(WalletError):
        return ledger.store.itself().damaged is not None
    return False


def _take_writes_again(ledger: Ledger, mark: str | None) -> None:
    """Take away the mark that the ledger had when its verification began.

    Raises StorageError for another one, as that damage was seen later; and StorageError or Busy if it cannot be taken
    away soon.
    """
    try:
        with _alone(ledger) as store:
            now = store.itself().damaged
            if now is not None and now != mark:
                raise StorageError(f"damage was seen meanwhile: {now}")
            store.set_damaged(None)
    except WalletError as error:
        error.parts = ("all was right when this began, but the ledger still takes no writes: ", *error.parts)
        error.hint = "run `wallet verify` again, as a user who may write to the ledger"
        raise


@contextmanager
def _alone(ledger: Ledger) -> Iterator[Store]:
    """Write to the ledger's own row, over another connection, because this one only reads. Raises WalletError."""
    with (
        open_ledger(ledger.chosen, lambda _: None, LOOK_TIMEOUT_S) as writing,
        writing.executor.exclusively("verify", LOOK_TIMEOUT_S),
    ):
        yield writing.store


def _verified(
    ledger: Ledger, wallet: TypedWallet | None, watch: Watch | None, along: Along | None, *, all_cores: bool
) -> tuple[Answer, str | None]:
    """The answer, and the mark that the ledger had in the snapshot that was read."""
    with ExitStack() as stack:
        stack.enter_context(_explained_by_schema(ledger))
        stack.enter_context(ledger.store.snapshot())
        ledger.must_be_whole()
        mark = ledger.store.itself().damaged
        first, last = EVERY_WALLET
        if wallet is not None:
            found = find_wallet(ledger, wallet)
            stack.enter_context(naming((wallet, found)))
            first = last = found.id
        if wallet is None:
            _check_file(ledger)
            _read_the_rest(ledger)
        else:
            _check_indexes(ledger, first, last)
        total = ledger.store.count(TRANSACTIONS) if wallet is None and (all_cores or watch is not None) else None
        told: Told = (lambda _: None) if watch is None else (lambda done: watch(done, total))
        if all_cores and along is None and not ledger.store.is_copy and cores() > 1 and (total or 0) >= MANY:
            checked = check_on_all_cores(ledger, told)
        else:
            checked = check_chains(ledger.store, first, last, told, along)
        wrong = [_error_of(ledger, each) for each in checked.wrong]
        if not wrong:
            _check_links(ledger, first, last)
        if wrong and along is not None:
            raise _first_of(wrong)
        known = {each.wallet_id for each in checked.wrong}
        wrong += _check_events(ledger, None if wallet is None else first, along, known)
        if wrong:
            raise _first_of(wrong)
        if wallet is None:
            _check_schema(ledger)
        if along is not None:
            along.end(ledger)
    return {"ok": True, "wallets": checked.wallets, "transactions": checked.transactions}, mark


@contextmanager
def _explained_by_schema(ledger: Ledger) -> Iterator[None]:
    """A statement fails where an index or a column that it names is gone, or another: that is what is wrong then."""
    try:
        yield
    except Undefined:
        _check_schema(ledger)
        raise


def _check_file(ledger: Ledger) -> None:
    # The engine finds an index entry for each row; with as many entries as rows, none is without a row.
    damage = ledger.store.damage()
    if damage is not None or not ledger.store.indexes_are_complete():
        _check_indexes(ledger, *EVERY_WALLET)
    if damage is not None:
        raise Damaged(f"the file is damaged: {damage}", hint="restore a backup")
    stray = ledger.store.stray_hold()
    if stray is not None:
        raise _bad_hold(*stray, f"there is no wallet {format_wallet_id(stray[0])}")
    lost = ledger.store.stray_witness()
    if lost is not None:
        raise Damaged(f"wallet {format_wallet_id(lost)} is missing", hint=RESTORE, wallet=lost, reason="it is missing")


def _read_the_rest(ledger: Ledger) -> None:
    """Check that what no chain covers is readable: the ledger itself, users, holds, operators; and all times."""
    wrong = ledger.store.itself().wrong() or ledger.store.beyond_calendar()
    if wrong is not None:
        raise wrong
    for what, rows in (
        ("user", ledger.store.users()),
        ("hold", ledger.store.holds_in_order()),
        ("operator key", iter(ledger.store.operators())),
    ):
        try:
            for _ in rows:
                pass
        except Damaged as error:
            raise Damaged(f"a {what} cannot be read: {error.message}", hint=RESTORE) from error


def _check_schema(ledger: Ledger) -> None:
    """A trigger would change what is written, and without an index or a check anything may be."""
    strange = ledger.store.strange_schema()
    if strange is not None:
        raise Damaged(f"the schema was changed: {strange}", hint=RESTORE, reason=strange)


def _check_indexes(ledger: Ledger, first: int, last: int) -> None:
    """Compare the rows with their indexes, both ways, for a range of wallets."""
    for what, (kind, reason) in OF_INDEXES.items():
        if kind == "user" and first == last:
            continue  # they belong to no wallet
        place = ledger.store.first_unindexed(what, first, last)
        if place is None:
            continue
        if not all(isinstance(each, int) for each in place):  # rows of another table, whose page is here
            raise Damaged(f"the index of {what} is damaged", hint=RESTORE)
        if kind == "transaction":
            raise _bad_row(place[0], place[1], reason)
        if kind == "hold":
            raise _bad_hold(place[0], place[1], reason)
        name = format_wallet_id(place[0]) if kind == "wallet" else f"{place[0]}"
        raise _BadRow(f"{kind} {name}: {reason}", hint=RESTORE, **{kind: place[0]}, reason=reason)


def _first_of(wrong: list[_BadRow]) -> _BadRow:
    """The first of several errors; with all of them in `details.wrong`, if there are more."""
    first, *others = wrong
    if others:
        listed = [error.details.copy() for error in wrong]
        first.parts += (f"; and {len(others):,} more {'are' if len(others) > 1 else 'is'} wrong",)
        first.details["wrong"] = listed
    return first


def _error_of(ledger: Ledger, wrong: Wrong) -> _BadRow:
    if wrong.seq is not None:
        return _bad_row(wrong.wallet_id, wrong.seq, wrong.reason)
    wallet = ledger.store.wallet(wrong.wallet_id)
    assert wallet is not None
    return _bad_wallet(wallet, wrong.reason)


def _check_links(ledger: Ledger, first: int, last: int) -> None:
    """Check what the rows of a range of wallets say about each other."""
    for what, reason in OF_TRANSACTIONS.items():
        place = ledger.store.first_wrong(what, first, last)
        if place is not None:
            wallet_id, seq = place
            raise _bad_row(wallet_id, seq, reason)
    for what, reason in OF_HOLDS.items():
        place = ledger.store.first_wrong(what, first, last)
        if place is not None:
            raise _bad_hold(place[0], place[1], reason)
    wrong = ledger.store.first_wrong("wallets", first, last)
    if wrong is not None:
        raise _wrong_holds(ledger, *wrong)


def _check_events(ledger: Ledger, wallet_id: int | None, along: Along | None, known: Collection[int]) -> list[_BadRow]:
    """Check the chains of events, and that users, wallets, holds, operator keys and settings are what they say.

    Returns what is wrong first with each user, with each wallet that is not `known` to be wrong, and with the ledger.
    """
    every = unlike(ledger.store, wallet_id, None if along is None else along.events)
    found = (each for each in every if each.subject[0] != events.WALLET or each.subject[1] not in known)
    return [_unlike(each) for each in islice(found, MAX_WRONG)]


def _unlike(wrong: Unlike) -> _BadRow:
    (kind, id_), of, reason = wrong
    if of is not None and of[0] == "hold":
        assert isinstance(of[1], int)
        return _bad_hold(id_, of[1], reason)
    if of is not None and of[0] == "key":
        return _BadRow(f"operator key {of[1]}: {reason}", hint=RESTORE, key=of[1], reason=reason)
    if kind == events.LEDGER:
        return _BadRow(f"the ledger itself: {reason}", hint=RESTORE, reason=reason)
    name = f"user {id_}" if kind == events.USER else f"wallet {format_wallet_id(id_)}"
    return _BadRow(f"{name}: {reason}", hint=RESTORE, **{events.KINDS[kind]: id_}, reason=reason)


def _wrong_holds(
    ledger: Ledger, wallet_id: int, held: int, holds: int, kept: int, counted: int, newest: int
) -> Damaged:
    """The error for a wallet that does not agree with its holds; None where all agree."""
    wallet = ledger.store.wallet(wallet_id)
    assert wallet is not None
    if held != kept:
        said, true = format_minor(held, wallet.currency), format_minor(kept, wallet.currency)
        return _bad_wallet(wallet, f"it says that {said} is held, but its open holds keep {true}")
    reason = f"it says that it had {holds} holds, but there are {counted}, the last with number {newest}"
    return _bad_wallet(wallet, reason)


class _BadRow(Damaged):
    """A row that is wrong; `details` name it."""


def _bad_row(wallet_id: int, seq: int, reason: str) -> _BadRow:
    id_ = format_transaction_id(wallet_id, seq)
    return _BadRow(f"transaction {id_}: {reason}", hint=RESTORE, transaction=id_, reason=reason)


def _bad_hold(wallet_id: int, number: int, reason: str) -> _BadRow:
    id_ = format_hold_id(wallet_id, number)
    return _BadRow(f"hold {id_}: {reason}", hint=RESTORE, hold=id_, reason=reason)


def _bad_wallet(wallet: Wallet, reason: str) -> _BadRow:
    return _BadRow(("wallet ", wallet.mention, f": {reason}"), hint=RESTORE, wallet=wallet.id, reason=reason)
