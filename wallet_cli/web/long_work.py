"""Work in the event loop that takes longer than a request should, in slices.

Between two slices the loop runs often enough for a short request to be read, processed and answered. All long work of a
process shares the slices, so many callers with such work take no more of the loop than one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from wallet_cli.errors import Busy

SLICE_S = 0.0002
ROUNDS = 4
"""How often the loop runs between two slices: a short request is read, started, processed and answered."""

QUIET_S = 0.00003
"""If the loop runs once in this time, it has nothing else to do, and the next slice begins."""

MAX_STEPS = 8
"""How many steps there are in a slice at most: what they cause costs the loop time later."""

MAX_WAITING = 8
"""How many callers may wait with work that has not started."""

Pause = Callable[[], Awaitable[None]]


class Slices:
    """Runs short steps in slices, in arrival order; every second slice is for who wants one alone, if anybody does.

    So however many connections have more to read, a batch gets on. One process has one of these.
    """

    def __init__(self) -> None:
        self._steps: deque[Callable[[], object]] = deque()
        """What waits for the next slice."""
        self._alone: deque[asyncio.Future[None]] = deque()
        """Who waits for one alone."""
        self._was_alone = False
        """Whether the last slice that was waited for was such a one."""
        self._rounds_left = 0
        """How often the loop must run before the next slice; 0 if nothing waits."""
        self._waits_since_s = 0.0
        self._may_begin = True
        """Whether the loop has run since the last slice began."""
        self._steps_left = 0
        self._ends_s = 0.0

    @property
    def is_over(self) -> bool:
        """Whether the present slice has taken its time."""
        return time.perf_counter() > self._ends_s

    def run(self, step: Callable[[], object]) -> None:
        """Run a step: now if there is time for it, otherwise in a later slice. It may ask for its next one."""
        if self._has_time():
            self._steps_left -= 1
            step()
        else:
            self._steps.append(step)
            self._wait()

    async def next(self) -> None:
        """Wait for a slice, as its last step: the caller takes the rest of it."""
        if not self._has_time():
            future = asyncio.get_running_loop().create_future()
            self._steps.append(partial(_resume, future))
            self._wait()
            await future
        self._steps_left = 0

    def begin_alone(self) -> None:
        """Begin a slice for the caller alone."""
        self._begin()
        self._steps_left = 0

    async def next_alone(self) -> None:
        """Wait for a slice for the caller alone."""
        since_s = time.perf_counter()
        await asyncio.sleep(0)
        if not (self._steps or self._alone) and time.perf_counter() < since_s + QUIET_S:
            self.begin_alone()
            return
        future = asyncio.get_running_loop().create_future()
        self._alone.append(future)
        self._wait()
        await future
        self.begin_alone()

    def _has_time(self) -> bool:
        if self._rounds_left:
            return False
        if self._may_begin:
            self._begin()
        return self._steps_left > 0 and not self.is_over

    def _allow(self) -> None:
        self._may_begin = True

    def _begin(self) -> None:
        self._ends_s = time.perf_counter() + SLICE_S
        self._steps_left = MAX_STEPS
        if self._may_begin:
            self._may_begin = False
            asyncio.get_running_loop().call_soon(self._allow)

    def _wait(self) -> None:
        if not self._rounds_left:
            self._rounds_left = ROUNDS
            self._waits_since_s = time.perf_counter()
            asyncio.get_running_loop().call_soon(self._pass_round)

    def _pass_round(self) -> None:
        self._rounds_left -= 1
        if self._rounds_left and time.perf_counter() > self._waits_since_s + QUIET_S:
            asyncio.get_running_loop().call_soon(self._pass_round)
            return
        # Until the slice ends, what is asked for waits: a step would ask for its next one again and again.
        self._rounds_left = ROUNDS
        self._begin()
        try:
            self._was_alone = bool(self._alone) and not (self._was_alone and self._steps)
            if self._was_alone:
                self._steps_left = 0
                _resume(self._alone.popleft())
            else:
                self._run_steps()
        finally:
            self._rounds_left = 0
            if self._steps or self._alone:
                self._wait()

    def _run_steps(self) -> None:
        for _ in range(min(self._steps_left, len(self._steps))):
            self._steps_left -= 1
            self._steps.popleft()()
            if self.is_over:
                return


def _resume(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():  # not cancelled
        waiting.set_result(None)


class LongWork:
    """Lets one caller after the other work in the event loop, in slices."""

    def __init__(self, slices: Slices) -> None:
        self._slices = slices
        self._lock = asyncio.Lock()
        self._waiting = 0

    def must_have_room(self) -> None:
        """Raises Busy if too many wait already."""
        if self._waiting >= MAX_WAITING:
            raise Busy(f"{self._waiting} batches are already waiting", hint="send it again in a moment")

    @property
    def is_idle(self) -> bool:
        """Whether nobody works, or waits for it."""
        return not self._waiting and not self._lock.locked()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Pause]:
        """Wait for earlier callers. In the block, await the yielded function after each small step."""
        self._waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self._waiting -= 1
        try:
            self._slices.begin_alone()
            yield self._pause
        finally:
            self._lock.release()

    async def _pause(self) -> None:
        if self._slices.is_over:
            await self._slices.next_alone()
