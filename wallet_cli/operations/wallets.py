"""Opening wallets, their balances, limits and status."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import TypeVar

from wallet_cli.domain import hash_chain
from wallet_cli.domain.commands import SAME, Applied, OpenWallet, Replayed, Same, SetLimits, SetStatus
from wallet_cli.domain.ids import (
    OwnedWallet,
    TypedWallet,
    UserId,
    UserName,
    WalletId,
    WalletName,
    WalletRef,
    checked_key,
    format_transaction_id,
    format_wallet_id,
    is_phone_as_type,
)
from wallet_cli.domain.model import Account, Policy, Transaction, Wallet
from wallet_cli.domain.money import (
    Currency,
    format_minor,
    parse_currency,
    parse_daily_debit,
    parse_maximum,
    parse_minimum,
    parse_told,
)
from wallet_cli.domain.period import format_end, parse_time
from wallet_cli.errors import InvalidInput, NotFound, StorageError, WalletNotFound
from wallet_cli.operations.answers import Answer, holder_answer, wallet_answer
from wallet_cli.operations.context import Ledger
from wallet_cli.operations.pages import Paged, paged
from wallet_cli.operations.prepared import Prepared, told_again
from wallet_cli.operations.users import find_user

NO_LIMIT = "none"
"""Removes a limit; the minimum is then that of the setting."""

MAX_HOLDERS = 100
"""Of how many wallets a request may ask whose they are."""

MOST_TYPES = 10
"""How many wallet types of a user a hint names."""

T = TypeVar("T")


def create(
    ledger: Ledger,
    name: WalletName,
    currency: str | None = None,
    minimum_balance: str | None = None,
    key: str | None = None,
) -> Prepared[OpenWallet]:
    """Open a wallet; the answer is a `wallet`. Raises InvalidInput or UserNotFound; the rules, WalletExists."""
    key = checked_key(key)
    unit = unit_to_open(ledger, name, currency)
    user_id = find_user(ledger, name.user).id
    prior = None if key is None else ledger.store.wallet_by_key(user_id, key)
    if prior is not None and (currency is None or prior.currency.is_meant(currency)):
        # A request that is sent again means the currency that it got the first time.
        unit = prior.currency
    policy = ledger.policy_at(None if prior is None else prior.created_at_us)
    own_minimum = parse_minimum(minimum_balance, unit) if minimum_balance is not None else None
    command = OpenWallet(user_id, name.type, unit, own_minimum, key=key, currency_given=currency is not None)
    return Prepared(command, partial(_changed, policy))


def unit_to_open(ledger: Ledger, name: WalletName, text: str | None) -> Currency:
    """The currency in which a wallet is opened: the one that `text` names, or the usual one.

    Today's table decides, but not about a wallet that is there. Raises InvalidInput.
    """
    try:
        return parse_currency(text) if text is not None else _usual_unit(ledger)
    except InvalidInput:
        with suppress(NotFound):
            unit = find_account(ledger, name).wallet.currency
            if text is None or unit.is_meant(text):
                return unit
        raise


def _usual_unit(ledger: Ledger) -> Currency:
    unit = ledger.settings.currency
    try:
        return parse_currency(unit.name)
    except InvalidInput as error:  # the ledger's own, of an earlier table
        raise InvalidInput(
            f"no wallet can be opened in the ledger's currency: {error.message}",
            hint=f"{error.hint}; name one, or change the ledger's: wallet ledger set currency CURRENCY",
        ) from None


def other_minimum(made: Answer, asked: str | None) -> str | None:
    """What to do where a wallet that is there has another minimum than the one asked for; None where it has that."""
    if asked is None:
        return None
    has, unit = made["minimum_balance"], parse_told(made["currency"], made["balance"])
    if format_minor(parse_minimum(asked, unit), unit) == has:
        return None
    return has_minimum(has)


def has_minimum(has: str) -> str:
    return f"its minimum balance is {has}; to change it: wallet limits WALLET --minimum-balance A"


def balance(ledger: Ledger, wallet: WalletRef, at: str | None = None) -> Answer:
    """A wallet's balance now, or at the end of the TIME `at`; the answer is a `wallet`, with `at` if given."""
    if at is None:
        return wallet_answer(find_account(ledger, wallet), ledger.policy)
    now_us = ledger.now_us()
    moment_us = parse_time(at, ledger.zone_of_times, lambda: now_us).end_us
    with ledger.store.snapshot():
        # What has expired by then is free then.
        account = find_account(ledger, wallet, moment_us - 1)
        then = account._replace(last=state_before(ledger, account, moment_us))
    if moment_us <= now_us:
        # What was held in the past is not known: a past balance is not for spending.
        then = then._replace(wallet=then.wallet._replace(held=0), expired=0)
    return wallet_answer(then, ledger.policy) | {"at": format_end(moment_us)}


def of_user(ledger: Ledger, name: UserName) -> list[Answer]:
    """All wallets of a user, in the order in which they were opened."""
    with ledger.store.snapshot():
        user = find_user(ledger, name)
        policy = ledger.policy
        return [wallet_answer(account, policy) for account in ledger.store.accounts_of(user.id, ledger.now_us())]


def set_status(ledger: Ledger, ref: WalletRef, status: str) -> Prepared[SetStatus]:
    """Freeze, unfreeze (`active`) or close a wallet; the answer is the `wallet`.

    The rules refuse a closed wallet with WalletNotActive, and the closing of a wallet with a balance or a hold with
    WalletNotEmpty.
    """
    found = find_wallet(ledger, ref)
    return Prepared(SetStatus(found.id, status), partial(_changed, ledger.policy), ((ref, found),))


def set_limits(
    ledger: Ledger,
    ref: WalletRef,
    minimum_balance: str | None = None,
    maximum_balance: str | None = None,
    daily_debit: str | None = None,
) -> Prepared[SetLimits]:
    """Change the given limits; `none` removes one. The answer is the `wallet`. Raises InvalidInput."""
    found = find_wallet(ledger, ref)

    def read(text: str | None, parse: Callable[[str, Currency], int]) -> int | Same | None:
        if text is None:
            return SAME
        return None if text == NO_LIMIT else parse(text, found.currency)

    command = SetLimits(
        found.id,
        read(minimum_balance, parse_minimum),
        read(maximum_balance, parse_maximum),
        read(daily_debit, parse_daily_debit),
    )
    return Prepared(command, partial(_changed, ledger.policy), ((ref, found),))


def _changed(policy: Policy, result: Applied | Replayed) -> Answer:
    """The answer of opening or changing a wallet: the wallet after it. Nothing is read again."""
    wallet, last = result
    assert isinstance(wallet, Wallet)
    return told_again(wallet_answer(Account(wallet, last or hash_chain.unopened(wallet)), policy), result)


def listed(ledger: Ledger, name: UserName | None = None) -> Paged:
    """All wallets, or a user's, in the order in which they were opened."""

    def owner() -> int | None:
        return None if name is None else find_user(ledger, name).id

    def read(after: int, limit: int) -> Iterator[tuple[int, Answer]]:
        with ledger.store.snapshot():
            user_id, policy = owner(), ledger.policy
            for account in ledger.store.accounts_after(after, limit, ledger.now_us(), user_id):
                yield account.wallet.id, wallet_answer(account, policy)

    return paged("wallets", read, lambda: ledger.store.wallet_count(owner()))


def holders(ledger: Ledger, ids: Iterable[int], seen_by: int | None = None) -> list[Answer]:
    """Whose those wallets are, of each that there is, in the order of the ids; only those of the user `seen_by`."""
    found = {wallet.id: (wallet, user) for wallet, user in ledger.store.holders(ids)}
    return [holder_answer(*found[id_]) for id_ in sorted(found) if seen_by in (None, found[id_][1].id)]


def find_account(ledger: Ledger, ref: WalletRef, moment_us: int | None = None) -> Account:
    """The named wallet and its last transaction; holds that expired by a moment are free, None: by now.

    Raises UserNotFound or WalletNotFound.
    """
    store, now_us = ledger.store, ledger.now_us() if moment_us is None else moment_us
    if not isinstance(ref, OwnedWallet):
        return _found(ledger, ref, lambda id_: store.account(id_, now_us), partial(store.account_of, now_us=now_us))
    account = store.account_owned(ref.wallet_id, ref.user_id, now_us)
    if account is None:
        raise _not_owned(ref)
    return account


def _found(
    ledger: Ledger, ref: TypedWallet, by_id: Callable[[int], T | None], by_owner: Callable[[int, str], T | None]
) -> T:
    """The result of the query for the named wallet, by its id, or by its owner and type."""
    if isinstance(ref, WalletId):
        found = by_id(ref.wallet_id)
        if found is None:
            raise no_wallet(ref)
        return found
    user_id = ref.user.id if isinstance(ref.user, UserId) else find_user(ledger, ref.user).id
    found = by_owner(user_id, ref.type)
    if found is None:
        # Only where there is no wallet does it matter whether the user exists.
        find_user(ledger, UserId(user_id))
        from wallet_cli.likely import likely

        types = [each.wallet.type for each in ledger.store.accounts_after(0, MOST_TYPES + 1, ledger.now_us(), user_id)]
        known = ", ".join(types[:MOST_TYPES]) + (", …" if len(types) > MOST_TYPES else "")
        meant = likely(ref.type, types)
        number = f"{ref.type} looks like a phone number: give one number alone, or "
        is_other_case = meant is not None and meant.lower() == ref.type.lower()
        raise WalletNotFound(
            f"user {ref.user_text} has no wallet of type {ref.type}",
            hint=(f"did you mean {meant}? " if meant else "")
            + (f"the user has: {known}" if types else "")
            + ("; " if types and not is_other_case else "")
            + (number if is_phone_as_type(ref.type) else "")
            + ("" if is_other_case else f"open it: wallet create id:{user_id}/{ref.type}"),
        )
    return found


def find_wallet(ledger: Ledger, ref: WalletRef) -> Wallet:
    """Like find_account, for the fields that never change: id, owner, type and currency.

    A wallet found by its id and owner is remembered, because neither can change.
    """
    if not isinstance(ref, OwnedWallet):
        return _found(ledger, ref, ledger.store.wallet, ledger.store.wallet_of)
    wallet = ledger.known_wallets.get(ref)
    if wallet is None:
        wallet = ledger.store.wallet_owned(ref.wallet_id, ref.user_id)
        if wallet is None:
            raise _not_owned(ref)
        ledger.remember(ref, wallet)
    return wallet


def no_wallet(ref: WalletId) -> WalletNotFound:
    """The error for a wallet that does not exist."""
    return WalletNotFound(f"there is no wallet {ref.text}", hint="list the wallets: wallet list")


def _not_owned(ref: OwnedWallet) -> WalletNotFound:
    return WalletNotFound(f"user {ref.user_id} has no wallet {format_wallet_id(ref.wallet_id)}")


def state_before(ledger: Ledger, account: Account, moment_us: int) -> Transaction:
    """The last transaction of a wallet before a moment: its state at that time."""
    wallet, last = account.wallet, account.last
    if last.at_us < moment_us:
        return last
    seq = ledger.store.last_seq_before(wallet.id, last.seq, moment_us)
    if not seq:
        return hash_chain.unopened(wallet)
    found = ledger.store.transaction(wallet.id, seq)
    if found is None:
        raise StorageError(
            f"transaction {format_transaction_id(wallet.id, seq)} is missing", hint="for details: wallet verify"
        )
    return found
