"""Group commit: requests that arrive while one batch is being committed form the next batch.

Callers put their commands into a bounded queue, and get the answer after the commit. So a hundred callers share one
turn, one transaction and one sync of the disk, and a single caller waits for nobody. A full queue refuses at once: a
longer queue would only make everybody late.

A batch runs in the callers' event loop as long as that is fast: a second thread would compete with the loop for the
interpreter at each statement (1.4 × fewer writes a second with 64 connections). If it is not fast (another process has
the turn, the disk is slow, the batch is large), the batch goes to a worker thread, which may wait, and so do all later
requests until the thread is done. The loop also waits for a database on another host, in a turn that yields while it
waits; the thread runs the large batches, and replaces a lost connection.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from sys import getsizeof
from typing import NamedTuple

from wallet_cli.domain.commands import Atomic, Command, Result, Single, each
from wallet_cli.engine.executor import Executor
from wallet_cli.errors import Busy, InternalError, Unreachable, WalletError

MAX_WAITING_COMMANDS = 20_000
MAX_WAITING_BYTES = 64 * 1024 * 1024
MAX_BATCH_COMMANDS = 10_000

QUICK_COMMANDS = 500
"""A larger batch does not run in the event loop: other requests would wait for it."""

PAUSE_TURNS = 9
"""How long large groups pause after one that others waited for, in times of its turn."""

QUICK_TURN_S = 0.005
"""The longest moving average of turns that still run in the event loop."""

OnResult = Callable[["list[Result] | WalletError"], None]
"""Gets the results of one request, in order, or the error of the whole batch."""

OpenExecutor = Callable[[], AbstractContextManager[Executor]]


class Waiting(NamedTuple):
    """Commands of one caller, the actor, which run one after the other, and how to answer.

    `size` is their number, with those in groups, and at least 1; `bytes` is their size in memory.
    """

    commands: Sequence[Command]
    actor: str | None
    answer: OnResult
    arrived_s: float
    size: int
    bytes: int


class BatchReport(NamedTuple):
    """What one turn did, for metrics: commands and requests in it, seconds waited by the oldest, seconds in all.

    `retries` is how often it ran again, because others wrote to the same wallets at the same time.
    """

    commands: int
    requests: int
    waited_s: float
    took_s: float
    retries: int


class Loop(NamedTuple):
    """An event loop in which turns run, and how to call functions in it.

    Only the loop uses `executor`. `soon` calls a function after the loop has handled everything that is ready;
    `soon_threadsafe` does so from another thread. `aside` calls a function that yields wherever it waits; it returns
    when the function yields or ends. Without it, a turn in the loop never waits.
    """

    executor: Executor
    soon: Callable[[Callable[[], None]], object]
    soon_threadsafe: Callable[[Callable[[], None]], object]
    aside: Callable[[Callable[[], None]], object] | None = None


class Queue:
    """Requests that wait, in arrival order, up to a number of commands and of bytes."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._requests: deque[Waiting] = deque()
        self.commands = 0
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._requests)

    def check_room(self, size: int, taken: int) -> None:
        """Raises Busy if so many more commands and bytes are too many. A single request always has room."""
        if not self.commands:
            return
        if self.commands + size > self._capacity or self._bytes + taken > MAX_WAITING_BYTES:
            raise Busy(f"{self.commands} writes are already waiting", hint="try again, with the same key")

    def append(self, request: Waiting) -> None:
        self._requests.append(request)
        self._count(request, 1)

    def give_back(self, batch: Sequence[Waiting]) -> None:
        """Put requests that were taken before all others."""
        self._requests.extendleft(reversed(batch))
        for request in batch:
            self._count(request, 1)

    def take(self) -> list[Waiting]:
        """All of them, up to the limit of a batch."""
        batch: list[Waiting] = []
        size = 0
        while self._requests and (not batch or size + self._requests[0].size <= MAX_BATCH_COMMANDS):
            request = self._requests.popleft()
            size += request.size
            self._count(request, -1)
            batch.append(request)
        return batch

    def _count(self, request: Waiting, times: int) -> None:
        self.commands += times * request.size
        self._bytes += times * request.bytes


class GroupCommit:
    """Bounded queues of requests, and what empties them: an event loop if there is one, and a thread for slow batches.

    `open_executor` is entered in the thread, which alone uses its result. `name` is what other writers are told. With a
    `loop`, only the loop's thread may call `submit`.
    """

    def __init__(
        self,
        open_executor: OpenExecutor,
        name: str,
        loop: Loop | None = None,
        report: Callable[[BatchReport], None] = lambda _: None,
        capacity: int = MAX_WAITING_COMMANDS,
    ) -> None:
        self._open_executor = open_executor
        self._name = name
        self._loop = loop
        self._report = report
        self._requests = Queue(capacity)
        self._many = Queue(capacity)
        """Large requests wait apart, and take nobody else's room. After each turn of these, the others have one."""
        self._groups = Queue(capacity)
        """Likewise those with groups, which pause longer."""
        self._groups_from_s = 0.0
        """When the next large group may have its turn."""
        self._others_next = False
        """Whether many commands of a large request had the last turn."""
        self._turn_s = 0.0
        self._scheduled = False
        self._turn_here = False
        self._with_thread = loop is None
        self._closing = False
        self._failure: WalletError | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="wallet-writer")
        self._opened = threading.Event()

    def start(self) -> None:
        """Start the thread; returns when it can write. Raises the errors of `open_executor`."""
        self._thread.start()
        self._opened.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def submit(
        self, commands: Sequence[Command], answer: OnResult, actor: str | None = None, taken: int | None = None
    ) -> None:
        """Queue commands of an actor; raises Busy at once if the queue is full or closed.

        `taken` is their `bytes_of` together, from a caller who added them up in short steps.
        """
        size = sum(len(command.commands) if isinstance(command, Atomic) else 1 for command in commands)
        if taken is None:
            taken = sum(map(bytes_of, each(commands)))
        request = Waiting(commands, actor, answer, time.perf_counter(), max(1, size), taken)
        with self._changed:
            if self._closing:
                raise Busy("the server is shutting down", hint="try again, with the same key")
            queue = self._queue_of(request)
            queue.check_room(request.size, taken)
            queue.append(request)
            if self._with_thread or queue is not self._requests:
                self._changed.notify()
            else:
                self._schedule()

    def must_have_room(self, *, groups: bool = False, many: bool = False) -> None:
        """Raises Busy if no further command, large group, or large request without groups would be accepted."""
        (self._groups if groups else self._many if many else self._requests).check_room(1, 0)

    def depth(self) -> int:
        """How many commands are waiting."""
        return self._requests.commands + self._many.commands + self._groups.commands

    def close(self) -> None:
        """Accept no more requests, run the waiting ones, and end the thread."""
        with self._changed:
            self._closing = True
            self._with_thread = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _queue_of(self, request: Waiting) -> Queue:
        if request.size <= QUICK_COMMANDS:
            return self._requests
        return self._groups if request.size > len(request.commands) else self._many

    def _schedule(self) -> None:
        """Schedule a turn in the loop, after everything that the loop has read by then is submitted too."""
        if self._loop is not None and not (self._scheduled or self._turn_here or self._with_thread):
            self._scheduled = True
            self._loop.soon(self._take_turn_here)

    def _take_turn_here(self) -> None:
        assert self._loop is not None
        with self._changed:
            self._scheduled = False
            if self._with_thread or not self._requests:
                return
            batch = self._take_others()
            self._turn_here = True
        if self._loop.aside is None:
            self._turn(self._loop.executor, batch, waits=False)
        else:
            executor = self._loop.executor
            self._loop.aside(lambda: self._turn(executor, batch, waits=True))

    def _turn(self, executor: Executor, batch: Sequence[Waiting], *, waits: bool) -> None:
        """Run a turn in the loop; while it waits, no other turn runs there."""
        results = None
        if _size(batch) <= QUICK_COMMANDS and (waits or self._turn_s <= QUICK_TURN_S):
            results = self._carry_out(executor, batch, None if waits else 0.0)
            if isinstance(results, Unreachable):
                results = None  # nothing was applied, and the thread can wait for a new connection
        with self._changed:
            self._turn_here = False
            if results is None:
                self._give_back(batch)
            elif self._closing or self._groups or self._many:
                self._changed.notify()
            if self._requests:
                self._schedule()
        if results is not None:
            _answer_all(batch, results)

    def _give_back(self, batch: Sequence[Waiting]) -> None:
        """Give a batch, and the requests after it, to the thread."""
        self._requests.give_back(batch)
        self._with_thread = True
        self._changed.notify()

    def _work(self) -> None:
        try:
            with self._open_executor() as executor:
                self._opened.set()
                while batch := self._next_batch():
                    results = self._carry_out(executor, batch, None)
                    assert results is not None
                    self._answer(batch, results)
                    del batch, results  # their reader frees them, in short steps; here it would take 10 ms at once
        except WalletError as error:
            self._failure = error
        finally:
            self._opened.set()

    def _next_batch(self) -> list[Waiting]:
        """Wait for requests for the thread and take them; none when the queue is closed and empty."""
        with self._changed:
            if not self._requests and self._loop is not None and not self._closing:
                self._with_thread = False
            while True:
                pause_s = self._pause_s()
                if self._groups and not self._turn_here and not pause_s:
                    self._with_thread = True
                    return self._groups.take()
                if self._many and not self._turn_here and not (self._others_next and self._requests):
                    self._with_thread = self._others_next = True
                    return self._many.take()
                if self._with_thread and self._requests:
                    return self._take_others()
                if self._closing and not self._turn_here:
                    return []
                self._changed.wait(pause_s or None)

    def _take_others(self) -> list[Waiting]:
        self._others_next = False
        return self._requests.take()

    def _pause(self, took_s: float) -> None:
        """After a turn of large groups: if somebody had to wait for it, others have the next turns."""
        with self._changed:
            if self._requests or self._many:
                self._groups_from_s = time.perf_counter() + PAUSE_TURNS * took_s

    def _pause_s(self) -> float:
        """How long the large groups that wait must go on waiting; 0 if there are none, or they may have their turn."""
        return max(0.0, self._groups_from_s - time.perf_counter()) if self._groups and not self._closing else 0.0

    def _carry_out(
        self, executor: Executor, batch: Sequence[Waiting], lock_timeout_s: float | None
    ) -> list[Result] | WalletError | None:
        """The results or the error of a batch; None if the turn is not free at once, but can be waited for."""
        started_s, retried_before = time.perf_counter(), executor.retries
        commands = [command for request in batch for command in request.commands]
        actors = [request.actor for request in batch for _ in request.commands]
        try:
            results: list[Result] | WalletError = executor.run(commands, self._name, lock_timeout_s, actors)
        except Busy as error:
            if lock_timeout_s == 0.0:
                return None
            results = error
        except WalletError as error:
            results = error
        except Exception as error:  # a bug: the callers get an error, and the server continues
            results = InternalError(f"unexpected {type(error).__name__} in the writer: {error}")
        ended_s = time.perf_counter()
        waited_s, took_s = ended_s - batch[0].arrived_s, ended_s - started_s
        queue = self._queue_of(batch[0])
        if queue is self._groups:
            self._pause(took_s)
        elif queue is self._requests:
            self._turn_s += (took_s - self._turn_s) / 8
        self._report(BatchReport(_size(batch), len(batch), waited_s, took_s, executor.retries - retried_before))
        return results

    def _answer(self, batch: Sequence[Waiting], results: list[Result] | WalletError) -> None:
        if self._loop is None:
            _answer_all(batch, results)
        else:
            self._loop.soon_threadsafe(lambda: _answer_all(batch, results))


def bytes_of(command: Single) -> int:
    """How much memory a command takes."""
    return sum(map(getsizeof, command))


def _size(batch: Sequence[Waiting]) -> int:
    """The number of single commands in a batch, with those in groups."""
    return sum(request.size for request in batch)


def _answer_all(batch: Sequence[Waiting], results: list[Result] | WalletError) -> None:
    if isinstance(results, WalletError):
        for request in batch:
            request.answer(results)
        return
    start = 0
    for request in batch:
        end = start + len(request.commands)
        request.answer(results[start:end])
        start = end
