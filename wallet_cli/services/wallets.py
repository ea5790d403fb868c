"""Opening wallets, and what they hold."""

from __future__ import annotations

from wallet_cli.domain import chain
from wallet_cli.domain.address import WalletName, format_transaction_id, parse_wallet
from wallet_cli.domain.commands import OpenWallet
from wallet_cli.domain.model import Account, Transaction, Wallet
from wallet_cli.domain.money import parse_currency, parse_minimum
from wallet_cli.domain.period import format_end, parse_time
from wallet_cli.errors import StorageError, WalletExists, WalletNotFound
from wallet_cli.services.answers import Answer, wallet_answer
from wallet_cli.services.context import Ledger
from wallet_cli.services.users import find_user


def create(
    ledger: Ledger,
    name: str,
    currency: str | None = None,
    minimum_balance: str | None = None,
    *,
    exist_ok: bool = False,
) -> Answer:
    """Open a wallet (`USER` or `USER/TYPE`); the answer is a `wallet`.

    Raises InvalidInput, UserNotFound, or WalletExists; `exist_ok` accepts a wallet that is there, but not one in
    another currency than the one asked for.
    """
    address = parse_wallet(name)
    unit = parse_currency(currency) if currency is not None else ledger.settings.currency
    own_minimum = parse_minimum(minimum_balance, unit) if minimum_balance is not None else None
    user = find_user(ledger, address.user)
    try:
        result = ledger.carry_out(OpenWallet(user.id, address.type, unit, own_minimum), "create")
    except WalletExists:
        known = ledger.store.account_of(user.id, address.type)
        if not exist_ok or known is None or (currency is not None and known.wallet.currency != unit):
            raise
        return wallet_answer(known, ledger.policy)
    assert isinstance(result.made, Wallet)
    return wallet_answer(Account(result.made, chain.unopened(result.made)), ledger.policy)


def balance(ledger: Ledger, name: str, at: str | None = None) -> Answer:
    """What a wallet holds now, or held at the end of the TIME `at`; the answer is a `wallet`, with `at` if given."""
    address = parse_wallet(name)
    moment_us = parse_time(at, ledger.settings.timezone).end_us if at is not None else None
    if moment_us is None:
        return wallet_answer(find_account(ledger, address), ledger.policy)
    with ledger.store.snapshot():
        account = find_account(ledger, address)
        past = Account(account.wallet, state_before(ledger, account, moment_us))
    return wallet_answer(past, ledger.policy) | {"at": format_end(moment_us)}


def find_account(ledger: Ledger, name: WalletName) -> Account:
    """The wallet that a person named, and its last transaction; raises UserNotFound or WalletNotFound."""
    user = find_user(ledger, name.user)
    account = ledger.store.account_of(user.id, name.type)
    if account is None:
        raise WalletNotFound(
            f"user {user.id} has no wallet of type {name.type}", hint=f"wallet create id:{user.id}/{name.type} opens it"
        )
    return account


def state_before(ledger: Ledger, account: Account, moment_us: int) -> Transaction:
    """The last transaction of a wallet before a moment, which is its state then."""
    wallet, last = account
    if last.at_us < moment_us:
        return last
    seq = ledger.store.last_seq_before(wallet.id, last.seq, moment_us)
    if not seq:
        return chain.unopened(wallet)
    found = ledger.store.transaction(wallet.id, seq)
    if found is None:
        raise StorageError(
            f"transaction {format_transaction_id(wallet.id, seq)} is missing", hint="`wallet verify` says more"
        )
    return found
