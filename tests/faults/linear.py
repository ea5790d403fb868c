"""Whether a recorded history of two wallets could have come about one operation after another.

An operation took effect at one moment between its call and its answer; one whose answer nobody saw, at a moment after
its call, or never. A history is linearizable if there is an order of such moments in which each answer, of a read and
of a refusal too, is what the wallets' state gives. It is searched for as Wing and Gong do ("Testing and verifying
concurrent objects", 1993), and no pair of what was done and what came of it is looked at twice, as Lowe does
("Testing for linearizability", 2017).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

Result = tuple[int, ...]
"""Of what is written, the seq and the balance, a transfer's of both wallets; of a hold, its number; of a read, the seq,
the balance and what is held."""

REFUSED, NOT_OPEN, NOT_THERE = -1, -2, -3
"""What a refusal begins with: `insufficient_funds`, then the balance and what is available; `hold_not_open`, and
`hold_not_found`."""


class Operation(NamedTuple):
    """What a client asked for: `kind` is credit, debit, transfer, hold, capture, void or read.

    `wallet` is 0 or 1; a transfer goes to the other. `hold` is a hold's number. Amounts are in minor units.
    """

    kind: str
    wallet: int
    amount: int = 0
    hold: int = 0


class Event(NamedTuple):
    """An operation, when it was called and answered, by one clock, and how: None where nobody saw an answer."""

    operation: Operation
    called_ns: int
    answered_ns: int
    result: Result | None


NEVER_NS = 2**63


class Wallet(NamedTuple):
    """A wallet whose minimum is 0: `holds` are those that are open, by number, with their amounts."""

    seq: int
    balance: int
    placed: int = 0
    holds: tuple[tuple[int, int], ...] = ()

    @property
    def held(self) -> int:
        return sum(amount for _, amount in self.holds)

    def posted(self, change: int) -> Wallet:
        return self._replace(seq=self.seq + 1, balance=self.balance + change)

    def without(self, hold: int) -> Wallet:
        return self._replace(holds=tuple(each for each in self.holds if each[0] != hold))


State = tuple[Wallet, Wallet]


def step(state: State, operation: Operation) -> tuple[State, Result]:
    """The state after an operation, and its answer."""
    kind, at, amount, number = operation
    wallet = state[at]

    def after(changed: Wallet, other: Wallet | None = None) -> State:
        pair = [state[1 - at] if other is None else other] * 2
        pair[at] = changed
        return pair[0], pair[1]

    if kind == "read":
        return state, (wallet.seq, wallet.balance, wallet.held)
    if kind == "credit":
        changed = wallet.posted(amount)
        return after(changed), (changed.seq, changed.balance)
    if kind in ("capture", "void"):
        if number not in dict(wallet.holds):
            return state, (NOT_OPEN,)
        changed = wallet.without(number)
        if kind == "void":
            return after(changed), (number,)
        changed = changed.posted(-dict(wallet.holds)[number])
        return after(changed), (changed.seq, changed.balance)
    available = wallet.balance - wallet.held
    if amount > available:
        return state, (REFUSED, wallet.balance, available)
    if kind == "hold":
        changed = wallet._replace(placed=wallet.placed + 1, holds=(*wallet.holds, (wallet.placed + 1, amount)))
        return after(changed), (changed.placed,)
    changed = wallet.posted(-amount)
    if kind == "debit":
        return after(changed), (changed.seq, changed.balance)
    other = state[1 - at].posted(amount)
    return after(changed, other), (changed.seq, changed.balance, other.seq, other.balance)


def order_of(history: list[Event], start: State) -> list[int] | None:
    """An order in which the operations of a history took effect, as places in it; None where there is none."""
    events = sorted(range(len(history)), key=lambda place: history[place].answered_ns)
    known = sum(1 << place for place, event in enumerate(history) if event.result is not None)
    seen: set[tuple[int, State]] = set()
    order: list[int] = []
    tries = [_next(history, events, 0, start)]
    while True:
        if not tries[-1]:
            tries.pop()
            if not tries:
                return None
            order.pop()
            continue
        place, done, state = tries[-1].pop()
        if (done, state) in seen:
            continue
        seen.add((done, state))
        order.append(place)
        if done & known == known:
            return order
        tries.append(_next(history, events, done, state))


def _next(history: list[Event], events: list[int], done: int, state: State) -> list[tuple[int, int, State]]:
    """What may have taken effect next, each with what is done then and the state; the likeliest last."""
    left = [place for place in events if not done >> place & 1]
    bound_ns = history[left[0]].answered_ns  # the first answer: whatever was called later took effect later
    found = []
    for place in left:
        operation, called_ns, _, result = history[place]
        if called_ns <= bound_ns:
            after, answer = step(state, operation)
            if result is None or result == answer:
                found.append((place, done | 1 << place, after))
    found.reverse()
    return found


# Broken histories, made of good ones. What is said of each is why no order can explain it; none of the histories has an
# operation whose answer nobody saw, and no two of their amounts are the same.


def _written(history: list[Event], wallet: int) -> dict[int, int]:
    """The places of the transactions of a wallet, by seq; of transfers, where they go out."""
    return {
        event.result[0]: place
        for place, event in enumerate(history)
        if event.operation.wallet == wallet
        and event.operation.kind in ("credit", "debit", "capture", "transfer")
        and event.result is not None
        and len(event.result) in (2, 4)
    }


def stale_read(history: list[Event], drawn: random.Random) -> list[Event] | None:
    """A read shows a transaction fewer than one that was answered before it was called."""
    chosen = [
        (place, event.operation.wallet, event.called_ns)
        for place, event in enumerate(history)
        if event.operation.kind == "read"
    ]
    drawn.shuffle(chosen)
    for place, wallet, called_ns in chosen:
        for seq, before in _written(history, wallet).items():
            event = history[before]
            if event.answered_ns < called_ns and event.operation.kind in ("credit", "debit"):
                change = event.operation.amount if event.operation.kind == "credit" else -event.operation.amount
                assert event.result is not None
                held = (history[place].result or (0, 0, 0))[2]
                return _with(history, place, (seq - 1, event.result[1] - change, held))
    return None


def lost_write(history: list[Event], drawn: random.Random) -> list[Event] | None:
    """Two transactions, each decided on the same state: they have one seq."""
    for wallet in drawn.sample((0, 1), 2):
        written = _written(history, wallet)
        for seq in drawn.sample(sorted(written), len(written)):
            later = written.get(seq + 1)
            if later is not None and history[later].operation.kind == "credit":
                first = history[written[seq]].result
                assert first is not None
                change = history[written[seq]].operation.amount
                change = change if history[written[seq]].operation.kind == "credit" else -change
                return _with(history, later, (seq, first[1] - change + history[later].operation.amount))
    return None


def swapped_order(history: list[Event], drawn: random.Random) -> list[Event] | None:
    """Of two credits in a row, the one that was answered before the other was called has the later seq."""
    for wallet in drawn.sample((0, 1), 2):
        written = _written(history, wallet)
        for seq, place in written.items():
            later = written.get(seq + 1)
            if later is None or not {history[place].operation.kind, history[later].operation.kind} <= {"credit"}:
                continue
            if history[place].answered_ns < history[later].called_ns:
                first, second = history[place], history[later]
                assert first.result is not None
                assert second.result is not None
                begin = first.result[1] - first.operation.amount
                swapped = _with(history, later, (seq, begin + second.operation.amount))
                return _with(swapped, place, (seq + 1, second.result[1]))
    return None


def wrong_refusal(history: list[Event], drawn: random.Random) -> list[Event] | None:
    """At the end, when all were answered, a debit is refused of a wallet that is seen to have enough."""
    for event in drawn.sample(history[-2:], 2):
        assert event.operation.kind == "read"
        assert event.result is not None
        _, balance, held = event.result
        if balance - held > 0:
            end_ns = max(each.answered_ns for each in history)
            debit = Operation("debit", event.operation.wallet, drawn.randint(1, balance - held))
            return [*history, Event(debit, end_ns + 1, end_ns + 2, (REFUSED, balance, balance - held))]
    return None


def double_apply(history: list[Event], drawn: random.Random) -> list[Event] | None:
    """A credit took effect twice: whatever came after it is one seq and its amount further, and one seq is nobody's."""
    for wallet in drawn.sample((0, 1), 2):
        written = _written(history, wallet)
        for seq in drawn.sample(sorted(written), len(written)):
            amount = history[written[seq]].operation.amount
            if history[written[seq]].operation.kind == "credit":
                return [_moved(event, wallet, seq, amount) for event in history]
    return None


def _moved(event: Event, wallet: int, seq: int, amount: int) -> Event:
    result = event.result
    assert result is not None
    if result[0] == REFUSED or len(result) == 1:
        return event
    numbers = list(result)
    at = 0 if event.operation.wallet == wallet else 2 if len(numbers) == 4 else None
    if at is not None and (numbers[at] > seq or (event.operation.kind == "read" and numbers[at] == seq)):
        numbers[at] += 1
        numbers[at + 1] += amount
    return event._replace(result=tuple(numbers))


def _with(history: list[Event], place: int, result: Result) -> list[Event]:
    return [event._replace(result=result) if at == place else event for at, event in enumerate(history)]


BREAKS: list[Callable[[list[Event], random.Random], list[Event] | None]] = [
    stale_read,
    lost_write,
    swapped_order,
    wrong_refusal,
    double_apply,
]
