"""From a batch of commands to the state that they touch: what to read, in few statements, whatever the engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol, TypeVar

from wallet_cli.domain import chain
from wallet_cli.domain.address import format_hold_id, format_transaction_id
from wallet_cli.domain.commands import (
    AdmitOperator,
    CaptureHold,
    Command,
    EndRestore,
    NoteUse,
    OpenWallet,
    Post,
    Register,
    RestoreHold,
    RestoreState,
    RestoreTransaction,
    Reverse,
    RevokeOperator,
    SetLedger,
    SetLimits,
    Single,
    Transfer,
    VoidHold,
    each,
)
from wallet_cli.domain.model import Account, Hold, LedgerFacts, Operator, Transaction, User, Wallet
from wallet_cli.domain.period import day_start_us
from wallet_cli.domain.rules import State
from wallet_cli.domain.rules.clocks import EARLIEST_US, LATEST_FIRST_US, OF_PROGRAM, REST_US, reset_key
from wallet_cli.storage.sql import damaged

CREATING = (Register, OpenWallet, AdmitOperator, RevokeOperator, NoteUse, EndRestore, SetLedger)
"""What makes or changes things that are no wallet's."""

AT_ONCE = 64
"""How many accounts or keys one statement looks up."""

T = TypeVar("T")


class Reader(Protocol):
    """What loading needs of a storage engine."""

    def lock(self, wallet_ids: Sequence[int], now_us: int, *, creating: bool) -> list[Account]:
        """Keep others from writing to those wallets until the turn ends, and, if `creating`, from making new things.

        Answers with the accounts that there are of those wallets, as they stand from then on.
        """

    @property
    def restoring(self) -> bool:
        """Whether an export is being read back into the ledger, once `lock` has answered."""

    @property
    def server_us(self) -> int | None:
        """What the clock of the database server says, once `lock` has answered; None where there is no server."""

    def written_us(self) -> int:
        """When the ledger was last written, where there is no server."""

    def facts_of_turn(self) -> LedgerFacts: ...
    def first_wrong_at_all(self) -> tuple[str, tuple[int, ...]] | None: ...
    def user_by_key(self, key: str) -> User | None: ...
    def wallet_by_key(self, user_id: int, key: str) -> Wallet | None: ...
    def user_by_id(self, id_: int) -> User | None: ...
    def user_by_e164(self, e164: str) -> User | None: ...
    def account_of(self, user_id: int, type_: str, now_us: int) -> Account | None: ...
    def keyed(self, pairs: Sequence[tuple[int, str]]) -> list[Transaction]: ...
    def hold_by_key(self, wallet_id: int, key: str) -> Hold | None: ...
    def hold(self, wallet_id: int, number: int) -> Hold | None: ...
    def lapsed_holds(self, wallet_id: int, now_us: int) -> list[Hold]: ...
    def transaction(self, wallet_id: int, seq: int) -> Transaction | None: ...
    def reversed_amount(self, wallet_id: int, seq: int) -> int: ...
    def resets(self, wallet_id: int) -> int: ...
    def last_seq_before(self, wallet_id: int, last: int, moment_us: int) -> int: ...
    def operator_by_name(self, name: str) -> Operator | None: ...
    def next_user_id(self) -> int: ...
    def next_wallet_id(self) -> int: ...


class Loader:
    """Loads one batch into `state`. `now_us` is the time of the turn."""

    def __init__(self, reader: Reader, state: State, now_us: int) -> None:
        self._reader = reader
        self._state = state
        self._now_us = now_us

    def load(self, commands: Sequence[Command]) -> State:
        wallet_ids: set[int] = set()
        keys: list[tuple[int, str]] = []
        others: list[Single] = []
        for command in each(commands):
            if type(command) is Post:
                wallet_ids.add(command.wallet_id)
                if command.key is not None:
                    keys.append((command.wallet_id, command.key))
                if command.resets_time:
                    others.append(command)
            else:
                others.append(command)
                wallet_ids.update(self._wallets_of(command))
                keys += _keys_of(command)
        creating = any(isinstance(command, CREATING) for command in others)
        accounts = self._reader.lock(sorted(wallet_ids), self._now_us, creating=creating)
        # What the ledger says of itself is read with the turn: another program may have changed it.
        self._state.policy = self._state.policy.within(self._reader.facts_of_turn())
        self._state.restoring = self._reader.restoring
        self._add_accounts(accounts)
        if keys:
            self._load_keys(keys)
        for command in others:
            self._load_rest(command)
        self._doubt_clock()
        return self._state

    def _doubt_clock(self) -> None:
        """Ask another clock, where the ledger does not show that this one can be right (domain/rules/clocks.py)."""
        state, now_us, server_us = self._state, self._now_us, self._reader.server_us
        skew_us = state.policy.clock_skew_us
        if skew_us is None or state.restoring:
            return
        if server_us is not None:
            if abs(server_us - now_us) > skew_us:
                state.clock_doubt = "the database server's", server_us
            return
        since_us = now_us - max(REST_US, skew_us)
        if now_us < EARLIEST_US or (state.empty and now_us > LATEST_FIRST_US):
            state.clock_doubt = OF_PROGRAM
        elif not state.empty and not any(last.at_us > since_us for last in state.last.values()):
            written_us = self._reader.written_us()
            if written_us <= since_us:
                state.clock_doubt = "this ledger was last written at", written_us

    def _wallets_of(self, command: Single) -> Iterator[int]:
        """The wallets that a command touches; what a reversal touches is known once its original is read."""
        if isinstance(command, Transfer):
            yield command.source_id
            yield command.target_id
        elif isinstance(command, RestoreHold):
            yield command.hold.wallet_id
        elif isinstance(command, Reverse):
            yield command.wallet_id
            original = self._load_original(command.wallet_id, command.seq)
            if original is not None and original.peer_wallet_id is not None and original.peer_seq is not None:
                yield original.peer_wallet_id
                self._load_original(original.peer_wallet_id, original.peer_seq)
        elif not isinstance(command, CREATING):
            yield command.wallet_id

    def _load_replayed_peer(self, command: Transfer) -> None:
        """The credit of a transfer that was done before with the same key: it is part of the answer."""
        if command.key is None:
            return
        prior = self._state.keys.get((command.source_id, command.key, command.user_key))
        if isinstance(prior, Transaction) and prior.peer_wallet_id is not None and prior.peer_seq is not None:
            self._load_original(prior.peer_wallet_id, prior.peer_seq)

    def _load_original(self, wallet_id: int, seq: int) -> Transaction | None:
        original = self._reader.transaction(wallet_id, seq)
        if original is not None:
            self._state.history[wallet_id, seq] = original
        return original

    def _load_reversed(self, command: Reverse) -> None:
        """How much has been taken back so far: read once nobody else can add to it."""
        state = self._state
        original = state.history.get((command.wallet_id, command.seq))
        if original is None:
            return
        legs = [(original.wallet_id, original.seq)]
        if original.peer_wallet_id is not None and original.peer_seq is not None:
            legs.append((original.peer_wallet_id, original.peer_seq))
        for leg in legs:
            state.reversed[leg] = self._reader.reversed_amount(*leg)

    def _add_accounts(self, accounts: Sequence[Account]) -> None:
        for account in accounts:
            wallet, last, lapsed, before = account
            if not chain.is_whole(wallet, before, last):
                raise damaged(wallet, f"ends with transaction {last.seq}, whose hash is wrong")
            self._state.add_wallet(wallet, last)
            if lapsed:
                self._state.lapsed[wallet.id] = tuple(self._reader.lapsed_holds(wallet.id, self._now_us))
            if wallet.daily_debit is not None:
                self._load_day_debits(wallet.id)

    def _load_day_debits(self, wallet_id: int) -> None:
        """What had been debited before the day of the last transaction."""
        last = self._state.last.get(wallet_id)
        if last is None or wallet_id in self._state.day_debits:
            return
        seq = (
            self._reader.last_seq_before(wallet_id, last.seq, day_start_us(last.at_us, self._state.policy.tz))
            if last.seq
            else 0
        )
        before = self._reader.transaction(wallet_id, seq) if seq else None
        self._state.day_debits[wallet_id] = before.debit_total if before is not None else 0

    def _load_keys(self, pairs: Sequence[tuple[int, str]]) -> None:
        for prior in self._reader.keyed(pairs):
            if prior.key is not None:
                self._state.keys[prior.wallet_id, prior.key, prior.user_key] = prior
        for wallet_id, key in pairs:
            wallet = self._state.wallets.get(wallet_id)
            if wallet is not None and wallet.holds:
                hold = self._reader.hold_by_key(wallet_id, key)
                if hold is not None:
                    self._state.keys[wallet_id, key, False] = hold

    def _load_rest(self, command: Single) -> None:
        state, reader = self._state, self._reader
        if isinstance(command, Transfer):
            self._load_replayed_peer(command)
        elif isinstance(command, Post):
            self._load_resets(command.wallet_id)
        elif isinstance(command, Reverse):
            self._load_reversed(command)
        elif isinstance(command, CaptureHold | VoidHold):
            _add_hold(state, reader.hold(command.wallet_id, command.number))
        elif isinstance(command, SetLimits):
            self._load_day_debits(command.wallet_id)
        elif isinstance(command, Register):
            state.next_user_id = reader.next_user_id()
            state.empty = state.next_user_id == 1 and reader.next_wallet_id() == 1
            _add_user(state, reader.user_by_e164(command.phone.e164))
            if command.key is not None:
                _add_user(state, reader.user_by_key(command.key))
        elif isinstance(command, OpenWallet):
            self._load_opening(command)
        elif isinstance(command, AdmitOperator | RevokeOperator | NoteUse):
            operator = reader.operator_by_name(command.name)
            if operator is not None:
                state.operators[operator.name] = operator
        else:
            self._load_restored(command)

    def _load_resets(self, wallet_id: int) -> None:
        """How often the wallet's time has been reset, and whether the next reset's key is there, as somebody's own."""
        resets = self._state.resets[wallet_id] = self._reader.resets(wallet_id)
        self._load_keys([(wallet_id, reset_key(resets + 1))])

    def _load_opening(self, command: OpenWallet) -> None:
        state, reader = self._state, self._reader
        state.next_wallet_id = reader.next_wallet_id()
        _add_user(state, reader.user_by_id(command.user_id))
        _add_account(state, reader.account_of(command.user_id, command.type, self._now_us))
        if command.key is not None:
            known = reader.wallet_by_key(command.user_id, command.key)
            if known is not None:
                _add_account(state, reader.account_of(known.user_id, known.type, self._now_us))

    def _load_restored(self, command: Single) -> None:
        state, reader = self._state, self._reader
        if isinstance(command, RestoreTransaction):
            last = state.last.get(command.wallet_id)
            if last is not None and command.seq <= last.seq:
                self._load_original(command.wallet_id, command.seq)
        elif isinstance(command, RestoreHold):
            _add_hold(state, reader.hold(command.hold.wallet_id, command.hold.number))
        elif isinstance(command, RestoreState):
            self._load_day_debits(command.wallet_id)
        elif isinstance(command, EndRestore) and state.restoring:
            wrong = reader.first_wrong_at_all()
            state.fault = None if wrong is None else _fault(*wrong)


def in_chunks(things: Iterable[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    """Lists of at most `size` things each, in order."""
    rest = iter(things)
    while chunk := list(islice(rest, size)):
        yield chunk


def _fault(what: str, place: tuple[int, ...]) -> str:
    """In words: which row does not agree with others (see sql.WRONG)."""
    if what == "wallets":
        return f"wallet w{place[0]} does not say of its holds what they do"
    if what in ("holds", "captured"):
        return f"hold {format_hold_id(*place)} does not agree with its captures and times"
    return f"transaction {format_transaction_id(*place)} refers to what is not there, or is not its counterpart"


def _keys_of(command: Single) -> Iterator[tuple[int, str]]:
    if isinstance(command, Transfer):
        if command.key is not None:
            yield command.source_id, command.key
    elif isinstance(command, RestoreHold):
        if command.hold.key is not None:
            yield command.hold.wallet_id, command.hold.key
    elif not isinstance(command, (*CREATING, RestoreState, SetLimits, VoidHold)):
        key = getattr(command, "key", None)
        if key is not None:
            yield command.wallet_id, key


def _add_user(state: State, user: User | None) -> None:
    if user is not None:
        state.add_user(user)


def _add_account(state: State, account: Account | None) -> None:
    if account is not None and account.wallet.id not in state.wallets:
        state.add_wallet(account.wallet, account.last)


def _add_hold(state: State, hold: Hold | None) -> None:
    if hold is not None:
        state.add_hold(hold)
