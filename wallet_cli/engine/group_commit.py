"""Group commit: what arrives while one batch is being committed is the next batch.

Callers leave their commands in a bounded inbox and are answered after the commit that holds them. So a hundred callers
share one turn, one transaction and one sync of the disk, and a lone one waits for nobody. A full inbox refuses at once:
a queue that grows only makes everybody late.

A batch is carried out where its callers are, in their event loop, as long as that is quick: a second thread would fight
the loop for the interpreter at each statement (1.4 × fewer writes a second at 64 connections). Where it is not quick
(another process has the turn, the disk is slow, the batch is large) the batch goes to a thread of its own, which may
wait, and so does all that arrives until the thread is done. A database on another host is waited for in the loop too,
by a turn that steps aside meanwhile; the thread has the large batches, and makes a new connection when one is lost.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from sys import getsizeof
from typing import NamedTuple

from wallet_cli.domain.commands import Command, Result, each
from wallet_cli.engine.executor import Executor
from wallet_cli.errors import Busy, InternalError, Unreachable, WalletError

MAX_WAITING_COMMANDS = 20_000
MAX_WAITING_BYTES = 64 * 1024 * 1024
MAX_BATCH_COMMANDS = 10_000

QUICK_COMMANDS = 500
"""A larger batch is not for the event loop: others would wait for it."""

QUICK_TURN_S = 0.005
"""How long turns may take, on a moving average, to be taken in the event loop."""

OnResult = Callable[["list[Result] | WalletError"], None]
"""Is told the results of one request, in order, or why the whole batch failed."""

OpenExecutor = Callable[[], AbstractContextManager[Executor]]


class Waiting(NamedTuple):
    """Commands of one caller, carried out next to each other, and how to answer.

    `size` is how many they are, those of groups counted, and at least 1; `bytes` is what they take in memory.
    """

    commands: Sequence[Command]
    answer: OnResult
    arrived_s: float
    size: int
    bytes: int


class BatchReport(NamedTuple):
    """What one turn did, for metrics: commands and requests in it, seconds waited by the oldest, seconds in all.

    `retries` is how often it was carried out again, because others wrote to the same wallets at the same time.
    """

    commands: int
    requests: int
    waited_s: float
    took_s: float
    retries: int


class Loop(NamedTuple):
    """An event loop to take turns in, and how to call there.

    `executor` is used in the loop alone. `soon` calls a function when the loop has seen to what it knows of;
    `soon_threadsafe` does it from elsewhere. `aside` calls a function that steps aside wherever it waits, and returns
    when it does so or ends; where there is none, a turn in the loop waits for nobody.
    """

    executor: Executor
    soon: Callable[[Callable[[], None]], object]
    soon_threadsafe: Callable[[Callable[[], None]], object]
    aside: Callable[[Callable[[], None]], object] | None = None


class GroupCommit:
    """A bounded inbox, and who empties it: an event loop if there is one, and a thread for what takes longer.

    `open_executor` is entered in the thread, which alone uses what it gives. `name` is what other writers are told.
    `submit` may be called from one thread only where there is a `loop`: the loop's.
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
        self._capacity = capacity
        self._requests: deque[Waiting] = deque()
        self._waiting_commands = 0
        self._waiting_bytes = 0
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
        """Start the thread; returns when it can write. Raises what opening the executor raised."""
        self._thread.start()
        self._opened.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def submit(self, commands: Sequence[Command], answer: OnResult) -> None:
        """Leave commands to be carried out; raises Busy, at once, if the inbox is full or closed."""
        size = taken = 0
        for command in each(commands):
            size += 1
            taken += sum(map(getsizeof, command))
        request = Waiting(commands, answer, time.perf_counter(), max(1, size), taken)
        with self._changed:
            if self._closing:
                raise Busy("the server is shutting down", hint="try again, with the same key")
            self._check_room(size, taken)
            self._count(request, 1)
            self._requests.append(request)
            if self._with_thread:
                self._changed.notify()
            else:
                self._schedule()

    def must_have_room(self) -> None:
        """Raises Busy where no command more would be taken."""
        self._check_room(1, 0)

    def _check_room(self, size: int, taken: int) -> None:
        """One request is always taken, whatever its size; more than one, up to the bounds."""
        if not self._waiting_commands:
            return
        if self._waiting_commands + size > self._capacity or self._waiting_bytes + taken > MAX_WAITING_BYTES:
            raise Busy(f"{self._waiting_commands} writes are waiting already", hint="try again, with the same key")

    def _count(self, request: Waiting, times: int) -> None:
        self._waiting_commands += times * request.size
        self._waiting_bytes += times * request.bytes

    def depth(self) -> int:
        """How many commands are waiting."""
        return self._waiting_commands

    def close(self) -> None:
        """Take no more, carry out what is waiting, and end the thread."""
        with self._changed:
            self._closing = True
            self._with_thread = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _schedule(self) -> None:
        """Have a turn taken in the loop, after all that the loop has read by then has been submitted too."""
        if self._loop is not None and not self._scheduled and not self._turn_here:
            self._scheduled = True
            self._loop.soon(self._take_turn_here)

    def _take_turn_here(self) -> None:
        assert self._loop is not None
        with self._changed:
            self._scheduled = False
            if self._with_thread or not self._requests:
                return
            batch = self._take_batch()
            self._turn_here = True
        if self._loop.aside is None:
            self._turn(self._loop.executor, batch, waits=False)
        else:
            executor = self._loop.executor
            self._loop.aside(lambda: self._turn(executor, batch, waits=True))

    def _turn(self, executor: Executor, batch: Sequence[Waiting], *, waits: bool) -> None:
        """A turn in the loop; while it waits, nobody else takes one there."""
        results = None
        if _size(batch) <= QUICK_COMMANDS and (waits or self._turn_s <= QUICK_TURN_S):
            results = self._carry_out(executor, batch, None if waits else 0.0)
            if isinstance(results, Unreachable):
                results = None  # nothing of it was applied, and the thread can wait for a new connection
        with self._changed:
            self._turn_here = False
            if results is None:
                self._give_back(batch)
            elif self._closing:
                self._changed.notify()
            elif self._requests:
                self._schedule()
        if results is not None:
            _answer_all(batch, results)

    def _give_back(self, batch: Sequence[Waiting]) -> None:
        """Leave a batch, and what comes after it, to the thread."""
        self._requests.extendleft(reversed(batch))
        for request in batch:
            self._count(request, 1)
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
        except WalletError as error:
            self._failure = error
        finally:
            self._opened.set()

    def _next_batch(self) -> list[Waiting]:
        """Wait for requests that are the thread's and take them; none when the inbox is closed and empty."""
        with self._changed:
            if not self._requests and self._loop is not None and not self._closing:
                self._with_thread = False
            while not (self._with_thread and self._requests):
                if self._closing and not self._requests and not self._turn_here:
                    break
                self._changed.wait()
            return self._take_batch()

    def _take_batch(self) -> list[Waiting]:
        """All that waits, up to the bound on a batch."""
        batch: list[Waiting] = []
        size = 0
        while self._requests and (not batch or size + self._requests[0].size <= MAX_BATCH_COMMANDS):
            request = self._requests.popleft()
            size += request.size
            self._count(request, -1)
            batch.append(request)
        return batch

    def _carry_out(
        self, executor: Executor, batch: Sequence[Waiting], lock_timeout_s: float | None
    ) -> list[Result] | WalletError | None:
        """The results of a batch, or why it failed; None where the turn is not to be had at once but can wait."""
        started_s, retried_before = time.perf_counter(), executor.retries
        commands = [command for request in batch for command in request.commands]
        try:
            results: list[Result] | WalletError = executor.run(commands, self._name, lock_timeout_s)
        except Busy as error:
            if lock_timeout_s == 0.0:
                return None
            results = error
        except WalletError as error:
            results = error
        except Exception as error:  # a fault of ours: the callers are told, and the server lives on
            results = InternalError(f"unexpected {type(error).__name__} in the writer: {error}")
        ended_s = time.perf_counter()
        self._turn_s += (ended_s - started_s - self._turn_s) / 8
        waited_s, took_s = ended_s - batch[0].arrived_s, ended_s - started_s
        self._report(BatchReport(_size(batch), len(batch), waited_s, took_s, executor.retries - retried_before))
        return results

    def _answer(self, batch: Sequence[Waiting], results: list[Result] | WalletError) -> None:
        if self._loop is None:
            _answer_all(batch, results)
        else:
            self._loop.soon_threadsafe(lambda: _answer_all(batch, results))


def _size(batch: Sequence[Waiting]) -> int:
    """How many single commands a batch holds, those of groups counted."""
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
