"""A day's business in many processes at once, and two who want the same thing in the same moment."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import pickle
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pytest
from support import business, processes
from support.engines import Address, Engine, Store, begin_by_itself, store_class
from support.sizes import size

from wallet_cli import settings
from wallet_cli.domain import rules
from wallet_cli.domain.commands import Applied, CaptureHold, Change, Command, Result, Transfer
from wallet_cli.domain.ids import parse_hold_id, parse_transaction_id, parse_wallet
from wallet_cli.domain.model import EXPIRED, OPEN, Event, Hold, Transaction
from wallet_cli.domain.rules import State, postings
from wallet_cli.domain.rules import holds as hold_rules
from wallet_cli.engine.executor import Executor
from wallet_cli.errors import StorageError, WalletError
from wallet_cli.operations import holds, transactions, users, verification, wallets
from wallet_cli.operations.context import Ledger, open_ledger

OPERATIONS = {"file": size(4_000, 200_000), "postgres": size(2_500, 200_000)}
"""A day's, by engine."""
OPERATIONS_TO_A_FAULT = 2_000
"""Enough for each deliberate fault to do its harm: most do it in 300, all in nearly every run of 1,000."""
LONGEST_S = 1800
"""On a machine that does much else; alone on two cores, a day's business takes a minute."""

REFUSALS = {
    "insufficient_funds",
    "hold_not_open",
    "capture_exceeds_hold",
    "reversal_exceeds_original",
    "not_reversible",
}
GUESSES = {"hold_not_found", "transaction_not_found"}
"""Answers to a writer that guessed what the newest hold or transaction of the hot wallet is."""


def reopened() -> AbstractContextManager[Ledger]:
    """The ledger that the environment names."""
    return open_ledger(settings.load({}), lambda _: None)


# Many processes, a hundred wallets, one of which is hot.


def all_day(folder: Path, plan: business.Plan, fault: str | None = None) -> tuple[business.Outcome, list[str]]:
    """For `alone`: prepare a ledger, let everybody loose on it, and audit it; what happened, and what is wrong."""
    clock = business.start_clock()
    with reopened() as ledger:
        business.prepare(ledger, plan, clock)
    if fault is not None:
        globals()[fault]()
    outcome = business.run(folder, plan, clock)
    with reopened() as ledger:
        ledger.executor.clock = clock
        return outcome, business.problems(ledger, plan, outcome)


def test_a_days_business_adds_up(db: Address, tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    operations = OPERATIONS[engine.name]
    monkeypatch.setattr(processes, "ALONE_TIMEOUT_S", LONGEST_S)
    outcome, problems = processes.alone(all_day, tmp_path, business.Plan(operations))
    print(f"{outcome.operations:,} operations, {outcome.seconds:.1f} s, {outcome.snapshots} snapshots")
    print(f"  refused: {dict(outcome.refused)}")
    assert problems == []
    assert outcome.operations == operations

    # All that could happen did.
    applied, refused = outcome.applied, outcome.refused
    assert set(applied) == {"Post", "Transfer", "PlaceHold", "CaptureHold", "VoidHold", "Reverse"}
    assert applied.total() > operations / 2
    assert REFUSALS <= set(refused) <= REFUSALS | GUESSES
    assert sum(report.replayed for report in outcome.reports) > 0
    assert outcome.snapshots > 2
    with reopened() as ledger:
        assert Counter(hold.status for hold in ledger.store.holds_in_order()).keys() == {
            "open", "captured", "voided", "expired",
        }  # fmt: skip
        forced, hot, all_ = ledger.store.connection.execute(
            "SELECT sum(forced), count(*) FILTER (WHERE 1 IN (wallet_id, peer_wallet_id)), count(*) FROM transactions"
        ).fetchall()[0]
    print(f"  forced: {forced}")
    assert forced > 0
    assert hot > all_ / 3


# The audit sees what it is for: the same day with a fault in it fails.


def transfers_write_one_leg() -> None:
    """A deliberate fault: a transfer takes and does not give."""

    def one_leg(state: State, command: Transfer, now_us: int) -> Any:
        last = state.last.get(command.target_id)
        result = postings.transfer(state, command, now_us)
        if isinstance(result, Applied) and last is not None:
            state.changes.remove(state.last[command.target_id])
            state.last[command.target_id] = last
        return result

    rules.RULES[Transfer].decide = one_leg


def captures_do_not_end_a_hold() -> None:
    """A deliberate fault: what is captured is debited, and the hold stays as it was."""

    def capture(state: State, command: CaptureHold, now_us: int) -> Any:
        hold, wallet = state.holds.get((command.wallet_id, command.number)), state.wallets.get(command.wallet_id)
        result = hold_rules.capture(state, command, now_us)
        if isinstance(result, Applied) and hold is not None and wallet is not None:
            state.keep_hold(hold)
            state.keep_wallet(wallet)
        return result

    rules.RULES[CaptureHold].decide = capture


def lapsed_holds_are_captured() -> None:
    """A deliberate fault: that a hold has expired counts for nothing."""

    def status_at(hold: Hold, now_us: int) -> str:
        return OPEN if hold.status == EXPIRED else hold.status

    hold_rules.status_at = status_at


def floors_are_not_asked() -> None:
    """A deliberate fault: a debit may take what is not there."""

    def nothing(*_: object, **__: object) -> None:
        return None

    postings.debit_refused = nothing
    hold_rules.debit_refused = nothing  # type: ignore[attr-defined]


def loads_before_its_turn(loaded: Callable[[], object] = lambda: None) -> None:
    """A deliberate fault: decided on what was read before the turn, and written over what came in between.

    `loaded` is called between the two.
    """
    engine = store_class()
    write = engine.write

    def run(
        self: Executor, commands: Sequence[Command], name: str, lock_timeout_s: float | None = None
    ) -> list[Result]:
        state = self.store.load(commands, self.policy._replace(clock_skew_us=None), self.clock())
        if not self.store.is_local:
            self.store.rollback()  # it has the locks
        loaded()
        with self.turn(name, lock_timeout_s) as turn, pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.store, "load", lambda *_: state)
            return turn.carry_out(commands)

    def write_over(store: Store, made: Sequence[Change]) -> None:
        if not store.is_local:
            begin_by_itself(store)
            store.connection.execute("SELECT pg_advisory_xact_lock(1)")  # or they would end each other in deadlocks
        for thing in made:
            if isinstance(thing, Transaction):
                store.connection.execute(
                    f"DELETE FROM transactions WHERE wallet_id = {thing.wallet_id} AND seq = {thing.seq}"
                )
            elif isinstance(thing, Event):
                store.connection.execute(
                    f"DELETE FROM events WHERE kind = {thing.kind} AND subject_id = {thing.subject_id}"
                    f" AND number = {thing.number}"
                )
        write(store, made)

    Executor.run = run  # type: ignore[method-assign]
    engine.write = write_over  # type: ignore[method-assign,assignment]


IN_BETWEEN_S = 0.005
"""Some times as long as a reader who reads all the time takes for one round."""


def commits_a_turn_in_two() -> None:
    """A deliberate fault: the last thing of a turn is committed by itself. In the end all of it is there."""
    engine = store_class()
    write = engine.write

    def in_two(store: Store, made: Sequence[Change]) -> None:
        write(store, made[:-1])
        store.commit()
        time.sleep(IN_BETWEEN_S)
        begin_by_itself(store)
        write(store, made[-1:])

    engine.write = in_two  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("transfers_write_one_leg", "all wallets have"),
        ("captures_do_not_end_a_hold", "was ended 2 times"),
        pytest.param(
            *("lapsed_holds_are_captured", "and was captured at"),
            marks=pytest.mark.on_file("on PostgreSQL a capture may be dated after it was decided"),
        ),
        ("floors_are_not_asked", "broke the floor"),
        ("loads_before_its_turn", "the answers add up to"),
        pytest.param(
            *("commits_a_turn_in_two", "reader 0: the leg"),
            marks=pytest.mark.on_file("on PostgreSQL most turns in two collide with others, and begin again and again"),
        ),
    ],
)
def test_the_audit_finds_a_deliberate_fault(
    db: Address, tmp_path: Path, engine: Engine, fault: str, complaint: str
) -> None:
    plan = business.Plan(OPERATIONS_TO_A_FAULT, writers=4, wallets=10, readers=1, read_every_s=0)
    try:
        _, problems = processes.alone(all_day, tmp_path, plan, fault)
    except AssertionError as error:
        # What is written over is told by the first who reads it, before the audit has its turn.
        problems = [str(error)] if fault == "loads_before_its_turn" else []
        complaint = "this ledger is damaged"
    assert any(complaint in problem for problem in problems), problems


# Two at once. Each has its ledger open and waits for the other at a gate, then both ask for the same thing.

ROUNDS = {"file": size(60, 1000), "postgres": size(24, 1000)}
"""By engine: each head start of the one and of the other five times, and twice."""

Ask = Callable[[Ledger, str], dict[str, Any]]


def capture(ledger: Ledger, id_: str) -> dict[str, Any]:
    return ledger.run(holds.capture(ledger, parse_hold_id(id_)), "hold capture")


def capture_with_a_key(ledger: Ledger, id_: str) -> dict[str, Any]:
    return ledger.run(holds.capture(ledger, parse_hold_id(id_), key=f"of {id_}"), "hold capture")


def void(ledger: Ledger, id_: str) -> dict[str, Any]:
    return ledger.run(holds.void(ledger, parse_hold_id(id_)), "hold void")


def reverse(ledger: Ledger, id_: str) -> dict[str, Any]:
    return ledger.run(transactions.reverse(ledger, parse_transaction_id(id_)), "tx reverse")


def reverse_with_a_key(ledger: Ledger, id_: str) -> dict[str, Any]:
    return ledger.run(transactions.reverse(ledger, parse_transaction_id(id_), key=f"of {id_}"), "tx reverse")


def a_hold(ledger: Ledger) -> str:
    return str(ledger.run(holds.add(ledger, parse_wallet("1/a"), "1.00"), "hold add")["id"])


def a_credit(ledger: Ledger) -> str:
    return str(ledger.run(transactions.add(ledger, parse_wallet("1/a"), "1.00", is_credit=True), "tx add")["id"])


def a_transfer(ledger: Ledger) -> str:
    return str(
        ledger.run(transactions.transfer(ledger, parse_wallet("1/a"), parse_wallet("1/b"), "1.00"), "transfer")["id"]
    )


class Duel(NamedTuple):
    """What both are after, what each asks for, and the code that the loser is told."""

    over: Callable[[Ledger], str]
    asks: tuple[Ask, Ask]
    refusal: str | None
    """None where the loser is given the winner's answer again, `replayed`."""


DUELS = {
    "two captures": Duel(a_hold, (capture, capture), "hold_not_open"),
    "a capture and a void": Duel(a_hold, (capture, void), "hold_not_open"),
    "two reversals of a credit": Duel(a_credit, (reverse, reverse), "reversal_exceeds_original"),
    "two reversals of a transfer": Duel(a_transfer, (reverse, reverse), "reversal_exceeds_original"),
    "two captures with one key": Duel(a_hold, (capture_with_a_key, capture_with_a_key), None),
    "two reversals with one key": Duel(a_credit, (reverse_with_a_key, reverse_with_a_key), None),
}

EFFECTS: dict[Ask, tuple[tuple[int, int], tuple[int, int]]] = {
    # What the winner leaves, in minor units: the change of each wallet's balance, and how many transactions it adds.
    capture: ((-100, 0), (1, 0)),
    capture_with_a_key: ((-100, 0), (1, 0)),
    void: ((0, 0), (0, 0)),
    reverse: ((-100, 0), (1, 0)),
    reverse_with_a_key: ((-100, 0), (1, 0)),
}
OF_A_TRANSFER = ((100, -100), (1, 1))


class Gate:
    """Lets two processes through: each says which round it has come to, and goes on when both have.

    In some rounds at once, in others one has a head start, now the one and now the other: so they meet at all stages of
    each other's turn, and neither is always the first because it is nearer to a core.
    """

    HEAD_STARTS_US = (0, 0, 20, 100, 500, 2000)

    def __init__(self) -> None:
        self.rounds = mmap.mmap(-1, 2 * mmap.PAGESIZE)

    def meet(self, who: int, round_: int) -> None:
        mine, other = (slice(side * mmap.PAGESIZE, side * mmap.PAGESIZE + 4) for side in (who, 1 - who))
        self.rounds[mine] = round_.to_bytes(4, "little")
        while int.from_bytes(self.rounds[other], "little") < round_:
            os.sched_yield()
        leads, times = round_ % 2, round_ // 2
        if who != leads:
            until_ns = time.perf_counter_ns() + self.HEAD_STARTS_US[times % len(self.HEAD_STARTS_US)] * 1000
            while time.perf_counter_ns() < until_ns:
                os.sched_yield()


def fight(who: int, ask: Ask, gate: Gate, questions: BinaryIO, answers: BinaryIO) -> None:
    """One side of a duel: for each id that it is sent, ask, and send back the answer or the error."""
    with reopened() as ledger:
        for round_, line in enumerate(iter(questions.readline, b""), 1):
            gate.meet(who, round_)
            try:
                said = (True, ask(ledger, line.decode().strip()))
            except WalletError as error:
                said = (False, error.as_json())
            pickle.dump(said, answers)
            answers.flush()


class Side:
    """A process that fights, and the pipes to it and from it. `others` are those that were started before.

    `prepare` is called in it before it begins.
    """

    def __init__(self, who: int, ask: Ask, gate: Gate, others: Sequence[Side], prepare: Callable[[], object]) -> None:
        question, mine = os.pipe()
        theirs, told = os.pipe()
        self.questions: BinaryIO = os.fdopen(mine, "wb", buffering=0)
        self.answers: BinaryIO = os.fdopen(theirs, "rb")

        def work() -> None:
            # A side whose questions end is to see it, whoever else there is.
            for side in (self, *others):
                side.questions.close()
            prepare()
            with os.fdopen(question, "rb") as questions, os.fdopen(told, "wb") as answers:
                fight(who, ask, gate, questions, answers)

        self.pid = processes.fork(work)
        os.close(question)
        os.close(told)


def standing(ledger: Ledger) -> tuple[tuple[int, int], tuple[int, int], int]:
    """Of both wallets the balance, in minor units, and the number of transactions; and what the first one holds."""
    a, b = (wallets.find_account(ledger, parse_wallet(name)) for name in ("1/a", "1/b"))
    return (a.last.balance, b.last.balance), (a.last.seq, b.last.seq), a.held


def duels(name: str, rounds: int, fault: str | None = None) -> tuple[list[int], list[str]]:
    """For `alone`: so many rounds of a duel. How often each side won, and what went wrong."""
    duel = DUELS[name]
    with reopened() as ledger:
        ledger.run(users.register(ledger, "9886977544"), "register")
        for type_ in "ab":
            ledger.run(wallets.create(ledger, parse_wallet(f"1/{type_}")), "create")
            ledger.run(transactions.add(ledger, parse_wallet(f"1/{type_}"), "100000", is_credit=True), "tx add")
    gate = Gate()
    both = multiprocessing.Barrier(2)  # so that the fault does its harm in every round, however busy the machine is
    sides: list[Side] = []
    for who in (0, 1):
        sides.append(Side(who, duel.asks[who], gate, sides, lambda: fault and globals()[fault](both.wait)))
    won, found = [0, 0], []
    with reopened() as ledger:
        for round_ in range(rounds):
            id_ = duel.over(ledger)
            before = standing(ledger)
            for side in sides:
                side.questions.write(f"{id_}\n".encode())
            said = [pickle.load(side.answers) for side in sides]
            found += [f"round {round_}, over {id_}: {wrong}" for wrong in judged(ledger, duel, id_, before, said, won)]
        try:
            verification.verify(ledger)
        except StorageError as error:
            found.append(f"verify: {error.message}")
    for side in sides:
        side.questions.close()
        processes.join([side.pid])
    return won, found


def judged(ledger: Ledger, duel: Duel, id_: str, before: Any, said: list[Any], won: list[int]) -> list[str]:
    """What was wrong in a round, given how the wallets stood before it and what both sides were told."""
    winners = [who for who, (done, answer) in enumerate(said) if done and "replayed" not in answer]
    if len(winners) != 1:
        return [f"{len(winners)} won: {said}"]
    winner = winners[0]
    won[winner] += 1
    (_, answer), (done, other) = said[winner], said[1 - winner]
    found = []
    if duel.refusal is None:
        if not done or other != answer | {"replayed": True}:
            found.append(f"the other was told {other}, and the first {answer}")
    elif done or other["code"] != duel.refusal or not is_clear(other, answer, id_):
        found.append(f"the other was told {other}")
    changes, added = OF_A_TRANSFER if duel.over is a_transfer else EFFECTS[duel.asks[winner]]
    (balances, numbers, held), after = before, standing(ledger)
    expected = (
        tuple(map(sum, zip(balances, changes, strict=True))),
        tuple(map(sum, zip(numbers, added, strict=True))),
        held - 100 if duel.over is a_hold else held,
    )
    if after != expected:
        found.append(f"the wallets stand at {after}, not at {expected}")
    return found


def is_clear(error: dict[str, Any], answer: dict[str, Any], id_: str) -> bool:
    """Whether a refusal names what was asked for, and says what became of it."""
    details = error["details"]
    if error["code"] == "hold_not_open":
        became = details["status"] == ("voided" if "status" in answer else "captured")
    else:
        became = (details["reversed"], details["available"]) == ("1.00", "0.00")
    return became and id_ in error["message"] and not error["retryable"]


@pytest.mark.parametrize("name", DUELS)
def test_of_two_at_once_exactly_one_wins(db: Address, engine: Engine, name: str) -> None:
    rounds = ROUNDS[engine.name]
    won, found = processes.alone(duels, name, rounds)
    assert found == []
    assert sum(won) == rounds
    # They do meet: neither is always the first.
    assert all(won), won


@pytest.mark.parametrize("name", ["two captures", "a capture and a void", "two reversals of a credit"])
def test_two_at_once_both_win_where_a_fault_lets_them(db: Address, name: str) -> None:
    rounds = 3
    _, found = processes.alone(duels, name, rounds, "loads_before_its_turn")
    assert sum("2 won" in problem for problem in found) == rounds, found
