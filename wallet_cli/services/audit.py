"""Proving a ledger: every running total, sequence number, time and hash worked out again and compared."""

from __future__ import annotations

from wallet_cli.domain import chain
from wallet_cli.domain.address import format_transaction_id, parse_wallet
from wallet_cli.domain.model import Transaction, Wallet
from wallet_cli.errors import StorageError
from wallet_cli.services.answers import Answer
from wallet_cli.services.context import Ledger
from wallet_cli.services.wallets import find_account


def verify(ledger: Ledger, name: str | None = None) -> Answer:
    """Check one wallet, or the whole ledger and the file under it: `ok, wallets, transactions`.

    Reads one snapshot in constant memory, while others write. Raises StorageError that names the first bad row.
    """
    with ledger.store.snapshot():
        if name is not None:
            wallets = iter([find_account(ledger, parse_wallet(name)).wallet])
        else:
            _check_file(ledger)
            wallets = ledger.store.wallets()
        checked = transactions = 0
        for wallet in wallets:
            transactions += _check_wallet(ledger, wallet)
            checked += 1
    return {"ok": True, "wallets": checked, "transactions": transactions}


def _check_file(ledger: Ledger) -> None:
    damage = ledger.store.damage()
    if damage is not None:
        raise StorageError(f"the file is damaged: {damage}", hint="restore a backup")
    stray = ledger.store.stray_transaction()
    if stray is not None:
        id_ = format_transaction_id(*stray)
        raise StorageError(
            f"transaction {id_}: there is no wallet {stray[0]}", hint="restore a backup", transaction=id_
        )


def _check_wallet(ledger: Ledger, wallet: Wallet) -> int:
    """Walk the chain of one wallet from its first transaction; return how many there are."""
    last = chain.unopened(wallet)
    for transaction in ledger.store.oldest_first(wallet.id):
        wrong = _wrong(last, transaction)
        if wrong is not None:
            id_ = format_transaction_id(wallet.id, transaction.seq)
            raise StorageError(
                f"transaction {id_}: {wrong}",
                hint="history was changed outside this program; restore a backup",
                transaction=id_,
                reason=wrong,
            )
        last = transaction
    return last.seq


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
    if transaction.at_us < last.at_us:
        return "its time is before that of the transaction before it"
    if transaction.hash != chain.link(last.hash, *transaction[1:-1]):
        return "the hash is wrong"
    return None
