"""Short reads of a ledger on a database server: several at once, each waited for while the loop goes on.

A handler's plain code asks `ledger.store` as it would ask a file. On a server each stretch of a handler, from one
`await` to the next, has a connection while it needs one, and waits for its answers aside (fibers.py).
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
"""How many short reads are asked of the database at once."""

MAX_WAITING = 1000
"""How many more may wait for a connection; beyond that, reads are refused at once."""


class ReadConnections:
    """The connections of one event loop; all of it is for the loop's own thread, but for making them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, make: Callable[[], PostgresStore]) -> None:
        """Opens the first of them; raises what `make` raises."""
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
        """Open the others meanwhile: a connection takes several round trips."""
        for _ in range(CONNECTIONS - 1):
            try:
                store = self._make()
            except WalletError:  # it cannot be had now; those that there are do
                return
            if self._closed:
                store.close()
                return
            with suppress(RuntimeError):  # the loop has been closed meanwhile
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
        """A coroutine that reads by these connections."""
        return Aside(work, self._stretch_ended)

    def store(self) -> PostgresStore:
        """The connection of this stretch of a handler, which keeps it to its end. Raises Busy where too many wait."""
        fiber = getcurrent()
        found = self._lent.get(fiber)
        if found is None:
            while not self._idle:
                if len(self._waiting) >= MAX_WAITING:
                    raise Busy("too many reads wait for the database", hint="try again")
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
        """One of those at hand, if there is one whose connection is there; the one used last is likely the quickest."""
        for store in reversed(self._idle):
            if store.is_there():
                self._idle.remove(store)
                return store
        return self._idle.pop()  # it says that the database is away

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
    """A ledger whose store is whichever connection the running stretch of a handler has."""

    def __init__(self, ledger: Ledger, connections: ReadConnections) -> None:
        self._connections = connections
        super().__init__(ledger.chosen, ledger.store, ledger.executor)
        self.times_are_utc = ledger.times_are_utc

    @property
    def store(self) -> Store:
        return self._connections.store()

    @store.setter
    def store(self, _store: Store) -> None:
        """It is lent, each time."""
