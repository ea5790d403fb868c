"""Plain, blocking code in an event loop, which lets the loop go on wherever it has to wait.

A fiber has a stack of its own. Where it would wait for a connection it is put aside, and taken up again when the
connection is ready: there is no second thread, which would fight the loop for the interpreter. (SQLAlchemy runs its
plain code under asyncio in this way.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from greenlet import getcurrent, greenlet


class Fibers:
    """The fibers of one event loop; all of it is for the loop's own thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def run(self, work: Callable[[], None]) -> None:
        """Begin `work` as a fiber; returns when it ends or first waits. What it raises after that, the loop is told."""
        greenlet(work).switch()

    def until_ready(self, file: int, wanted: int, timeout_s: float) -> int:
        """Wait, in a fiber, until a file is ready: for what of `wanted` (bits of `selectors`), or 0 when time is up."""
        loop, resume = self._loop, _resuming()
        if wanted & EVENT_READ:
            loop.add_reader(file, resume, EVENT_READ)
        if wanted & EVENT_WRITE:
            loop.add_writer(file, resume, EVENT_WRITE)
        timer = loop.call_later(timeout_s, resume, 0)
        try:
            return int(_suspend())
        finally:
            timer.cancel()
            if wanted & EVENT_READ:
                loop.remove_reader(file)
            if wanted & EVENT_WRITE:
                loop.remove_writer(file)

    def sleep(self, seconds: float) -> None:
        """Wait, in a fiber, for so long."""
        self._loop.call_later(seconds, _resuming(), 0)
        _suspend()


def _resuming() -> Callable[[int], Any]:
    """What takes up the fiber that runs now, once it is suspended; a number is what its wait answers."""
    resume: Callable[[int], Any] = getcurrent().switch
    return resume


def _suspend() -> Any:
    """Go on with the loop, until somebody takes this fiber up."""
    parent = getcurrent().parent
    assert parent is not None, "the loop itself cannot wait"
    return parent.switch()
