"""Proving a ledger: every running total, sequence number, time and hash worked out again and compared.

The walk of a wallet's chain shows what its rows say of themselves. What they say of others (the other leg of a
transfer, what a reversal takes back, what a hold has captured, what a wallet's holds keep) is compared after it, in one
statement each.
"""

from __future__ import annotations

from contextlib import ExitStack

from wallet_cli.domain import chain
from wallet_cli.domain.address import MAX_ID, TypedWallet, format_hold_id, format_transaction_id, format_wallet_id
from wallet_cli.domain.model import Transaction, Wallet
from wallet_cli.domain.money import format_minor
from wallet_cli.domain.rules.clocks import is_reset
from wallet_cli.errors import StorageError
from wallet_cli.services.answers import Answer
from wallet_cli.services.context import Ledger
from wallet_cli.services.wallets import find_account, naming

RESTORE = "the ledger was changed outside this program; restore a backup"

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


def verify(ledger: Ledger, wallet: TypedWallet | None = None) -> Answer:
    """Check one wallet, or the whole ledger and the file under it: `ok, wallets, transactions`.

    Reads one snapshot in constant memory, while others write. Raises StorageError that names the first bad row, in
    `details.transaction`, `details.hold` or `details.wallet`.
    """
    with ExitStack() as stack:
        stack.enter_context(ledger.store.snapshot())
        ledger.must_be_whole()
        first, last = 0, MAX_ID
        if wallet is not None:
            found = find_account(ledger, wallet).wallet
            stack.enter_context(naming((wallet, found)))
            wallets, first, last = iter([found]), found.id, found.id
        else:
            _check_file(ledger)
            wallets = ledger.store.wallets()
        checked = transactions = 0
        for each in wallets:
            transactions += _check_wallet(ledger, each)
            checked += 1
        _check_links(ledger, first, last)
    return {"ok": True, "wallets": checked, "transactions": transactions}


def _check_file(ledger: Ledger) -> None:
    damage = ledger.store.damage()
    if damage is not None:
        raise StorageError(f"the file is damaged: {damage}", hint="restore a backup")
    stray = ledger.store.stray_transaction()
    if stray is not None:
        id_ = format_transaction_id(*stray)
        raise _stray("transaction", id_, stray[0])
    stray = ledger.store.stray_hold()
    if stray is not None:
        id_ = format_hold_id(*stray)
        raise _stray("hold", id_, stray[0])


def _stray(what: str, id_: str, wallet_id: int) -> StorageError:
    return StorageError(
        f"{what} {id_}: there is no wallet {format_wallet_id(wallet_id)}", hint="restore a backup", **{what: id_}
    )


def _check_wallet(ledger: Ledger, wallet: Wallet) -> int:
    """Walk the chain of one wallet from its first transaction; return how many there are."""
    if not wallet.currency.can_be:
        raise StorageError(
            (
                "wallet ",
                wallet.mention,
                f": {wallet.currency.name} does not have {wallet.currency.exponent} fraction digits",
            ),
            hint=RESTORE,
            wallet=wallet.id,
        )
    last, resets = chain.unopened(wallet), 0
    try:
        for transaction in ledger.store.oldest_first(wallet.id):
            wrong = _wrong(last, transaction)
            if wrong is None and transaction.at_us < last.at_us:
                resets += 1
                wrong = (
                    None if is_reset(transaction, resets) else "its time is before that of the transaction before it"
                )
            if wrong is not None:
                raise _bad_row(wallet.id, transaction.seq, wrong)
            last = transaction
    except _BadRow:
        raise
    except StorageError as error:
        seq = _first_unreadable(ledger, wallet, last.seq + 1)
        raise _bad_row(wallet.id, seq, f"it cannot be read: {error.message}") from error
    return last.seq


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
            wallet_id, number = place
            id_ = format_hold_id(wallet_id, number)
            raise _BadRow(f"hold {id_}: {reason}", hint=RESTORE, hold=id_, reason=reason)
    wrong = ledger.store.first_wrong("wallets", first, last)
    if wrong is not None:
        raise _bad_wallet(ledger, *wrong)


def _bad_wallet(
    ledger: Ledger, wallet_id: int, held: int, holds: int, kept: int, counted: int, newest: int
) -> StorageError:
    """A wallet that says something else of its holds than they do."""
    account = ledger.store.account(wallet_id, ledger.now_us())
    assert account is not None
    if held != kept:
        said, true = format_minor(held, account.wallet.currency), format_minor(kept, account.wallet.currency)
        reason = f"it says that {said} is held, and its open holds keep {true}"
    else:
        reason = f"it says that it has had {holds} holds, and there are {counted}, the last of them number {newest}"
    return _BadRow(("wallet ", account.wallet.mention, f": {reason}"), hint=RESTORE, wallet=wallet_id, reason=reason)


def _first_unreadable(ledger: Ledger, wallet: Wallet, seq: int) -> int:
    """The first row from `seq` on that cannot be read; a walk may stumble over it one row early."""
    try:
        while ledger.store.transaction(wallet.id, seq) is not None:
            seq += 1
    except StorageError:
        pass
    return seq


class _BadRow(StorageError):
    """A row that is not what it should be; `details` name it."""


def _bad_row(wallet_id: int, seq: int, reason: str) -> _BadRow:
    id_ = format_transaction_id(wallet_id, seq)
    return _BadRow(f"transaction {id_}: {reason}", hint=RESTORE, transaction=id_, reason=reason)


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
    if not chain.follows(last.hash, transaction):
        return "the hash is wrong"
    return None
