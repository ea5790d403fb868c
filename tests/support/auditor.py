"""An auditor of ledgers in use: reads one snapshot after another and says what is not as it should be.

It knows nothing of the rules' code. From the rows that are new since the snapshot before, it adds up by itself what
each wallet has, what has come in from outside and gone out again, what holds keep, how much of a hold is captured and
how much of a transaction is taken back; and it compares that with what the ledger says of itself in the same snapshot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from wallet_cli.domain.model import CAPTURED, EXPIRED, OPEN, VOIDED, Account, Hold
from wallet_cli.operations.context import Ledger

MAX_FOUND = 50
"""A ledger that is wrong is mostly wrong everywhere; this many complaints are enough."""

Place = tuple[int, int]
"""A wallet id and a seq, or a wallet id and the number of a hold."""

NEW_ROWS = """
SELECT seq, is_credit, amount, at_us, peer_wallet_id, peer_seq, reverses, hold, forced
FROM transactions WHERE wallet_id = ? AND seq > ? ORDER BY seq
"""
KEPT = """
SELECT wallet_id, sum(amount - captured), sum(CASE WHEN expires_at_us > ? THEN amount - captured ELSE 0 END)
FROM holds WHERE status = 'open' GROUP BY wallet_id
"""


class Row(NamedTuple):
    seq: int
    is_credit: int
    amount: int
    at_us: int
    peer_wallet_id: int | None
    peer_seq: int | None
    reverses: int | None
    hold: int | None
    forced: int

    @property
    def change(self) -> int:
        return self.amount if self.is_credit else -self.amount


class Auditor:
    """Follows one ledger, all of whose wallets are in one currency. `found` is what was wrong, in words."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.snapshots = 0
        self.changes: dict[int, list[int]] = {}
        """What each transaction of a wallet changed its balance by, in order."""
        self.balances: Counter[int] = Counter()
        self.outside = 0
        """All that came in from outside the wallets, less all that went out: transfers count for nothing."""
        self._reversals: set[Place] = set()
        self._taken_back: Counter[Place] = Counter()
        self._captured: Counter[Place] = Counter()
        self._captured_at_us: dict[Place, int] = {}
        self._ended: dict[Place, str] = {}
        self._half_pairs: dict[tuple[Place, Place], int] = {}
        self._above_floor_at: dict[int, int] = {}
        """The seq at which a wallet was last seen with no less than its floor free."""
        self._waits_first = True
        """Whether a turn waits before it is decided, as on a file. On PostgreSQL it waits for rows, and a capture may
        have the time that its wallet got meanwhile."""
        self._forced_at: dict[int, int] = {}
        """The seq of the last debit of a wallet that an operator forced."""

    def look(self, ledger: Ledger) -> list[str]:
        """Read all wallets in one snapshot, and what is new in each; returns `found`."""
        now_us = ledger.now_us()
        self._waits_first = ledger.store.is_local
        with ledger.store.snapshot():
            accounts = list(ledger.store.accounts_after(0, -1, now_us))
            captured: set[Place] = set()
            for account in accounts:
                captured |= self._follow(ledger, account)
            self._check_total(accounts)
            self._check_pairs()
            self._check_free(ledger, accounts, now_us)
            for place in captured:
                self._check_hold(ledger.store.hold(*place), place)
        self.snapshots += 1
        return self.found

    def finish(self, ledger: Ledger) -> list[str]:
        """A last look, and at every hold there ever was; returns `found`."""
        self.look(ledger)
        with ledger.store.snapshot():
            for hold in ledger.store.holds_in_order():
                self._check_hold(hold, (hold.wallet_id, hold.number))
        return self.found

    def _complain(self, text: str) -> None:
        if len(self.found) < MAX_FOUND:
            self.found.append(text)

    # What is new in a wallet.

    def _follow(self, ledger: Ledger, account: Account) -> set[Place]:
        """Add up the new transactions of a wallet; returns the holds that they capture."""
        id_ = account.wallet.id
        floor = ledger.policy.minimum_of(account.wallet)
        captured = set()
        for row in _new_rows(ledger, id_, len(self.changes.setdefault(id_, []))):
            here = (id_, row.seq)
            if row.seq != len(self.changes[id_]) + 1:
                self._complain(f"transaction {here}: seq is not {len(self.changes[id_]) + 1}")
            self.changes[id_].append(row.change)
            self.balances[id_] += row.change
            if not row.is_credit:
                self._debited(here, row, floor)
            if row.reverses is not None:
                self._reverse(here, row)
            if row.hold is not None:
                self._capture((id_, row.hold), row)
                captured.add((id_, row.hold))
            if row.peer_wallet_id is not None and row.peer_seq is not None:
                self._pair(here, (row.peer_wallet_id, row.peer_seq), row.change)
            else:
                self.outside += row.change
        return captured

    def _debited(self, here: Place, row: Row, floor: int) -> None:
        if row.forced:
            self._forced_at[here[0]] = row.seq
        elif self.balances[here[0]] < floor:
            self._complain(
                f"transaction {here} broke the floor: {self.balances[here[0]]} after it, {floor} is the floor"
            )

    def _reverse(self, here: Place, row: Row) -> None:
        assert row.reverses is not None
        original = (here[0], row.reverses)
        self._reversals.add(here)
        if not row.reverses < row.seq or original in self._reversals:
            self._complain(f"transaction {here} reverses {original}, which cannot be")
            return
        self._taken_back[original] += row.amount
        change = self.changes[here[0]][row.reverses - 1]
        if change * row.change > 0:
            self._complain(f"transaction {here} goes the same way as {original}, which it reverses")
        if self._taken_back[original] > abs(change):
            self._complain(f"transaction {original} of {abs(change)} is reversed by {self._taken_back[original]}")

    def _capture(self, hold: Place, row: Row) -> None:
        if row.is_credit:
            self._complain(f"hold {hold} is captured by a credit")
        if hold in self._ended:
            self._complain(f"hold {hold} was {self._ended[hold]}, and was captured afterwards")
        self._captured[hold] += row.amount
        self._captured_at_us[hold] = row.at_us

    def _pair(self, here: Place, peer: Place, change: int) -> None:
        """Note one leg of a transfer; or see that it fits the other, if that was read before."""
        other = self._half_pairs.pop((peer, here), None)
        if other is None:
            self._half_pairs[here, peer] = change
        elif other + change:
            self._complain(f"the legs {peer} and {here} are {other} and {change}")

    # What holds in every snapshot.

    def _check_total(self, accounts: list[Account]) -> None:
        for wallet, last, *_ in accounts:
            if last.balance != self.balances[wallet.id]:
                self._complain(
                    f"wallet {wallet.id} says {last.balance}, its history adds up to {self.balances[wallet.id]}"
                )
        total = sum(account.last.balance for account in accounts)
        if total != self.outside:
            self._complain(f"all wallets together have {total}, and {self.outside} came in")

    def _check_pairs(self) -> None:
        for here, peer in self._half_pairs:
            self._complain(f"the leg {here} is there without its other leg {peer}")
        self._half_pairs.clear()

    def _check_free(self, ledger: Ledger, accounts: list[Account], now_us: int) -> None:
        """What is held is what open holds keep; and beside it the floor stands, unless an operator forced it."""
        kept = {wallet_id: (all_, now) for wallet_id, all_, now in _asked(ledger, KEPT, now_us)}
        for account in accounts:
            wallet, last, *_ = account
            if (wallet.held, account.held) != kept.get(wallet.id, (0, 0)):
                said = (wallet.held, account.held)
                self._complain(f"wallet {wallet.id} holds {said}, its open holds keep {kept.get(wallet.id, (0, 0))}")
            if last.balance - account.held >= ledger.policy.minimum_of(wallet):
                self._above_floor_at[wallet.id] = last.seq
            elif self._forced_at.get(wallet.id, -1) <= self._above_floor_at.get(wallet.id, 0):
                self._complain(f"wallet {wallet.id} has {last.balance} with {account.held} held, and nobody forced it")

    def _check_hold(self, hold: Hold | None, place: Place) -> None:
        if hold is None:
            self._complain(f"hold {place} is captured, and is not there")
            return
        wrong = self._wrong_hold(hold, self._captured[place], self._captured_at_us.get(place))
        before = self._ended.get(place, hold.status)
        if before != hold.status:
            wrong = f"was {before} before"
        if wrong is not None:
            self._complain(f"hold {place}, {hold.status}: {wrong}")
        if hold.status != OPEN:
            self._ended[place] = hold.status

    def _wrong_hold(self, hold: Hold, captured: int, captured_at_us: int | None) -> str | None:
        """What is wrong with a hold that was captured by so much, at last then."""
        if hold.captured != captured:
            return f"says that {hold.captured} is captured, and {captured} is"
        if captured > hold.amount:
            return f"keeps {hold.amount}, and {captured} is captured"
        if captured_at_us is not None and captured_at_us >= hold.expires_at_us and self._waits_first:
            return f"expired at {hold.expires_at_us} and was captured at {captured_at_us}"
        ends_at_us = {OPEN: None, CAPTURED: captured_at_us, VOIDED: hold.ended_at_us, EXPIRED: hold.expires_at_us}
        if hold.ended_at_us != ends_at_us[hold.status]:
            return f"ended at {hold.ended_at_us}, not at {ends_at_us[hold.status]}"
        ended_at_us = hold.ended_at_us if self._waits_first or hold.status != EXPIRED else None
        if captured_at_us is not None and ended_at_us is not None and captured_at_us > ended_at_us:
            return f"ended at {ended_at_us} and was captured at {captured_at_us}"
        return None


def _new_rows(ledger: Ledger, wallet_id: int, after: int) -> Iterator[Row]:
    return map(Row._make, _asked(ledger, NEW_ROWS, wallet_id, after))


def _asked(ledger: Ledger, statement: str, *values: int) -> Any:
    """The rows that a statement reads, on either engine."""
    connection: Any = ledger.store.connection
    return connection.execute(statement if ledger.store.is_local else statement.replace("?", "%s"), values)
