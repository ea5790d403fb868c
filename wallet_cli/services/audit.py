"""Proving a ledger: every running total, sequence number, time and hash worked out again and compared."""

from __future__ import annotations

from wallet_cli.domain import chain
from wallet_cli.domain.address import WalletName, format_transaction_id
from wallet_cli.domain.model import Transaction, Wallet
from wallet_cli.domain.money import Currency, parse_currency
from wallet_cli.errors import InvalidInput, StorageError
from wallet_cli.services.answers import Answer
from wallet_cli.services.context import Ledger
from wallet_cli.services.wallets import find_account

RESTORE = "the ledger was changed outside this program; restore a backup"


def verify(ledger: Ledger, wallet: WalletName | None = None) -> Answer:
    """Check one wallet, or the whole ledger and the file under it: `ok, wallets, transactions`.

    Reads one snapshot in constant memory, while others write. Raises StorageError that names the first bad row.
    """
    with ledger.store.snapshot():
        if wallet is not None:
            wallets = iter([find_account(ledger, wallet).wallet])
        else:
            _check_file(ledger)
            wallets = ledger.store.wallets()
        checked = transactions = 0
        for each in wallets:
            transactions += _check_wallet(ledger, each)
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
    if not _is_known(wallet.currency):
        raise StorageError(
            f"wallet {wallet.id}: {wallet.currency.name} does not have {wallet.currency.exponent} fraction digits",
            hint=RESTORE,
            wallet=wallet.id,
        )
    last = chain.unopened(wallet)
    try:
        for transaction in ledger.store.oldest_first(wallet.id):
            wrong = _wrong(last, transaction)
            if wrong is not None:
                raise _bad_row(wallet, transaction.seq, wrong)
            last = transaction
    except _BadRow:
        raise
    except StorageError as error:
        seq = _first_unreadable(ledger, wallet, last.seq + 1)
        raise _bad_row(wallet, seq, f"it cannot be read: {error.message}") from error
    return last.seq


def _first_unreadable(ledger: Ledger, wallet: Wallet, seq: int) -> int:
    """The first row from `seq` on that cannot be read; a walk may stumble over it one row early."""
    try:
        while ledger.store.transaction(wallet.id, seq) is not None:
            seq += 1
    except StorageError:
        pass
    return seq


class _BadRow(StorageError):
    """A row that is not what it should be; `details.transaction` names it."""


def _bad_row(wallet: Wallet, seq: int, reason: str) -> _BadRow:
    id_ = format_transaction_id(wallet.id, seq)
    return _BadRow(f"transaction {id_}: {reason}", hint=RESTORE, transaction=id_, reason=reason)


def _is_known(currency: Currency) -> bool:
    """Whether a currency still has the fraction digits of its name: they say where every amount's point is."""
    try:
        return parse_currency(currency.name) == currency
    except InvalidInput:
        return False


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
    if not chain.follows(last.hash, transaction):
        return "the hash is wrong"
    return None
