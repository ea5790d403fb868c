"""Short reads of a ledger on a database server: several at once, while the loop goes on.

A handler's plain code uses `ledger.store` as it would for a file. On a server, each step of a handler, from one `await`
to the next, has a connection while it needs one, and waits for its answers in a fiber (fibers.py).
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

from wallet_cli.errors import Busy, StorageError, WalletError
from wallet_cli.operations.context import Ledger
from wallet_cli.storage.postgres import PostgresStore
from wallet_cli.web.fibers import Aside, until_ready_aside, wait_for

if TYPE_CHECKING:
    from wallet_cli.operations.context import Store

CONNECTIONS = 6
"""How many short reads run on the database at once."""

MAX_WAITING = 1000
"""How many more may wait for a connection; further reads are refused at once."""


class ReadConnections:
    """The connections of one event loop. Except for creating them, use it only in the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, make: Callable[[], PostgresStore]) -> None:
        """Opens the first one; raises the errors of `make`."""
        self._loop = loop
        self._make = make
        self._stores: list[PostgresStore] = []
        self._idle: list[PostgresStore] = []
        self._lent: dict[greenlet, PostgresStore] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closed = False
        self._add(make())
        self._opening = threading.Thread(target=self._open_rest, name="wallet-read-connections", daemon=True)
        self._opening.start()

    def _open_rest(self) -> None:
        """Open the others in the background: a connection takes several round trips."""
        for _ in range(CONNECTIONS - 1):
            try:
                store = self._make()
            except WalletError:  # no connection is possible now; the existing ones are enough
                return
            if self._closed:
                store.close()
                return
            with suppress(RuntimeError):  # the loop was closed in the meantime
                self._loop.call_soon_threadsafe(self._add, store)

    def _add(self, store: PostgresStore) -> None:
        if self._closed:
            store.close()
            return
        store.reconnect_apart()
        store.wait_by(partial(until_ready_aside, self._loop))
        self._stores.append(store)
        self._give_back(store)

    def aside(self, work: Coroutine[Any, Any, Any]) -> Aside:
        """A coroutine that reads over these connections."""
        return Aside(work, self._stretch_ended)

    def store(self) -> PostgresStore:
        """The connection of this step of a handler, kept until the step ends. Raises Busy if too many wait."""
        fiber = getcurrent()
        found = self._lent.get(fiber)
        if found is None:
            while not self._idle:
                if len(self._waiting) >= MAX_WAITING:
                    raise Busy("too many reads are waiting for the database", hint="try again")
                turn: asyncio.Future[None] = self._loop.create_future()
                self._waiting.append(turn)
                try:
                    wait_for(turn)
                except BaseException:
                    if turn.done() and not turn.cancelled():
                        self._call_next()
                    raise
            found = self._lent[fiber] = self._best()
        return found

    def _best(self) -> PostgresStore:
        """A free one, preferably with an open connection; the last used one is probably the fastest."""
        for store in reversed(self._idle):
            if store.is_there():
                self._idle.remove(store)
                return store
        return self._idle.pop()  # it will report that the database is unreachable

    def _stretch_ended(self, fiber: greenlet) -> None:
        store = self._lent.pop(fiber, None)
        if store is not None:
            self._give_back(store)

    def _give_back(self, store: PostgresStore) -> None:
        self._idle.append(store)
        self._call_next()

    def _call_next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def close(self) -> None:
        self._closed = True
        for store in self._stores:
            with suppress(StorageError):
                store.close()


class LentLedger(Ledger):
    """A ledger whose store is the connection of the running step of a handler."""

    def __init__(self, ledger: Ledger, connections: ReadConnections) -> None:
        self._connections = connections
        super().__init__(ledger.chosen, ledger.store, ledger.executor)
        self.times_are_utc = ledger.times_are_utc

    @property
    def store(self) -> Store:
        return self._connections.store()

    @store.setter
    def store(self, _store: Store) -> None:
        """Ignored: each step borrows a store."""
