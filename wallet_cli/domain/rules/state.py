"""The part of the ledger that a batch touches, as it is in the batch's turn, and how the rules change it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from wallet_cli.domain import events, hash_chain
from wallet_cli.domain.commands import SAME, Change, Restoring, Same
from wallet_cli.domain.model import EXPIRED, OPEN, ApiKey, Event, Hold, LedgerFacts, Policy, Transaction, User, Wallet
from wallet_cli.domain.remarks import Remarks

_NOTHING: Any = object()


class State:
    """A store loads it; `execute` changes it.

    `users` (by id) and `phones` (by E.164) are the users that the batch names; `wallets` and `owned` (by user id and
    type) its wallets, `last` the last transaction of each. `holds` are those that it names, `history` the transactions
    that it names by their place or creates, `operators` those that it names, by name. `keys` is what has one of its
    keys, by wallet id, key, and whether it is a user's key. Likewise `user_keys` are the users by the key of their
    registration, and `wallet_keys` the wallets by owner and key. For wallets that need it, `expired` has the holds that
    are past their expiry and not yet noted as expired, and `day_debits` the total of debits before the day of their
    last transaction. `reversed` is how much of a transaction has been reversed; `taken_before`, for a capture or a
    reversal that has one of the batch's keys, how much of its hold had been captured, or of its original reversed,
    before it. `restoring`: an export is being
    imported into the ledger; `empty`: the ledger has no users and wallets; `fault`: if a batch asks, what contradicts
    what between the rows of an imported ledger, and where. `clock_doubt` is what contradicts the turn's clock, in
    words, and the time that it says. `reset_keys` is the last number of the keys of resets that is used in a wallet.
    `events` has the last event of each subject of which the batch records one, or None; `past_events` those that it
    names by their place. `facts` is what the ledger keeps about itself; `unrecorded`: if a batch asks, what an older
    export has without events. `actor` and `now_us` are who gave the present command, and when. `changes` is what the
    rules created and changed, in order, for the store to write.
    """

    def __init__(self, policy: Policy, next_user_id: int = 1, next_wallet_id: int = 1) -> None:
        self.policy = policy
        self.next_user_id = next_user_id
        self.next_wallet_id = next_wallet_id
        self.users: dict[int, User] = {}
        self.phones: dict[str, User] = {}
        self.user_keys: dict[str, User] = {}
        self.wallets: dict[int, Wallet] = {}
        self.owned: dict[tuple[int, str], Wallet] = {}
        self.wallet_keys: dict[tuple[int, str], Wallet] = {}
        self.last: dict[int, Transaction] = {}
        self.keys: dict[tuple[int, str, bool], Transaction | Hold] = {}
        self.holds: dict[tuple[int, int], Hold] = {}
        self.expired: dict[int, tuple[Hold, ...]] = {}
        self.history: dict[tuple[int, int], Transaction] = {}
        self.reversed: dict[tuple[int, int], int] = {}
        self.taken_before: dict[tuple[int, int], int] = {}
        self.day_debits: dict[int, int] = {}
        self.operators: dict[str, ApiKey] = {}
        self.restoring = False
        self.empty = False
        self.fault: tuple[str, tuple[int, ...]] | None = None
        self.clock_doubt: tuple[str, int] | None = None
        self.reset_keys: dict[int, int] = {}
        self.events: dict[events.Subject, Event | None] = {}
        self.past_events: dict[tuple[int, int, int], Event] = {}
        self.unrecorded: Sequence[tuple[events.Subject, events.Rows]] = ()
        self.facts = LedgerFacts()
        self.actor: str | None = None
        self.now_us = 0
        self.changes: list[Change] = []
        self._undo: list[tuple[dict[Any, Any], Hashable, Any]] | None = None
        """What a group has changed so far, newest last: mapping, key, and the value before."""

    # For a store to load.

    def add_user(self, user: User) -> None:
        self._put(self.users, user.id, user)
        self._put(self.phones, user.phone_e164, user)
        if user.key is not None:
            self._put(self.user_keys, user.key, user)

    def add_wallet(self, wallet: Wallet, last: Transaction) -> None:
        self._put(self.wallets, wallet.id, wallet)
        self._put(self.owned, (wallet.user_id, wallet.type), wallet)
        self._put(self.last, wallet.id, last)
        if wallet.key is not None:
            self._put(self.wallet_keys, (wallet.user_id, wallet.key), wallet)

    def add_hold(self, hold: Hold) -> None:
        self._put(self.holds, (hold.wallet_id, hold.number), hold)

    def add_operator(self, operator: ApiKey) -> None:
        self._put(self.operators, operator.name, operator)

    # For the rules to fill.

    def make_user(self, user: User) -> None:
        self.next_user_id = user.id + 1
        self.add_user(user)
        self._put(self.events, (events.USER, user.id), None)
        self.changes.append(user)

    def make_wallet(self, wallet: Wallet) -> None:
        self.next_wallet_id = wallet.id + 1
        self.add_wallet(wallet, hash_chain.unopened(wallet))
        self._put(self.day_debits, wallet.id, 0)
        self._put(self.events, (events.WALLET, wallet.id), None)
        self.changes.append(wallet)

    def keep_wallet(self, wallet: Wallet) -> None:
        """Change a wallet."""
        self.add_wallet(wallet, self.last[wallet.id])
        self.changes.append(wallet)

    def keep_hold(self, hold: Hold) -> None:
        """Make or change a hold."""
        self.add_hold(hold)
        if hold.key is not None:
            self._put(self.keys, (hold.wallet_id, hold.key, False), hold)
        self.changes.append(hold)

    def keep_operator(self, operator: ApiKey) -> None:
        self.add_operator(operator)
        self.changes.append(operator)

    def set_restoring(self, active: bool) -> None:
        self.restoring = active
        self.changes.append(Restoring(active))

    def record(self, subject: events.Subject, what: str, details: events.Rows, *, by: str | Same | None = SAME) -> None:
        """Add the event that follows the last one of its subject; `by` is who did it, if not who gave the command."""
        actor = self.actor if by is SAME else by
        self.add_event(events.follow(self.events[subject], subject, self.now_us, actor, what, details))

    def add_event(self, event: Event) -> None:
        self._put(self.events, (event.kind, event.subject_id), event)
        self.changes.append(event)

    def append(
        self,
        last: Transaction,
        is_credit: bool,
        amount: int,
        at_us: int,
        remarks: Remarks,
        key: str | None,
        peer_wallet_id: int | None = None,
        peer_seq: int | None = None,
        reverses: int | None = None,
        hold: int | None = None,
        forced: bool = False,
        user_key: bool = False,
    ) -> Transaction:
        """Add the transaction that follows `last`, the last one of its wallet; it has been checked. Who gave the
        command did it.
        """
        wallet_id, seq = last.wallet_id, last.seq + 1
        credit_total, debit_total, credit_count = last.credit_total, last.debit_total, last.credit_count
        if is_credit:
            credit_total += amount
            credit_count += 1
        else:
            debit_total += amount
        rest = (peer_wallet_id, peer_seq, reverses, hold, forced, user_key)
        actor = self.actor
        more = "" if actor is None else hash_chain.by(actor)
        if rest != _NO_MORE:
            more = hash_chain.extras(*rest) + more
        canonical = hash_chain.content(
            seq, is_credit, amount, credit_total, debit_total, credit_count, at_us, remarks, key, more
        )
        hash_ = hash_chain.link(last.hash, canonical)
        # In the order of the class, and past its __new__, which takes 5 % of the time of a credit.
        facts = (
            wallet_id, seq, is_credit, amount, credit_total, debit_total, credit_count, at_us, key, hash_,
            peer_wallet_id, peer_seq, reverses, hold, forced, user_key, actor, remarks,
        )  # fmt: skip
        transaction = tuple.__new__(Transaction, facts)
        if wallet_id in self.day_debits and not self.is_same_day(at_us, last):
            self._put(self.day_debits, wallet_id, last.debit_total)
        self._put(self.last, wallet_id, transaction)
        self._put(self.history, (wallet_id, seq), transaction)
        if hold is not None and (wallet_id, hold) in self.holds:
            self._put(self.taken_before, (wallet_id, seq), self.holds[wallet_id, hold].captured)
        if reverses is not None:
            place = wallet_id, reverses
            taken = self.reversed.get(place, 0)
            self._put(self.taken_before, (wallet_id, seq), taken)
            self._put(self.reversed, place, taken + amount)
        if key is not None:
            self._put(self.keys, (wallet_id, key, user_key), transaction)
        self.changes.append(transaction)
        if wallet_id in self.expired:
            self.free_expired(wallet_id)
        return transaction

    def is_same_day(self, at_us: int, last: Transaction) -> bool:
        """Whether a moment at or after `last` is in the same day of the ledger."""
        return at_us < self.policy.day_of(last.at_us).end_us

    def time_in(self, wallet_id: int, now_us: int) -> int:
        """The time in a wallet: the writer's, or that of the last transaction if the writer's clock is behind it."""
        return max(now_us, self.last[wallet_id].at_us)

    # Holds that have expired.

    def held(self, wallet: Wallet) -> int:
        """What a wallet's holds keep now. Expired holds keep nothing, whether or not the expiry was noted."""
        expired = self.expired.get(wallet.id)
        return wallet.held if not expired else wallet.held - sum(hold.remaining for hold in expired)

    def held_after_day(self, wallet_id: int, at_us: int) -> int:
        """How much of that is kept by holds that were placed after the day of a moment in the past.

        One that was placed under a clock ahead counts as of now.
        """
        end_us = self.policy.day_of(at_us).end_us
        if self.now_us < end_us:
            return 0
        expired = {hold.number for hold in self.expired.get(wallet_id, ())}
        return sum(
            hold.remaining
            for (of, number), hold in self.holds.items()
            if of == wallet_id and hold.status == OPEN and hold.created_at_us >= end_us and number not in expired
        )

    def free_expired(self, wallet_id: int) -> None:
        """Note which holds have expired, together with another write to the wallet."""
        expired = self.expired.get(wallet_id, ())
        if not expired:
            return
        self._put(self.expired, wallet_id, ())
        for hold in expired:
            ended = hold._replace(status=EXPIRED, ended_at_us=hold.expires_at_us)
            self.keep_hold(ended)
            self.record((events.WALLET, wallet_id), "hold expired", {"hold": events.of_hold(ended)}, by=None)
        wallet = self.wallets[wallet_id]
        self.keep_wallet(wallet._replace(held=wallet.held - sum(hold.remaining for hold in expired)))

    # All or nothing.

    def undo_from_here(self) -> Callable[[], None]:
        """Record changes from here on. The returned function undoes them; its cost depends on these changes alone.

        `keep_changes` ends the recording.
        """
        undo: list[tuple[dict[Any, Any], Hashable, Any]] = []
        self._undo = undo
        ids, made = (self.next_user_id, self.next_wallet_id), len(self.changes)
        restoring, facts = self.restoring, self.facts

        def take_back() -> None:
            for mapping, key, before in reversed(undo):
                if before is _NOTHING:
                    del mapping[key]
                else:
                    mapping[key] = before
            (self.next_user_id, self.next_wallet_id) = ids
            self.restoring, self.facts = restoring, facts
            del self.changes[made:]

        return take_back

    def keep_changes(self) -> None:
        self._undo = None

    def _put(self, mapping: dict[Any, Any], key: Hashable, value: Any) -> None:
        if self._undo is not None:
            self._undo.append((mapping, key, mapping.get(key, _NOTHING)))
        mapping[key] = value


_NO_MORE = (None, None, None, None, False, False)
