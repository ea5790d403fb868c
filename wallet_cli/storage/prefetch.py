"""From a batch of commands to the state that they touch: what to read, in few statements, for every engine."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from wallet_cli.domain import hash_chain
from wallet_cli.domain.commands import Command
from wallet_cli.domain.events import WALLET, Subject
from wallet_cli.domain.model import Account, Event, Hold, Policy, Transaction
from wallet_cli.domain.period import day_start_us
from wallet_cli.domain.rules import State, Touched, clocks, touched_by
from wallet_cli.errors import StorageError
from wallet_cli.storage.queries import Queries
from wallet_cli.storage.sql import damaged

T = TypeVar("T")


class Prefetch(Queries):
    """A store that loads what a batch touches."""

    restoring = False
    """Whether an export is being imported into the ledger, as of this turn."""

    server_us: int | None = None
    """The time of the database server's clock in this turn; None if there is no server."""

    def load(self, commands: Sequence[Command], policy: Policy, now_us: int) -> State:
        """The state that the commands touch, in this turn, whose time is `now_us`."""
        return Loader(self, State(policy), now_us).load(commands)

    def read_server_us(self) -> int | None:
        """The time of the database server's clock now, outside a turn; None if there is no server."""
        return None

    def first_unlike_its_events(self) -> tuple[str, tuple[int, ...]] | None:
        """The first that does not agree with its events, as in `first_wrong_at_all`."""
        from wallet_cli.storage.event_check import unlike  # only the end of an import needs it

        found = next(unlike(self), None)
        return None if found is None else ("events", found.subject)

    @abstractmethod
    def lock(
        self, wallet_ids: Sequence[int], now_us: int, *, creating: bool, recorded: Collection[Subject] = ()
    ) -> tuple[list[Account], list[Event]]:
        """Keep others from writing to those wallets until the turn ends, and, if `creating`, from creating anything.

        Returns the existing accounts of those wallets, as they are from then on, and the last events of those that are
        `recorded`.
        """

    @abstractmethod
    def written_us(self) -> int:
        """When the ledger was last written; used if there is no database server."""


class Loader:
    """Loads one batch into `state`. `now_us` is the time of the turn."""

    def __init__(self, reader: Prefetch, state: State, now_us: int) -> None:
        self._reader = reader
        self._state = state
        self._now_us = now_us

    def load(self, commands: Sequence[Command]) -> State:
        state, reader, touched = self._state, self._reader, touched_by(commands)
        for place in touched.originals:
            legs = self._load_original(*place)
            touched.wallets.update(legs)
            if place in touched.forced:
                # One that does not exist yet may be made by this batch: then both of its wallets are in it.
                for wallet_id in legs if place in state.history else touched.wallets:
                    touched.events_of_wallet(wallet_id)
        accounts, last_events = reader.lock(
            sorted(touched.wallets), self._now_us, creating=touched.creating, recorded=touched.recorded
        )
        # The ledger's own row is read in each turn: another program may have changed it.
        state.facts = reader.facts_of_turn()
        state.policy = state.policy.within(state.facts)
        state.restoring = reader.restoring
        self._add_accounts(accounts)
        self._add_events(touched.recorded, last_events)
        if touched.keys:
            self._load_keys(touched.keys)
        self._load_in_wallets(touched)
        if touched.creating:
            self._load_others(touched)
        state.clock_doubt = clocks.doubt(state, self._now_us, reader.server_us, reader.written_us)
        return state

    def _load_original(self, wallet_id: int, seq: int) -> list[int]:
        """Load a transaction to reverse; of a transfer, also the other leg. Returns the wallets of both."""
        original = self._load_transaction(wallet_id, seq)
        if original is None or original.peer is None:
            return [wallet_id]
        self._load_transaction(*original.peer)
        return [wallet_id, original.peer[0]]

    def _load_transaction(self, wallet_id: int, seq: int) -> Transaction | None:
        found = self._reader.transaction(wallet_id, seq)
        if found is not None:
            self._state.history[wallet_id, seq] = found
        return found

    def _add_accounts(self, accounts: Sequence[Account]) -> None:
        for account in accounts:
            wallet, last, expired, before = account
            if not hash_chain.is_whole(wallet, before, last):
                raise damaged(wallet, f"ends with transaction {last.seq}, whose hash is wrong")
            self._state.add_wallet(wallet, last)
            if expired:
                self._state.expired[wallet.id] = tuple(self._reader.expired_holds(wallet.id, self._now_us))
                # That they expired is recorded with the next write.
                subjects = [(WALLET, wallet.id)]
                self._add_events(subjects, self._reader.last_events(subjects))
            if wallet.daily_debit is not None:
                self._load_day_debits(wallet.id)

    def _add_events(self, subjects: Collection[Subject], found: Sequence[Event]) -> None:
        """Add the last event of each subject; None if it has none, which differs from one that is not touched."""
        self._state.events |= dict.fromkeys(subjects)
        for event in found:
            self._state.events[event.kind, event.subject_id] = event

    def _load_day_debits(self, wallet_id: int) -> None:
        """Load the total of debits before the day of the last transaction.

        Where this machine does not know the time zone of the days, a rule that needs them says so: after the keys.
        """
        last = self._state.last.get(wallet_id)
        if last is None or wallet_id in self._state.day_debits:
            return
        try:
            start_us = day_start_us(last.at_us, self._state.policy.tz) if last.seq else 0
        except StorageError:
            return
        seq = self._reader.last_seq_before(wallet_id, last.seq, start_us) if last.seq else 0
        before = self._reader.transaction(wallet_id, seq) if seq else None
        self._state.day_debits[wallet_id] = before.debit_total if before is not None else 0

    def _load_keys(self, pairs: Sequence[tuple[int, str]]) -> None:
        for prior in self._reader.keyed(pairs):
            if prior.key is not None:
                self._state.keys[prior.wallet_id, prior.key, prior.user_key] = prior
        for wallet_id, key in pairs:
            wallet = self._state.wallets.get(wallet_id)
            if wallet is not None and wallet.hold_count:
                hold = self._reader.hold_by_key(wallet_id, key)
                if hold is not None:
                    self._state.keys[wallet_id, key, False] = hold

    def _load_in_wallets(self, touched: Touched) -> None:
        """Load what belongs to wallets, after they are locked."""
        state, reader = self._state, self._reader
        for place in touched.originals:
            original = state.history.get(place)
            for leg in (place, original.peer) if original is not None else ():
                if leg is not None:
                    state.reversed[leg] = reader.reversed_amount(*leg)
        for pair in touched.transfers:
            # Applied before, with the same key: the credit is part of the answer.
            prior = state.keys.get(pair)
            if isinstance(prior, Transaction) and prior.peer is not None:
                self._load_transaction(*prior.peer)
        for wallet_id, seq in touched.transactions:
            if wallet_id in state.last and seq <= state.last[wallet_id].seq:
                self._load_transaction(wallet_id, seq)
        for where in touched.past_events:
            past = reader.event(*where)
            if past is not None:
                state.past_events[where] = past
        for wallet_id, number in touched.holds:
            _add(state.add_hold, reader.hold(wallet_id, number))
        self._load_later_holds(touched.holds_since)
        for prior in state.keys.values():
            self._load_taken_before(prior)
        for wallet_id in touched.days:
            self._load_day_debits(wallet_id)
        for wallet_id in touched.resets:
            state.reset_keys[wallet_id] = reader.reset_keys(wallet_id)

    def _load_later_holds(self, since: Mapping[int, int]) -> None:
        for wallet_id, at_us in since.items():
            wallet = self._state.wallets.get(wallet_id)
            if wallet is not None and wallet.held and wallet.daily_debit is not None:
                for hold in self._reader.open_holds(wallet_id, at_us):
                    self._state.add_hold(hold)

    def _load_taken_before(self, prior: Transaction | Hold) -> None:
        """Load what a capture or a reversal that may be asked for again had found."""
        if not isinstance(prior, Transaction):
            return
        place = prior.wallet_id, prior.seq
        hold = self._state.holds.get((prior.wallet_id, prior.hold or 0))
        if prior.reverses is not None:
            self._state.taken_before[place] = self._reader.reversed_amount(
                prior.wallet_id, prior.reverses, before=prior.seq
            )
        elif hold is not None and hold.captured == prior.amount:
            self._state.taken_before[place] = 0
        elif hold is not None:
            self._state.taken_before[place] = self._reader.captured_before(
                prior, hold, self._state.last[prior.wallet_id].seq
            )

    def _load_others(self, touched: Touched) -> None:
        """Load what belongs to no wallet."""
        state, reader = self._state, self._reader
        if touched.next_user:
            state.next_user_id = reader.next_user_id()
            state.empty = state.next_user_id == 1 and reader.next_wallet_id() == 1
        if touched.next_wallet:
            state.next_wallet_id = reader.next_wallet_id()
        for id_ in touched.users:
            _add(state.add_user, reader.user_by_id(id_))
        for e164 in touched.phones:
            _add(state.add_user, reader.user_by_e164(e164))
        for key in touched.user_keys:
            _add(state.add_user, reader.user_by_key(key))
        for user_id, type_ in touched.owned:
            self._add_owned(reader.account_of(user_id, type_, self._now_us))
        for user_id, key in touched.wallet_keys:
            known = reader.wallet_by_key(user_id, key)
            if known is not None:
                self._add_owned(reader.account_of(known.user_id, known.type, self._now_us))
        for name in touched.operators:
            _add(state.add_operator, reader.operator_by_name(name))
        if touched.contradictions and state.restoring:
            if reader.has_events():
                state.fault = reader.first_wrong_at_all() or reader.first_unlike_its_events()
            else:
                state.fault, state.unrecorded = reader.first_wrong_at_all(), list(reader.rows_of_events())
                self._add_events([subject for subject, _ in state.unrecorded], [])

    def _add_owned(self, account: Account | None) -> None:
        if account is not None and account.wallet.id not in self._state.wallets:
            self._state.add_wallet(account.wallet, account.last)


def _add(add: Callable[[T], None], found: T | None) -> None:
    if found is not None:
        add(found)
