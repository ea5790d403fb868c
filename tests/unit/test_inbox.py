"""The inbox: what arrives during a commit is the next batch, in order and bounded, and everybody is answered."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from greenlet import getcurrent, greenlet
from support.waiting import wait_for

from wallet_cli.domain.commands import Atomic, Command, NoteUse, Refusal, Result
from wallet_cli.engine import group_commit as inbox_module
from wallet_cli.engine.group_commit import QUICK_COMMANDS, BatchReport, GroupCommit, Loop
from wallet_cli.errors import Busy, InternalError, StorageError, UnknownOutcome, Unreachable, WalletError

TIMEOUT_S = 30


class FakeExecutor:
    """Answers each command with a refusal that names it; a batch ends when the test lets it."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.retries = 0
        self.errors: dict[int, BaseException] = {}
        """What to raise, by the number of the batch."""
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.threads: set[int] = set()

    def run(
        self,
        commands: Sequence[Command],
        name: str,
        lock_timeout_s: float | None = None,
        actors: Sequence[str | None] | None = None,
    ) -> list[Result]:
        number = len(self.batches)
        assert name == "a test"
        assert actors == [None] * len(commands)
        singles = [command.commands[0] if isinstance(command, Atomic) else command for command in commands]
        self.batches.append([single.name for single in singles])  # type: ignore[union-attr]
        self.threads.add(threading.get_ident())
        self.begun.release()
        assert self.may_end.acquire(timeout=TIMEOUT_S)
        if number in self.errors:
            raise self.errors[number]
        return [Refusal(WalletError(single.name)) for single in singles]  # type: ignore[union-attr]


class Desk:
    """An inbox over a fake executor, and all that it answered, handed over and reported."""

    def __init__(self, capacity: int | None = None, loop: Loop | None = None) -> None:
        self.executor = FakeExecutor()
        self.opened_and_closed: list[str] = []
        self.answers: list[tuple[str, Any]] = []
        """Who was answered, with what, in that order."""
        self.reports: list[BatchReport] = []
        bound = {} if capacity is None else {"capacity": capacity}
        self.group_commit = GroupCommit(self._open, "a test", loop, self.reports.append, **bound)

    @contextmanager
    def _open(self) -> Iterator[Any]:
        self.opened_and_closed.append("opened")
        try:
            yield self.executor
        finally:
            self.opened_and_closed.append("closed")

    def send(self, who: str, *names: str) -> None:
        """Leave commands of these names; one of the caller's own name where none are given."""
        commands = [NoteUse(name) for name in names or (who,)]

        def answer(results: list[Result] | WalletError) -> None:
            if isinstance(results, WalletError):
                self.answers.append((who, results))
            else:
                self.answers.append((who, [each.error.message for each in results]))  # type: ignore[union-attr]

        self.group_commit.submit(commands, answer)

    def send_group(self, who: str) -> None:
        """Leave a large group, of which the executor notes the name of the caller alone."""
        group = Atomic(tuple(NoteUse(who) for _ in LARGE))
        self.group_commit.submit([group], lambda results: self.answers.append((who, results)))

    def begun(self) -> None:
        """Wait until a batch is with the executor."""
        assert self.executor.begun.acquire(timeout=TIMEOUT_S)

    def let(self, batches: int) -> None:
        """Let that many batches end."""
        self.executor.may_end.release(batches)

    def close(self) -> None:
        closing = threading.Thread(target=self.group_commit.close)
        closing.start()
        closing.join(TIMEOUT_S)
        assert not closing.is_alive(), "the inbox does not close"


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    made.group_commit.start()
    yield made
    made.let(1000)
    made.close()


def test_a_lone_request_is_a_batch_and_waits_for_nobody(desk: Desk) -> None:
    desk.send("a")
    desk.begun()
    assert desk.executor.batches == [["a"]]


def test_what_arrives_during_a_commit_is_the_next_batch(desk: Desk) -> None:
    desk.send("a")
    desk.begun()
    for who in "bcd":
        desk.send(who)
    assert desk.group_commit.depth() == 3
    assert desk.answers == []
    desk.let(1)
    desk.begun()
    assert desk.group_commit.depth() == 0
    for who in "ef":
        desk.send(who)
    desk.let(2)
    desk.close()
    assert desk.executor.batches == [["a"], ["b", "c", "d"], ["e", "f"]]


def test_nobody_is_answered_before_their_commit(desk: Desk) -> None:
    desk.send("a")
    desk.begun()
    desk.send("b")
    assert desk.answers == []
    desk.let(1)
    desk.begun()
    assert [who for who, _ in desk.answers] == ["a"]
    desk.let(1)
    desk.close()
    assert [who for who, _ in desk.answers] == ["a", "b"]


def test_each_caller_gets_the_results_of_its_own_commands(desk: Desk) -> None:
    desk.send("first")
    desk.begun()
    desk.send("two", "t1", "t2")
    desk.send("none-yet")
    desk.send("three", "x1", "x2", "x3")
    desk.let(2)
    desk.close()
    assert desk.executor.batches[1] == ["t1", "t2", "none-yet", "x1", "x2", "x3"]
    assert desk.answers == [
        ("first", ["first"]),
        ("two", ["t1", "t2"]),
        ("none-yet", ["none-yet"]),
        ("three", ["x1", "x2", "x3"]),
    ]


def test_a_request_of_no_commands_has_no_results(desk: Desk) -> None:
    # It is how /readyz asks whether there is a writer that takes turns.
    desk.send("before")
    desk.begun()
    desk.group_commit.submit([], lambda results: desk.answers.append(("ready", results)))
    assert desk.group_commit.depth() == 1  # it counts against the bound, as all that waits does
    desk.let(2)
    desk.close()
    assert desk.executor.batches == [["before"], []]
    assert desk.answers[1] == ("ready", [])


def test_one_thread_alone_uses_the_executor(desk: Desk) -> None:
    desk.let(1000)
    for number in range(20):
        desk.send(str(number))
        desk.begun()
    desk.close()
    assert len(desk.executor.threads) == 1
    assert threading.get_ident() not in desk.executor.threads
    assert desk.opened_and_closed == ["opened", "closed"]


# The bound.


def test_a_full_inbox_refuses_at_once_until_there_is_room() -> None:
    desk = Desk(capacity=3)
    desk.group_commit.start()
    desk.send("with the executor")
    desk.begun()
    for who in "abc":
        desk.send(who)
    with pytest.raises(Busy, match="3 writes are already waiting") as refused:
        desk.send("d")
    assert refused.value.retryable
    assert desk.group_commit.depth() == 3
    desk.let(1)
    desk.begun()  # a, b and c are with the executor now
    desk.send("e")
    desk.let(2)
    desk.close()
    assert [who for who, _ in desk.answers] == ["with the executor", "a", "b", "c", "e"]


def test_the_bound_counts_commands_not_requests() -> None:
    desk = Desk(capacity=10)
    desk.group_commit.start()
    desk.send("with the executor")
    desk.begun()
    desk.send("nine", *"123456789")
    with pytest.raises(Busy):
        desk.send("two", "1", "2")
    desk.send("one")
    desk.let(2)
    desk.close()
    assert [who for who, _ in desk.answers] == ["with the executor", "nine", "one"]


def test_the_bound_counts_each_command_of_a_group() -> None:
    """Else hundreds of groups of thousands would be let in as hundreds."""
    desk = Desk(capacity=10)
    desk.group_commit.start()
    desk.send("with the executor")
    desk.begun()
    group = Atomic(tuple(NoteUse("one") for _ in range(6)))
    told: list[object] = []
    desk.group_commit.submit([group], told.append)
    assert desk.group_commit.depth() == 6
    with pytest.raises(Busy):
        desk.group_commit.submit([group], told.append)
    with pytest.raises(Busy):
        desk.send("five", *"abcde")
    desk.send("four", *"abcd")
    with pytest.raises(Busy):
        desk.group_commit.must_have_room()
    desk.executor.errors[1] = StorageError("this executor knows no groups")
    desk.let(2)
    desk.close()
    assert len(told) == 1
    assert desk.group_commit.depth() == 0


def test_the_bound_counts_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "MAX_WAITING_BYTES", 10_000)
    desk = Desk()
    desk.group_commit.start()
    desk.send("with the executor")
    desk.begun()
    desk.send("long", "x" * 6000)
    with pytest.raises(Busy):
        desk.send("too long", "x" * 6000)
    desk.send("short")
    desk.let(1)
    desk.begun()
    desk.send("again", "x" * 6000)
    desk.let(2)
    desk.close()
    assert [who for who, _ in desk.answers] == ["with the executor", "long", "short", "again"]


def test_a_request_larger_than_the_bound_is_taken_when_nothing_waits() -> None:
    # Else it would be refused for ever, with the advice to try again.
    desk = Desk(capacity=3)
    desk.group_commit.start()
    desk.send("large", *"1234567")
    desk.let(1)
    desk.close()
    assert desk.answers == [("large", list("1234567"))]


def test_a_batch_is_bounded_and_a_request_is_never_split(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "MAX_BATCH_COMMANDS", 5)
    desk.send("first")
    desk.begun()
    desk.send("three", "1", "2", "3")
    desk.send("four", "4", "5", "6", "7")
    desk.send("one", "8")
    desk.send("six", *"abcdef")
    desk.let(5)
    desk.close()
    assert desk.executor.batches == [["first"], ["1", "2", "3"], ["4", "5", "6", "7", "8"], list("abcdef")]


# Large groups: each takes long, and is all or nothing.

LARGE = [str(number) for number in range(QUICK_COMMANDS + 1)]
FOR_EVER = 1e9


def test_others_go_before_a_large_group(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "PAUSE_TURNS", FOR_EVER)
    desk.send_group("large")
    desk.begun()
    desk.send_group("next large")
    for who, names in (("a", []), ("many", LARGE)):
        desk.send(who, *names)
        desk.let(1)
        desk.begun()
    desk.let(2)
    desk.close()  # which no pause delays
    assert [who for who, _ in desk.answers] == ["large", "a", "many", "next large"]


def test_a_large_group_pauses_for_nobody(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "PAUSE_TURNS", FOR_EVER)
    desk.send_group("large")
    desk.begun()
    desk.send_group("next large")
    desk.let(1)
    desk.begun()
    assert [who for who, _ in desk.answers] == ["large"]


def test_large_groups_take_nobody_elses_room() -> None:
    desk = Desk(capacity=len(LARGE))
    desk.group_commit.start()
    desk.send_group("large")
    desk.begun()
    desk.send_group("next large")
    with pytest.raises(Busy):
        desk.send_group("one more")
    with pytest.raises(Busy):
        desk.group_commit.must_have_room(groups=True)
    desk.group_commit.must_have_room()
    desk.send("a")
    assert desk.group_commit.depth() == len(LARGE) + 1
    desk.let(3)
    desk.close()
    assert {who for who, _ in desk.answers} == {"large", "next large", "a"}


def test_large_requests_and_others_take_turns(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """They do not pause as groups do: an import would take ten times as long. And nobody waits for two of them."""
    monkeypatch.setattr(inbox_module, "PAUSE_TURNS", FOR_EVER)
    desk.send("many", *LARGE)
    desk.begun()
    desk.send("more", *LARGE)
    for who in "abc":
        desk.send(who)
        desk.let(1)
        desk.begun()
    assert desk.executor.batches == [LARGE, ["a"], LARGE, ["b", "c"]]


def test_large_requests_take_nobody_elses_room() -> None:
    desk = Desk(capacity=len(LARGE))
    desk.group_commit.start()
    desk.send("running", *LARGE)
    desk.begun()
    desk.send("many", *LARGE)
    with pytest.raises(Busy):
        desk.send("one more", *LARGE)
    with pytest.raises(Busy):
        desk.group_commit.must_have_room(many=True)
    desk.group_commit.must_have_room()
    desk.group_commit.must_have_room(groups=True)
    desk.send("a")
    desk.let(3)
    desk.close()
    assert [who for who, _ in desk.answers] == ["running", "a", "many"]


def test_a_large_group_has_its_turn_however_many_wait(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "PAUSE_TURNS", 0)
    desk.send("a")
    desk.begun()
    desk.send_group("large")
    for who in "bcd":
        desk.send(who)
    desk.let(3)
    desk.close()
    assert desk.executor.batches == [["a"], ["large"], ["b", "c", "d"]]


# The end.


def test_close_carries_out_what_is_waiting_and_answers_it(desk: Desk) -> None:
    desk.send("a")
    desk.begun()
    for who in "bc":
        desk.send(who)
    desk.let(2)
    desk.close()
    assert [who for who, _ in desk.answers] == ["a", "b", "c"]
    assert desk.opened_and_closed == ["opened", "closed"]


def test_close_drains_in_bounded_batches(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "MAX_BATCH_COMMANDS", 2)
    desk.send("a")
    desk.begun()
    for who in "bcdef":
        desk.send(who)
    desk.let(4)
    desk.close()
    assert desk.executor.batches == [["a"], ["b", "c"], ["d", "e"], ["f"]]
    assert len(desk.answers) == 6


def test_a_closed_inbox_refuses_at_once(desk: Desk) -> None:
    desk.close()
    with pytest.raises(Busy, match="shutting down") as refused:
        desk.send("late")
    assert refused.value.retryable
    assert desk.answers == []


def test_closing_wakes_an_idle_inbox(desk: Desk) -> None:
    desk.close()
    assert desk.executor.batches == []
    assert desk.opened_and_closed == ["opened", "closed"]


# What goes wrong.


@pytest.mark.parametrize(
    "error",
    [Busy("no turn"), StorageError("disk full"), UnknownOutcome("it is unknown whether this was written")],
    ids=lambda error: type(error).__name__,
)
def test_a_batch_that_fails_tells_everyone_in_it_why(desk: Desk, error: WalletError) -> None:
    desk.executor.errors[1] = error
    desk.send("before")
    desk.begun()
    for who in "ab":
        desk.send(who, who, who)
    desk.let(1)
    desk.begun()
    desk.send("after")
    desk.let(2)
    desk.close()
    assert desk.answers == [("before", ["before"]), ("a", error), ("b", error), ("after", ["after"])]


def test_a_fault_of_the_program_is_an_answer_too(desk: Desk) -> None:
    desk.executor.errors[0] = ZeroDivisionError("a slip")
    desk.send("a")
    desk.begun()
    desk.send("b")
    desk.let(2)
    desk.close()
    (who, error), after = desk.answers
    assert who == "a"
    assert isinstance(error, InternalError)
    assert error.retryable
    assert after == ("b", ["b"])


def test_start_raises_what_opening_raised() -> None:
    @contextmanager
    def no_ledger() -> Iterator[Any]:
        raise StorageError("there is no ledger")
        yield

    inbox = GroupCommit(no_ledger, "a test")
    with pytest.raises(StorageError, match="there is no ledger"):
        inbox.start()


# With an event loop: quick batches are carried out in it, and all else by the thread.


class FakeLoop:
    """A loop whose turns are taken when the test says so, in the test's thread, and an executor in it."""

    def __init__(self) -> None:
        self.calls: deque[Callable[[], None]] = deque()
        self.handed_over: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.executor = FakeExecutor()
        self.executor.may_end.release(1000)
        self.loop = Loop(self.executor, self.calls.append, self.handed_over.put)  # type: ignore[arg-type]

    def tick(self) -> None:
        """Do what was scheduled up to now."""
        for _ in range(len(self.calls)):
            self.calls.popleft()()

    def answer_one_batch(self) -> None:
        """Do what the thread handed over for one batch."""
        self.handed_over.get(timeout=TIMEOUT_S)()


@pytest.fixture
def here() -> FakeLoop:
    return FakeLoop()


@pytest.fixture
def looped(here: FakeLoop) -> Iterator[Desk]:
    made = Desk(loop=here.loop)
    made.group_commit.start()
    yield made
    made.let(1000)
    made.close()


def test_all_that_a_loop_has_read_is_one_batch_in_the_loop(looped: Desk, here: FakeLoop) -> None:
    for who in "abc":
        looped.send(who)
    assert here.executor.batches == []
    here.tick()
    assert here.executor.batches == [["a", "b", "c"]]
    assert looped.answers == [("a", ["a"]), ("b", ["b"]), ("c", ["c"])]
    assert here.executor.threads == {threading.get_ident()}
    assert looped.executor.batches == []


def test_a_large_batch_and_what_comes_after_it_are_the_threads(looped: Desk, here: FakeLoop) -> None:
    looped.send("large", *LARGE)
    here.tick()
    looped.begun()
    looped.send("small")
    here.tick()
    looped.let(2)
    here.answer_one_batch()
    here.answer_one_batch()
    assert looped.answers == [("large", LARGE), ("small", ["small"])]
    assert here.executor.batches == []


def test_while_large_groups_pause_the_loop_takes_turns(
    looped: Desk, here: FakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "PAUSE_TURNS", FOR_EVER)
    looped.send_group("large")
    looped.begun()
    looped.send("small")
    looped.send_group("next large")
    looped.let(2)
    here.answer_one_batch()
    here.answer_one_batch()
    wait_for(lambda: not looped.group_commit._with_thread)
    looped.send("smaller")
    here.tick()
    assert [who for who, _ in looped.answers] == ["large", "small", "smaller"]
    assert here.executor.batches == [["smaller"]]


def test_a_slow_large_group_leaves_the_turns_of_others_quick(
    looped: Desk, here: FakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "QUICK_TURN_S", 0.0)
    looped.send_group("large")
    looped.let(1)
    here.answer_one_batch()
    wait_for(lambda: not looped.group_commit._with_thread)
    looped.send("small")
    here.tick()
    assert here.executor.batches == [["small"]]


def test_the_thread_waits_for_a_turn_that_another_has(looped: Desk, here: FakeLoop) -> None:
    here.executor.errors[0] = Busy("another process has it")
    for who in "ab":
        looped.send(who)
    here.tick()
    looped.begun()
    assert looped.answers == []
    assert looped.executor.batches == [["a", "b"]]
    looped.let(1)
    here.answer_one_batch()
    assert looped.answers == [("a", ["a"]), ("b", ["b"])]


def test_a_failure_in_the_loop_is_an_answer_and_the_loop_goes_on(looped: Desk, here: FakeLoop) -> None:
    disk_full = StorageError("disk full")
    here.executor.errors[0] = disk_full
    looped.send("a")
    here.tick()
    looped.send("b")
    here.tick()
    assert looped.answers == [("a", disk_full), ("b", ["b"])]


def test_what_the_thread_did_is_handed_over_once_a_batch(looped: Desk, here: FakeLoop) -> None:
    looped.send("large", *LARGE)
    here.tick()
    looped.begun()
    for number in range(50):
        looped.send(str(number))
    looped.let(2)
    here.answer_one_batch()
    here.answer_one_batch()
    assert here.handed_over.empty()
    assert len(looped.answers) == 51


def test_closing_carries_out_what_the_loop_had_not_come_to(looped: Desk, here: FakeLoop) -> None:
    for who in "ab":
        looped.send(who)
    looped.let(1)
    looped.close()
    here.answer_one_batch()
    here.tick()  # too late: there is nothing left
    assert looped.answers == [("a", ["a"]), ("b", ["b"])]
    assert here.executor.batches == []


# With an event loop whose turns step aside while they wait: for a database on another host.


class SteppingAside(FakeExecutor):
    """An executor in a loop, whose batch ends when the test takes it up again."""

    def __init__(self) -> None:
        super().__init__()
        self.may_end.release(1000)
        self.aside: deque[greenlet] = deque()

    def run(
        self,
        commands: Sequence[Command],
        name: str,
        lock_timeout_s: float | None = None,
        actors: Sequence[str | None] | None = None,
    ) -> list[Result]:
        assert lock_timeout_s is None  # it may wait as long as anybody
        turn = getcurrent()
        self.aside.append(turn)
        assert turn.parent is not None
        turn.parent.switch()
        return super().run(commands, name, lock_timeout_s, actors)

    def end(self) -> None:
        """Let the turn that is under way end."""
        self.aside.popleft().switch()


@pytest.fixture
def patient(here: FakeLoop) -> Iterator[Desk]:
    here.executor = SteppingAside()
    made = Desk(loop=here.loop._replace(executor=here.executor, aside=lambda work: greenlet(work).switch()))  # type: ignore[arg-type]
    made.group_commit.start()
    yield made
    made.let(1000)
    made.close()


def test_what_arrives_while_a_turn_waits_is_the_next_batch(patient: Desk, here: FakeLoop) -> None:
    executor = here.executor
    assert isinstance(executor, SteppingAside)
    patient.send("a")
    here.tick()
    for who in "bc":
        patient.send(who)
        here.tick()
    assert (len(executor.aside), patient.group_commit.depth(), patient.answers) == (1, 2, [])
    executor.end()
    assert patient.answers == [("a", ["a"])]
    here.tick()
    assert (len(executor.aside), patient.group_commit.depth()) == (1, 0)
    executor.end()
    assert executor.batches == [["a"], ["b", "c"]]
    assert patient.executor.batches == []


def test_a_turn_that_waits_may_be_slow(patient: Desk, here: FakeLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "QUICK_TURN_S", -1.0)
    assert isinstance(here.executor, SteppingAside)
    patient.send("a")
    here.tick()
    here.executor.end()
    assert here.executor.batches == [["a"]]


def test_a_large_batch_is_the_threads_there_too(patient: Desk, here: FakeLoop) -> None:
    patient.send("large", *LARGE)
    here.tick()
    patient.begun()
    patient.let(1)
    here.answer_one_batch()
    assert patient.answers == [("large", LARGE)]


def test_where_a_connection_is_lost_the_thread_makes_a_new_one(patient: Desk, here: FakeLoop) -> None:
    assert isinstance(here.executor, SteppingAside)
    away = Unreachable("it is away")
    here.executor.errors[0] = patient.executor.errors[1] = away
    for who in "ab":
        patient.send(who)
    here.tick()
    here.executor.end()
    patient.begun()
    patient.send("c")
    here.tick()
    assert patient.answers == []
    patient.let(2)
    here.answer_one_batch()
    here.answer_one_batch()
    assert patient.executor.batches == [["a", "b"], ["c"]]
    assert patient.answers == [("a", ["a"]), ("b", ["b"]), ("c", away)]  # and says so where it cannot


@pytest.mark.parametrize(
    "error", [UnknownOutcome("who knows"), Busy("others have the turn"), StorageError("disk full")]
)
def test_what_a_turn_has_waited_for_in_vain_is_its_answer(patient: Desk, here: FakeLoop, error: WalletError) -> None:
    """Carried out again, it might be applied twice, or the callers wait twice as long."""
    assert isinstance(here.executor, SteppingAside)
    here.executor.errors[0] = error
    patient.send("a")
    here.tick()
    here.executor.end()
    assert patient.answers == [("a", error)]
    assert patient.executor.batches == []


def test_closing_waits_for_the_turn_that_waits(patient: Desk, here: FakeLoop) -> None:
    assert isinstance(here.executor, SteppingAside)
    patient.send("a")
    here.tick()
    closing = threading.Thread(target=patient.group_commit.close)
    closing.start()
    patient.let(1)
    patient.executor.begun.acquire(timeout=0.05)  # the thread has nothing to do, and stays
    assert closing.is_alive()
    here.executor.end()
    closing.join(TIMEOUT_S)
    assert not closing.is_alive()
    assert patient.answers == [("a", ["a"])]
    assert patient.executor.batches == []


# What is told about it.


def test_each_turn_is_reported(desk: Desk) -> None:
    desk.send("a")
    desk.begun()
    desk.send("b", "1", "2", "3")
    desk.send("c")
    desk.let(2)
    desk.close()
    assert [(report.commands, report.requests) for report in desk.reports] == [(1, 1), (4, 2)]
    assert all(report.waited_s >= report.took_s >= 0 for report in desk.reports)
