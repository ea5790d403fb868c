"""Plain, blocking code in an event loop that lets the loop go on wherever it waits.

A fiber has its own stack. Where it would wait for a connection, it is suspended, and resumed when the connection is
ready. No second thread is needed, which would compete with the loop for the interpreter. (SQLAlchemy runs its plain
code under asyncio in this way.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

T = TypeVar("T")


class Aside:
    """A coroutine whose plain code may wait: awaiting this means awaiting the coroutine.

    Each step of it, from one `await` to the next, runs as a fiber. If that calls `until_ready`, the task waits as it
    would at an `await`. `ended` is called after each step, with its fiber.
    """

    def __init__(self, work: Coroutine[Any, Any, T], ended: Callable[[greenlet], None]) -> None:
        self._work = work
        self._ended = ended

    def __await__(self) -> Generator[Any, Any, Any]:
        go_on: Callable[[], Any] = partial(self._work.send, None)
        while True:
            is_end, found = yield from self._stretch(go_on)
            if is_end:
                return found
            try:
                got = yield found
            except BaseException as error:
                go_on = partial(self._work.throw, error)
            else:
                go_on = partial(self._work.send, got)

    def _stretch(self, go_on: Callable[[], Any]) -> Generator[Any, Any, tuple[bool, Any]]:
        """Run one step: returns whether it is the last, and the coroutine's result or what it awaits. Raises its
        errors.
        """
        fiber = greenlet(_ended_or_not)
        try:
            found = fiber.switch(go_on)
            while not fiber.dead:
                try:
                    got = yield from found.__await__()
                except BaseException as error:
                    found = fiber.throw(error)
                else:
                    found = fiber.switch(got)
            answer: tuple[bool, Any] = found
            return answer
        finally:
            self._ended(fiber)


def _ended_or_not(go_on: Callable[[], Any]) -> tuple[bool, Any]:
    try:
        return False, go_on()
    except StopIteration as end:
        return True, end.value


def wait_for(future: asyncio.Future[T]) -> T:
    """Wait for a future, in the plain code of an Aside."""
    parent = getcurrent().parent
    assert parent is not None, "the loop itself cannot wait"
    answer: T = parent.switch(future)
    return answer


def until_ready_aside(loop: asyncio.AbstractEventLoop, file: int, wanted: int, timeout_s: float) -> int:
    """Wait, in the plain code of an Aside, until a file is ready, like Fibers.until_ready."""
    future: asyncio.Future[int] = loop.create_future()

    def ready(what: int) -> None:
        if not future.done():
            future.set_result(what)

    with _watched(loop, file, wanted, timeout_s, ready):
        return wait_for(future)


class Fibers:
    """The fibers of one event loop; only for the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def run(self, work: Callable[[], None]) -> None:
        """Start `work` as a fiber; returns when it ends or first waits. Later errors go to the loop."""
        greenlet(work).switch()

    def until_ready(self, file: int, wanted: int, timeout_s: float) -> int:
        """Wait, in a fiber, until a file is ready. Returns which of `wanted` (bits of `selectors`), or 0 when time is
        up.
        """
        with _watched(self._loop, file, wanted, timeout_s, _resuming()):
            return int(_suspend())

    def sleep(self, seconds: float) -> None:
        """Wait, in a fiber, this many seconds."""
        self._loop.call_later(seconds, _resuming(), 0)
        _suspend()


@contextmanager
def _watched(
    loop: asyncio.AbstractEventLoop, file: int, wanted: int, timeout_s: float, ready: Callable[[int], Any]
) -> Iterator[None]:
    """During a `with` block, `ready` is called with what a file is ready for, or 0 when time is up."""
    if wanted & EVENT_READ:
        loop.add_reader(file, ready, EVENT_READ)
    if wanted & EVENT_WRITE:
        loop.add_writer(file, ready, EVENT_WRITE)
    timer = loop.call_later(timeout_s, ready, 0)
    try:
        yield
    finally:
        timer.cancel()
        if wanted & EVENT_READ:
            loop.remove_reader(file)
        if wanted & EVENT_WRITE:
            loop.remove_writer(file)


def _resuming() -> Callable[[int], Any]:
    """A function that resumes the present fiber once it is suspended; its argument is the result of the wait."""
    resume: Callable[[int], Any] = getcurrent().switch
    return resume


def _suspend() -> Any:
    """Let the loop go on, until this fiber is resumed."""
    parent = getcurrent().parent
    assert parent is not None, "the loop itself cannot wait"
    return parent.switch()
