"""Proving a ledger: every running total, sequence number, time and hash worked out again and compared.

The walk of a wallet's chain shows what its rows say of themselves. What they say of others (the other leg of a
transfer, what a reversal takes back, what a hold has captured, what a wallet's holds keep) is compared after it, in one
statement each.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, suppress

from wallet_cli.domain import hash_chain
from wallet_cli.domain.ids import MAX_ID, TypedWallet, format_hold_id, format_transaction_id, format_wallet_id
from wallet_cli.domain.model import Transaction, Wallet, Witness
from wallet_cli.domain.money import format_minor
from wallet_cli.domain.rules.clocks import is_reset
from wallet_cli.errors import Damaged, StorageError, WalletError
from wallet_cli.operations import last_checks
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import LOOK_TIMEOUT_S, Ledger, open_ledger
from wallet_cli.operations.prepared import naming
from wallet_cli.operations.wallets import find_wallet

RESTORE = "the ledger was changed outside this program, or the disk is failing; restore a backup"

OF_TRANSACTIONS = {
    "legs": "the other leg of this transfer is missing, or is not its counterpart",
    "reversals": "it does not reverse an earlier transaction, of the other kind, that is no reversal itself",
    "overdone reversals": "its reversals come to more than itself",
    "captures": "it captures a hold that is not there, or is no debit",
}
OF_HOLDS = {
    "captured": "what it has captured is not what its captures come to",
    "holds": "its status, its amounts and its times do not agree",
}
"""What may be wrong between rows (see sql.WRONG), in the words of an error."""

OF_INDEXES = {
    "keys": ("transaction", "it and the index of keys do not agree"),
    "reversals": ("transaction", "it and the index of reversals do not agree"),
    "keys of holds": ("hold", "it and the index of the keys of holds do not agree"),
    "open holds": ("hold", "it and the index of open holds do not agree"),
    "keys of wallets": ("wallet", "it and the index of the keys of wallets do not agree"),
    "keys of users": ("user", "it and the index of the keys of users do not agree"),
}
"""Where a row or its entry in an index may be lost (see sql.UNINDEXED): of what thing, and in the words of an error."""


def verify(ledger: Ledger, wallet: TypedWallet | None = None) -> Answer:
    """Check one wallet, or the whole ledger and the file under it: `ok, wallets, transactions`.

    Reads one snapshot in constant memory, while others write. Raises Damaged that names the first bad row, in
    `details.transaction`, `details.hold`, `details.wallet` or `details.user`; the ledger then takes no more writes,
    until the whole of it is found right.
    """
    try:
        answer = _verified(ledger, wallet)
    except Damaged as error:
        if ledger.store.confirms(error):
            _note(ledger, error.finding)
        raise
    if wallet is None:
        itself = ledger.store.itself()
        if itself.damaged is not None:
            _note(ledger, None)
        if itself.facts.uuid is not None:
            last_checks.note(itself.facts.uuid, last_checks.VERIFIED)
    return answer


def _note(ledger: Ledger, damaged: str | None) -> None:
    """Mark the ledger as damaged, or as whole again, by another connection, as this one only reads.

    Where it cannot be written to soon, or has moved, each write has to see it by itself; an older one is not migrated.
    """
    if ledger.store.is_copy:
        return
    with (
        suppress(WalletError),
        open_ledger(ledger.chosen, lambda _: None, LOOK_TIMEOUT_S) as writing,
        writing.executor.exclusively("verify", LOOK_TIMEOUT_S),
    ):
        writing.store.set_damaged(damaged)


def _verified(ledger: Ledger, wallet: TypedWallet | None) -> Answer:
    with ExitStack() as stack:
        stack.enter_context(ledger.store.snapshot())
        ledger.must_be_whole()
        first, last = 0, MAX_ID
        if wallet is not None:
            found = find_wallet(ledger, wallet)
            stack.enter_context(naming((wallet, found)))
            wallets, first, last = iter([found]), found.id, found.id
        else:
            wallets = ledger.store.wallets()
            stack.callback(_give_up, wallets)  # or it would keep a lock that noting the damage has to wait for
        _check_indexes(ledger, first, last)
        if wallet is None:
            _check_file(ledger)
            _read_the_rest(ledger)
        checked = transactions = 0
        for each in wallets:
            transactions += _check_wallet(ledger, each)
            checked += 1
        _check_links(ledger, first, last)
        if wallet is None:
            _check_schema(ledger)
    return {"ok": True, "wallets": checked, "transactions": transactions}


def _give_up(rows: Iterator[Wallet]) -> None:
    if isinstance(rows, Generator):
        rows.close()


def _check_file(ledger: Ledger) -> None:
    damage = ledger.store.damage()
    if damage is not None:
        raise Damaged(f"the file is damaged: {damage}", hint="restore a backup")
    stray = ledger.store.stray_transaction()
    if stray is not None:
        id_ = format_transaction_id(*stray)
        raise _stray("transaction", id_, stray[0])
    stray = ledger.store.stray_hold()
    if stray is not None:
        id_ = format_hold_id(*stray)
        raise _stray("hold", id_, stray[0])
    lost = ledger.store.stray_witness()
    if lost is not None:
        raise Damaged(f"wallet {format_wallet_id(lost)} is missing", hint=RESTORE, wallet=lost, reason="it is missing")


def _read_the_rest(ledger: Ledger) -> None:
    """See that what no chain covers is there and can be read: the ledger's id, users, holds, operators."""
    if ledger.store.itself().facts.uuid is None:
        raise Damaged("the id of this ledger is missing", hint=RESTORE)
    for what, rows in (
        ("user", ledger.store.users()),
        ("hold", ledger.store.holds_in_order()),
        ("operator key", iter(ledger.store.operators())),
    ):
        try:
            for _ in rows:
                pass
        except StorageError as error:
            raise Damaged(f"a {what} cannot be read: {error.message}", hint=RESTORE) from error


def _check_schema(ledger: Ledger) -> None:
    """A trigger would change what is written, and without an index or a check anything may be."""
    strange = ledger.store.strange_schema()
    if strange is not None:
        raise Damaged(f"the schema was changed: {strange}", hint=RESTORE, reason=strange)


def _check_indexes(ledger: Ledger, first: int, last: int) -> None:
    """Compare what is looked up by an index with what the index has, both ways, for a range of wallets."""
    for what, (kind, reason) in OF_INDEXES.items():
        if kind == "user" and first:
            continue  # they are no wallet's
        place = ledger.store.first_unindexed(what, first, last)
        if place is None:
            continue
        if not all(isinstance(each, int) for each in place):  # rows of something else: a page of another table
            raise Damaged(f"the index of {what} is damaged", hint=RESTORE)
        if kind == "transaction":
            raise _bad_row(place[0], place[1], reason)
        if kind == "hold":
            raise _bad_hold(place[0], place[1], reason)
        name = format_wallet_id(place[0]) if kind == "wallet" else f"{place[0]}"
        raise _BadRow(f"{kind} {name}: {reason}", hint=RESTORE, **{kind: place[0]}, reason=reason)


def _stray(what: str, id_: str, wallet_id: int) -> Damaged:
    return Damaged(
        f"{what} {id_}: there is no wallet {format_wallet_id(wallet_id)}", hint="restore a backup", **{what: id_}
    )


def _check_wallet(ledger: Ledger, wallet: Wallet) -> int:
    """Walk the chain of one wallet from its first transaction; return how many there are."""
    if not wallet.currency.can_be:
        reason = f"{wallet.currency.name} does not have {wallet.currency.exponent} fraction digits"
        raise _bad_wallet(wallet, reason)
    last, resets = hash_chain.unopened(wallet), 0
    try:
        for transaction in ledger.store.oldest_first(wallet.id):
            wrong = _wrong(last, transaction)
            if transaction.at_us < last.at_us:
                resets += 1
                if not is_reset(transaction, resets):
                    wrong = "its time is before that of the transaction before it"
            if wrong is not None:
                raise _bad_row(wallet.id, transaction.seq, wrong)
            last = transaction
    except _BadRow:
        raise
    except StorageError as error:
        seq = _first_unreadable(ledger, wallet, last.seq + 1)
        raise _bad_row(wallet.id, seq, f"it cannot be read: {error.message}") from error
    _compare_with_witness(wallet, last, ledger.store.witness(wallet.id))
    return last.seq


def _compare_with_witness(wallet: Wallet, last: Transaction, witness: Witness | None) -> None:
    """A chain does not show that its end is missing, nor a wallet that its row is an older one: a second place does."""
    if witness is None:
        raise _bad_wallet(wallet, "its witness is missing")
    true = Witness.of(wallet, last)
    if witness.seq > last.seq:
        raise _bad_row(wallet.id, last.seq + 1, f"it is missing: there were {witness.seq} in this wallet")
    if witness.seq < last.seq:
        raise _bad_row(wallet.id, witness.seq + 1, "the witness of its wallet does not know of it")
    if witness.hash != true.hash:
        raise _bad_row(wallet.id, last.seq, "it is not the one of which the witness of its wallet knows")
    if witness != true:
        differ = [name for name in Witness._fields if getattr(witness, name) != getattr(true, name)]
        raise _bad_wallet(wallet, f"its witness says something else of its {' and '.join(differ)}")


def _check_links(ledger: Ledger, first: int, last: int) -> None:
    """Compare what the rows of a range of wallets say of each other."""
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


def _wrong_holds(
    ledger: Ledger, wallet_id: int, held: int, holds: int, kept: int, counted: int, newest: int
) -> Damaged:
    """A wallet that says something else of its holds than they do."""
    wallet = ledger.store.wallet(wallet_id)
    assert wallet is not None
    if held != kept:
        said, true = format_minor(held, wallet.currency), format_minor(kept, wallet.currency)
        return _bad_wallet(wallet, f"it says that {said} is held, and its open holds keep {true}")
    reason = f"it says that it has had {holds} holds, and there are {counted}, the last of them number {newest}"
    return _bad_wallet(wallet, reason)


def _first_unreadable(ledger: Ledger, wallet: Wallet, seq: int) -> int:
    """The first row from `seq` on that cannot be read; a walk may stumble over it one row early."""
    try:
        while ledger.store.transaction(wallet.id, seq) is not None:
            seq += 1
    except StorageError:
        pass
    return seq


class _BadRow(Damaged):
    """A row that is not what it should be; `details` name it."""


def _bad_row(wallet_id: int, seq: int, reason: str) -> _BadRow:
    id_ = format_transaction_id(wallet_id, seq)
    return _BadRow(f"transaction {id_}: {reason}", hint=RESTORE, transaction=id_, reason=reason)


def _bad_hold(wallet_id: int, number: int, reason: str) -> _BadRow:
    id_ = format_hold_id(wallet_id, number)
    return _BadRow(f"hold {id_}: {reason}", hint=RESTORE, hold=id_, reason=reason)


def _bad_wallet(wallet: Wallet, reason: str) -> _BadRow:
    return _BadRow(("wallet ", wallet.mention, f": {reason}"), hint=RESTORE, wallet=wallet.id, reason=reason)


def _wrong(last: Transaction, transaction: Transaction) -> str | None:
    """What is wrong with a transaction that follows `last`; None where nothing is."""
    is_credit, amount = transaction.is_credit, transaction.amount
    if transaction.seq != last.seq + 1:
        return f"seq {last.seq + 1} is missing"
    if transaction.credit_total != last.credit_total + (amount if is_credit else 0):
        return "the running total of credits is wrong"
    if transaction.debit_total != last.debit_total + (0 if is_credit else amount):
        return "the running total of debits is wrong"
    if transaction.credit_count != last.credit_count + is_credit:
        return "the running count of credits is wrong"
    if not hash_chain.follows(last.hash, transaction):
        return "the hash is wrong"
    return None
