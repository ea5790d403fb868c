"""The rules: state and a batch of commands in, one result for each out.

Every check of a command stands before its first effect, in this order of precedence:
exists → active → key → amount → time → overflow → funds. A refusal leaves the state as it was and does not touch its
neighbours in the batch. The shape is that of TigerBeetle's state machine.
"""

from __future__ import annotations

from collections.abc import Iterable

from wallet_cli.domain import chain
from wallet_cli.domain.address import format_transaction_id
from wallet_cli.domain.commands import (
    AdmitOperator,
    Applied,
    AppliedTogether,
    Command,
    NoteUse,
    OpenWallet,
    Post,
    Refusal,
    Register,
    Replayed,
    Result,
    RevokeOperator,
    Single,
    Together,
)
from wallet_cli.domain.model import ACTIVE, Operator, Policy, Transaction, User, Wallet, available
from wallet_cli.domain.money import MAX_AMOUNT_MINOR, MAX_TOTAL_MINOR, format_minor
from wallet_cli.domain.period import format_time
from wallet_cli.errors import (
    BalanceOverflow,
    InsufficientFunds,
    InvalidInput,
    KeyExists,
    KeyNotFound,
    KeyReused,
    TimeConflict,
    UserExists,
    UserNotFound,
    WalletExists,
    WalletNotActive,
    WalletNotFound,
)


class State:
    """What a batch touches, as it stands when its turn comes; `execute` moves it on.

    `users` by id and `phones` by E.164 hold the users that the batch names, `wallets` and `owned` (by user id and type)
    its wallets, `last` the last transaction of each, `keys` the transactions that already bear one of its keys, and
    `operators` by name those that it names.
    """

    def __init__(self, policy: Policy, next_user_id: int = 1, next_wallet_id: int = 1) -> None:
        self.policy = policy
        self.next_user_id = next_user_id
        self.next_wallet_id = next_wallet_id
        self.users: dict[int, User] = {}
        self.phones: dict[str, User] = {}
        self.wallets: dict[int, Wallet] = {}
        self.owned: dict[tuple[int, str], Wallet] = {}
        self.last: dict[int, Transaction] = {}
        self.keys: dict[tuple[int, str], Transaction] = {}
        self.operators: dict[str, Operator] = {}

    def add_user(self, user: User) -> None:
        self.users[user.id] = user
        self.phones[user.phone_e164] = user

    def add_wallet(self, wallet: Wallet, last: Transaction) -> None:
        self.wallets[wallet.id] = wallet
        self.owned[wallet.user_id, wallet.type] = wallet
        self.last[wallet.id] = last

    def copy(self) -> State:
        """A state that moves on by itself; what it holds is immutable."""
        made = State(self.policy)
        made.restore(self)
        return made

    def restore(self, other: State) -> None:
        """Become what `other` is."""
        for name, value in vars(other).items():
            setattr(self, name, value.copy() if isinstance(value, dict) else value)


def execute(state: State, commands: Iterable[Command], now_us: int) -> list[Result]:
    """Decide each command in turn, each on the state that those before it left.

    `now_us` is the time of the turn, in microseconds since 1970. Raises nothing for a request that is refused.
    """
    return [
        _together(state, command, now_us) if isinstance(command, Together) else _decide(state, command, now_us)
        for command in commands
    ]


def _decide(state: State, command: Single, now_us: int) -> Applied | Replayed | Refusal:
    if isinstance(command, Post):
        return _post(state, command, now_us)
    if isinstance(command, OpenWallet):
        return _open_wallet(state, command, now_us)
    if isinstance(command, Register):
        return _register(state, command, now_us)
    if isinstance(command, AdmitOperator):
        return _admit(state, command, now_us)
    if isinstance(command, RevokeOperator):
        return _revoke(state, command, now_us)
    return _note_use(state, command, now_us)


def _together(state: State, group: Together, now_us: int) -> Result:
    """All or nothing. The error of the first refusal says which one it was, in `details.index`."""
    before = state.copy()
    results: list[Applied | Replayed] = []
    for index, command in enumerate(group.commands):
        result = _decide(state, command, now_us)
        if isinstance(result, Refusal):
            state.restore(before)
            result.error.details["index"] = index
            return result
        results.append(result)
    return AppliedTogether(tuple(results))


def _register(state: State, command: Register, now_us: int) -> Applied | Refusal:
    phone = command.phone
    known = state.phones.get(phone.e164)
    if known is not None:
        return Refusal(
            UserExists(f"{phone.e164} is registered already, as user {known.id}", hint="--exist-ok accepts that")
        )
    # After this point the user is certain.
    user = User(state.next_user_id, phone.typed, phone.e164, phone.region, phone.national, command.name, now_us)
    state.next_user_id += 1
    state.add_user(user)
    return Applied(user)


def _open_wallet(state: State, command: OpenWallet, now_us: int) -> Applied | Refusal:
    if command.user_id not in state.users:
        return Refusal(UserNotFound(f"there is no user {command.user_id}", hint="wallet register PHONE makes one"))
    known = state.owned.get((command.user_id, command.type))
    if known is not None:
        return Refusal(
            WalletExists(
                f"user {command.user_id} has a wallet of type {command.type} already, wallet {known.id} in"
                f" {known.currency.name}",
                hint="--exist-ok accepts one in the same currency",
            )
        )
    wallet = Wallet(
        state.next_wallet_id, command.user_id, command.type, command.currency, ACTIVE, command.own_minimum, now_us
    )
    try:
        state.policy.minimum_of(wallet)
    except InvalidInput as error:  # the setting does not fit this currency
        return Refusal(error)
    # After this point the wallet is certain.
    state.next_wallet_id += 1
    state.add_wallet(wallet, chain.unopened(wallet))
    return Applied(wallet)


def _post(state: State, command: Post, now_us: int) -> Applied | Replayed | Refusal:
    wallet_id, is_credit, amount, note, key, at_us = command
    wallet = state.wallets.get(wallet_id)
    if wallet is None:
        return Refusal(WalletNotFound(f"there is no wallet {wallet_id}", hint="wallet create WALLET opens one"))
    if wallet.status != ACTIVE:
        return Refusal(_not_active(wallet))
    if key is not None:
        prior = state.keys.get((wallet_id, key))
        if prior is not None:
            return Replayed(prior) if _same_request(prior, command) else Refusal(_key_reused(prior))
    if not 0 < amount <= MAX_AMOUNT_MINOR:
        return Refusal(InvalidInput("the amount is out of bounds", hint=f"1 to {MAX_AMOUNT_MINOR} minor units"))
    last = state.last[wallet_id]
    if at_us is None:
        # A clock that was set back must not make history run backwards.
        at_us = max(now_us, last.at_us)
    elif at_us > now_us:
        return Refusal(InvalidInput(f"{format_time(at_us)} lies in the future", hint="--at is for what has happened"))
    elif at_us < last.at_us:
        return Refusal(_time_conflict(last))
    credit_total, debit_total, credit_count = last.credit_total, last.debit_total, last.credit_count
    if is_credit:
        credit_total += amount
        credit_count += 1
        if credit_total > MAX_TOTAL_MINOR:
            return Refusal(_overflow(wallet))
    else:
        debit_total += amount
        if debit_total > MAX_TOTAL_MINOR:
            return Refusal(_overflow(wallet))
        try:
            minimum = state.policy.minimum_of(wallet)
        except InvalidInput as error:  # the setting does not fit this wallet's currency
            return Refusal(error)
        if credit_total - debit_total < minimum:
            return Refusal(_insufficient_funds(wallet, last.balance, minimum, amount))
    # After this point the transaction is certain.
    seq = last.seq + 1
    hash_ = chain.link(last.hash, seq, is_credit, amount, credit_total, debit_total, credit_count, at_us, note, key)
    transaction = Transaction(
        wallet_id, seq, is_credit, amount, credit_total, debit_total, credit_count, at_us, note, key, hash_
    )
    state.last[wallet_id] = transaction
    if key is not None:
        state.keys[wallet_id, key] = transaction
    return Applied(transaction)


def _admit(state: State, command: AdmitOperator, now_us: int) -> Applied | Refusal:
    if command.name in state.operators:
        return Refusal(KeyExists(f"there is a key of the name {command.name} already", hint="take another name"))
    return _keep(state, Operator(command.name, command.key_hash, command.read_only, now_us, None, None))


def _revoke(state: State, command: RevokeOperator, now_us: int) -> Applied | Refusal:
    known = state.operators.get(command.name)
    if known is None:
        return Refusal(KeyNotFound(f"there is no key of the name {command.name}", hint="wallet key list"))
    return _keep(state, known if known.revoked_at_us is not None else known._replace(revoked_at_us=now_us))


def _note_use(state: State, command: NoteUse, now_us: int) -> Applied | Refusal:
    known = state.operators.get(command.name)
    if known is None:
        return Refusal(KeyNotFound(f"there is no key of the name {command.name}", hint="wallet key list"))
    return _keep(state, known._replace(last_used_at_us=now_us))


def _keep(state: State, operator: Operator) -> Applied:
    state.operators[operator.name] = operator
    return Applied(operator)


def _same_request(prior: Transaction, command: Post) -> bool:
    """Whether a key is used again for what it was used for; a time that is not given again does not count."""
    return (
        prior.is_credit == command.is_credit
        and prior.amount == command.amount
        and prior.note == command.note
        and command.at_us in (None, prior.at_us)
    )


def _not_active(wallet: Wallet) -> WalletNotActive:
    return WalletNotActive(
        f"wallet {wallet.id} is {wallet.status}",
        hint="a frozen wallet can be read, but not changed"
        if wallet.status == "frozen"
        else "a closed wallet stays closed",
        status=wallet.status,
    )


def _key_reused(prior: Transaction) -> KeyReused:
    id_ = format_transaction_id(prior.wallet_id, prior.seq)
    return KeyReused(
        f"this key was used for another request, transaction {id_}",
        hint="send the same request to have its answer again, or take a new key",
        transaction=id_,
    )


def _time_conflict(last: Transaction) -> TimeConflict:
    at = format_time(last.at_us)
    return TimeConflict(
        f"the wallet's last transaction is later, at {at}", hint="history is added to at its end only", last_at=at
    )


def _overflow(wallet: Wallet) -> BalanceOverflow:
    most = format_minor(MAX_TOTAL_MINOR, wallet.currency)
    return BalanceOverflow(
        f"the totals of wallet {wallet.id} would pass {most} {wallet.currency.unit}",
        hint="go on in another wallet of the user",
        most=most,
    )


def _insufficient_funds(wallet: Wallet, balance: int, minimum: int, amount: int) -> InsufficientFunds:
    def text(minor: int) -> str:
        return format_minor(minor, wallet.currency)

    free = available(balance, minimum)
    shortfall = amount + minimum - balance
    floor = f" above its minimum of {text(minimum)}" if minimum else ""
    return InsufficientFunds(
        f"wallet {wallet.id} has {text(free)} {wallet.currency.unit} available{floor}: {text(shortfall)} too little",
        hint="credit it first, or take less",
        balance=text(balance),
        available=text(free),
        minimum_balance=text(minimum),
        shortfall=text(shortfall),
    )
