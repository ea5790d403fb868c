"""Opening wallets, and what they hold."""

from __future__ import annotations

from wallet_cli.domain import chain
from wallet_cli.domain.address import OwnedWallet, UserId, UserName, WalletName, WalletRef, format_transaction_id
from wallet_cli.domain.commands import Applied, OpenWallet, Replayed
from wallet_cli.domain.model import Account, Transaction, Wallet
from wallet_cli.domain.money import parse_currency, parse_minimum
from wallet_cli.domain.period import format_end, parse_time
from wallet_cli.errors import StorageError, WalletExists, WalletNotFound
from wallet_cli.services.answers import Answer, wallet_answer
from wallet_cli.services.context import Ledger
from wallet_cli.services.users import find_user


def create(
    ledger: Ledger,
    name: WalletName,
    currency: str | None = None,
    minimum_balance: str | None = None,
    *,
    exist_ok: bool = False,
) -> Answer:
    """Open a wallet; the answer is a `wallet`.

    Raises InvalidInput, UserNotFound, or WalletExists; `exist_ok` accepts a wallet that is there, but not one in
    another currency than the one asked for.
    """
    command = opening(ledger, name, currency, minimum_balance)
    try:
        return opened(ledger, ledger.carry_out(command, "create"))
    except WalletExists:
        known = ledger.store.account_of(command.user_id, command.type)
        if not exist_ok or known is None or (currency is not None and known.wallet.currency != command.currency):
            raise
        return wallet_answer(known, ledger.policy)


def opening(ledger: Ledger, name: WalletName, currency: str | None, minimum_balance: str | None) -> OpenWallet:
    """The command that opens a wallet. Raises InvalidInput or UserNotFound."""
    unit = parse_currency(currency) if currency is not None else ledger.settings.currency
    own_minimum = parse_minimum(minimum_balance, unit) if minimum_balance is not None else None
    return OpenWallet(find_user(ledger, name.user).id, name.type, unit, own_minimum)


def opened(ledger: Ledger, result: Applied | Replayed) -> Answer:
    """What opening a wallet answers."""
    wallet = result.made
    assert isinstance(wallet, Wallet)
    return wallet_answer(Account(wallet, chain.unopened(wallet)), ledger.policy)


def balance(ledger: Ledger, wallet: WalletRef, at: str | None = None) -> Answer:
    """What a wallet holds now, or held at the end of the TIME `at`; the answer is a `wallet`, with `at` if given."""
    if at is None:
        return wallet_answer(find_account(ledger, wallet), ledger.policy)
    moment_us = parse_time(at, ledger.settings.timezone).end_us
    with ledger.store.snapshot():
        account = find_account(ledger, wallet)
        past = Account(account.wallet, state_before(ledger, account, moment_us))
    return wallet_answer(past, ledger.policy) | {"at": format_end(moment_us)}


def of_user(ledger: Ledger, name: UserName) -> list[Answer]:
    """All wallets of a user, in the order in which they were opened."""
    with ledger.store.snapshot():
        user = find_user(ledger, name)
        return [wallet_answer(account, ledger.policy) for account in ledger.store.accounts_of(user.id)]


def find_account(ledger: Ledger, ref: WalletRef) -> Account:
    """The wallet that somebody named, and its last transaction; raises UserNotFound or WalletNotFound."""
    if isinstance(ref, OwnedWallet):
        account = ledger.store.account_owned(ref.wallet_id, ref.user_id)
        if account is None:
            raise _not_owned(ref)
        return account
    user_id = ref.user.id if isinstance(ref.user, UserId) else find_user(ledger, ref.user).id
    account = ledger.store.account_of(user_id, ref.type)
    if account is None:
        # Whether there is a user of that id matters only where there is no wallet.
        find_user(ledger, UserId(user_id))
        raise WalletNotFound(
            f"user {user_id} has no wallet of type {ref.type}", hint=f"wallet create id:{user_id}/{ref.type} opens it"
        )
    return account


def find_wallet(ledger: Ledger, ref: WalletRef) -> Wallet:
    """Like find_account, for what only needs what never changes: id, owner, type and currency.

    A wallet that was found by its id and owner is remembered, as neither can change.
    """
    if not isinstance(ref, OwnedWallet):
        return find_account(ledger, ref).wallet
    wallet = ledger.known_wallets.get(ref)
    if wallet is None:
        wallet = ledger.store.wallet_owned(ref.wallet_id, ref.user_id)
        if wallet is None:
            raise _not_owned(ref)
        ledger.remember(ref, wallet)
    return wallet


def _not_owned(ref: OwnedWallet) -> WalletNotFound:
    return WalletNotFound(f"user {ref.user_id} has no wallet {ref.wallet_id}")


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
