"""Work in the event loop that takes longer than a request should: one task at a time, in slices.

Between two slices the loop runs often enough for a short request to be read, processed and answered. Only one caller's
work runs at a time, so many such callers take no more of the loop, or of the memory, than one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from wallet_cli.errors import Busy

SLICE_S = 0.001
ROUNDS = 4
"""How often the loop runs between two slices: a short request is read, started, processed and answered."""

MAX_WAITING = 8
"""How many callers may wait with work that has not started."""

Pause = Callable[[], Awaitable[None]]


class LongWork:
    """Lets one caller after the other work in the event loop."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._slice_began_s = 0.0

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
            self._slice_began_s = time.perf_counter()
            yield self._pause
        finally:
            self._lock.release()

    async def _pause(self) -> None:
        if time.perf_counter() - self._slice_began_s < SLICE_S:
            return
        for _ in range(ROUNDS):
            await asyncio.sleep(0)
        self._slice_began_s = time.perf_counter()
