"""Group commit: what arrives while one batch is being committed is the next batch.

One thread has the executor; callers leave their commands in a bounded inbox and are answered after the commit that
holds them. So a hundred callers share one turn, one transaction and one sync of the disk, and a lone one waits for
nobody. A full inbox refuses at once: a queue that grows only makes everybody late.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from wallet_cli.domain.commands import Command, Result
from wallet_cli.errors import Busy, InternalError, WalletError
from wallet_cli.writer.executor import Executor

MAX_WAITING_COMMANDS = 20_000
MAX_BATCH_COMMANDS = 10_000

Answer = Callable[["list[Result] | WalletError"], None]
"""Is told the results of one request, in order, or why the whole batch failed."""


class Request(NamedTuple):
    """Commands of one caller, carried out next to each other, and how to answer."""

    commands: Sequence[Command]
    answer: Answer
    arrived_s: float


class BatchReport(NamedTuple):
    """What one turn did, for metrics: commands and requests in it, seconds waited by the oldest, seconds in all."""

    commands: int
    requests: int
    waited_s: float
    took_s: float


class Inbox:
    """A bounded inbox and the thread that empties it.

    `open_executor` is entered in that thread, which alone uses what it gives. `hand_over` runs the answering of a
    whole batch where the callers are (an event loop's `call_soon_threadsafe`, say), once a batch.
    """

    def __init__(
        self,
        open_executor: Callable[[], AbstractContextManager[Executor]],
        hand_over: Callable[[Callable[[], None]], object],
        name: str,
        report: Callable[[BatchReport], None] = lambda _: None,
        capacity: int = MAX_WAITING_COMMANDS,
    ) -> None:
        self._open_executor = open_executor
        self._hand_over = hand_over
        self._name = name
        self._report = report
        self._capacity = capacity
        self._requests: deque[Request] = deque()
        self._waiting_commands = 0
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

    def submit(self, commands: Sequence[Command], answer: Answer) -> None:
        """Leave commands to be carried out; raises Busy, at once, if the inbox is full or closed."""
        with self._changed:
            if self._closing:
                raise Busy("the server is shutting down", hint="try again, with the same key")
            if self._waiting_commands and self._waiting_commands + len(commands) > self._capacity:
                raise Busy(f"{self._waiting_commands} writes are waiting already", hint="try again, with the same key")
            self._waiting_commands += max(1, len(commands))
            self._requests.append(Request(commands, answer, time.perf_counter()))
            self._changed.notify()

    def depth(self) -> int:
        """How many commands are waiting."""
        return self._waiting_commands

    def close(self) -> None:
        """Take no more, carry out what is waiting, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        try:
            with self._open_executor() as executor:
                self._opened.set()
                while batch := self._next_batch():
                    self._carry_out(executor, batch)
        except WalletError as error:
            self._failure = error
        finally:
            self._opened.set()

    def _next_batch(self) -> list[Request]:
        """Wait for requests and take them all, up to the bound on a batch; none when the inbox is closed and empty."""
        with self._changed:
            while not self._requests and not self._closing:
                self._changed.wait()
            batch: list[Request] = []
            size = 0
            while self._requests and (not batch or size + len(self._requests[0].commands) <= MAX_BATCH_COMMANDS):
                request = self._requests.popleft()
                size += len(request.commands)
                self._waiting_commands -= max(1, len(request.commands))
                batch.append(request)
            return batch

    def _carry_out(self, executor: Executor, batch: Sequence[Request]) -> None:
        started_s = time.perf_counter()
        commands = [command for request in batch for command in request.commands]
        try:
            results: list[Result] | WalletError = executor.run(commands, self._name)
        except WalletError as error:
            results = error
        except Exception as error:  # a fault of ours: the callers are told, and the thread lives on
            results = InternalError(f"unexpected {type(error).__name__} in the writer: {error}")
        ended_s = time.perf_counter()
        self._report(BatchReport(len(commands), len(batch), ended_s - batch[0].arrived_s, ended_s - started_s))
        self._hand_over(lambda: _answer_all(batch, results))


def _answer_all(batch: Sequence[Request], results: list[Result] | WalletError) -> None:
    if isinstance(results, WalletError):
        for request in batch:
            request.answer(results)
        return
    start = 0
    for request in batch:
        end = start + len(request.commands)
        request.answer(results[start:end])
        start = end
