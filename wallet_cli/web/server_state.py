"""The state of a running server: the ledger to read, the queue of writes, authentication, and metrics.

The event loop reads a file over one connection, a few microseconds at a time, and a database over several
(read_connections.py); it sees every acknowledged write. It writes over another connection, or in a worker thread
(engine/group_commit.py). Other processes do the long reads (readers.py).
"""

from __future__ import annotations

import asyncio
import gc
import shutil
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from wallet_cli.domain import hash_chain
from wallet_cli.domain.commands import Command, NoteUse, Result, Single, is_same_again
from wallet_cli.engine.executor import Executor
from wallet_cli.engine.group_commit import GroupCommit, Loop
from wallet_cli.errors import AGAIN, LOOK_FIRST, UNKNOWN, Busy, InternalError, StorageError, UnknownOutcome, WalletError
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import Ledger, Which, accepted, check_which, open_ledger, which
from wallet_cli.operations.prepared import Prepared
from wallet_cli.operations.tokens import Tokens
from wallet_cli.settings import Settings
from wallet_cli.storage.in_place import FileGone
from wallet_cli.storage.log_file import cut_log
from wallet_cli.storage.sqlite import MAX_LOG_BYTES, log_bytes
from wallet_cli.web import long_reads
from wallet_cli.web.auth import Authenticator, Caller, NoAuthenticator, address_of, claimed
from wallet_cli.web.http_errors import RateLimited, for_strangers
from wallet_cli.web.log import Repeated, log, request_id
from wallet_cli.web.long_work import LongWork, Slices
from wallet_cli.web.messages import Scope
from wallet_cli.web.metrics import Metrics
from wallet_cli.web.readers import SEALS, Readers, ReadFailed

if TYPE_CHECKING:
    from wallet_cli.storage.postgres import PostgresStore
    from wallet_cli.web.read_connections import ReadConnections

SWITCH_INTERVAL_S = 0.0005
"""The interpreter's switch interval while a thread writes; at Python's 5 ms a batch of six round trips took 30 ms
longer."""

PULSE_EVERY_S = 1.0
MAX_AWAY_S = 1.0
"""How long a remote database may be unreachable before writes are refused at once instead of queued."""

NOTE_USE_EVERY_S = 30.0
LAST_USE_S = 1.0
SHOW_EVERY_S = 1.0
COLLECT_EVERY_S = 5.0
COLLECT_AT_LAST_S = 30.0
"""After this time, garbage is collected in any case."""

BOUND_LOG_EVERY_S = 2.0
HANDLER_MARGIN_S = 10.0
MIN_FREE_BYTES = 16 * 1024 * 1024
MAX_IMPORTS = 2
"""How many imports may run at once: each has a thread, a connection, and a file in memory."""

T = TypeVar("T")


class ServerState:
    """One server process. `start` and `stop` are called in its event loop."""

    def __init__(
        self, settings: Settings, tokens: Tokens, known: Which | None = None, *, auth: bool, access_log: bool
    ) -> None:
        """`known` is the ledger to serve, and no other; None for whichever the settings name."""
        self.settings = settings
        self.tokens = tokens
        self.metrics = Metrics()
        self.repeated = Repeated()
        self.slices = Slices()
        self.long_work = LongWork(self.slices)
        self.access_log = access_log
        self.draining = False
        self.deadline_s = settings.lock_timeout_s + HANDLER_MARGIN_S
        """How long a request may take: the wait for a turn, plus a margin."""
        self._is_guarded = auth
        self._resources = ExitStack()
        self._chores: list[asyncio.Task[None]] = []
        self._imports = 0
        self._gone: FileGone | None = None
        self._importers = ThreadPoolExecutor(MAX_IMPORTS, "wallet-import")
        self._connections: ReadConnections | None = None
        self.readers = Readers(settings, known)

    def start(self) -> None:
        """Open the ledger and start the writer. Raises the errors of opening."""
        loop = asyncio.get_running_loop()
        self.loop = loop
        self._own = self._resources.enter_context(self._open())
        self._own.store.forbid_writes()
        self.ledger = self._own
        # Read now: once the store is read in fibers, the loop itself cannot wait for it.
        known, is_local = which(self._own.store), self._own.store.is_local
        self.readers.known = known
        if not self._own.store.is_local:
            self._read_aside(self._own, self._own.store)
        authenticator = Authenticator(lambda: self.ledger.store, self.tokens, known.id, is_local=is_local)
        self.auth = authenticator if self._is_guarded else NoAuthenticator()
        gc.disable()  # from here on, _collect_for_ever does it
        self._resources.callback(gc.enable)
        self.group_commit = GroupCommit(self._open_executor, "serve", self._open_turns(), self.metrics.batch)
        self.group_commit.start()
        self._resources.callback(self.group_commit.close)
        self._chores = [loop.create_task(self._note_use_for_ever())]
        if self._own.store.is_local:
            self._chores.append(loop.create_task(self._bound_log_for_ever(self._own.store.path)))
        else:
            self._chores.append(loop.create_task(self._feel_pulse_for_ever()))
        if self.settings.seal_to is not None:
            self._chores.append(loop.create_task(self._seal_for_ever(self.settings.seal_to)))
        self._chores.append(loop.create_task(self._collect_for_ever()))
        if self.metrics.is_shared:
            self._chores.append(loop.create_task(self._show_for_ever()))

    async def stop(self) -> None:
        """Write and answer all accepted requests, and close the ledger."""
        for chore in self._chores:
            chore.cancel()
        self.repeated.flush()
        await asyncio.to_thread(self._importers.shutdown)
        await asyncio.to_thread(self.group_commit.close)
        await asyncio.to_thread(self._note_last_use)
        await asyncio.to_thread(self.readers.close)
        self._resources.close()

    async def carry_out(
        self, commands: Sequence[Command], caller: Caller | None, taken: int | None = None
    ) -> list[Result]:
        """Run a caller's commands in the next turn, or this server's own (None); on return they are on disk.

        `taken` is as in `GroupCommit.submit`. Raises Busy at once if the queue is full, and StorageError if the
        database is known to be unreachable.
        """
        store = self._own.store
        if not store.is_local and store.away_s() > MAX_AWAY_S:
            raise store.unreachable()
        future: asyncio.Future[list[Result]] = self.loop.create_future()

        def answer(results: list[Result] | WalletError) -> None:
            if future.done():
                return  # the caller has left; its request is still applied
            if isinstance(results, WalletError):
                if isinstance(results, FileGone):
                    self._gone = results
                if isinstance(results, UnknownOutcome):
                    results = results.told(again=_may_come_again(commands))
                future.set_exception(results)
            else:
                future.set_result(results)

        self.group_commit.submit(commands, answer, None if caller is None else caller.actor, taken)
        # The rest of a handler is fast: a request waits here, so its deadline is here.
        deadline = self.loop.call_later(self.deadline_s, _give_up, future, commands)
        try:
            return await future
        finally:
            deadline.cancel()

    async def run(self, prepared: Prepared[Single], caller: Caller) -> Answer:
        """Run a caller's write in the next turn, and return its answer. Raises the error of a refusal."""
        return prepared.answer(accepted((await self.carry_out([prepared.command], caller))[0]))

    def note_refusal(self, error: WalletError, scope: Scope, who: Caller | None) -> None:
        """Log a wrong key, a missing right, and errors whose details the caller may not see.

        `who` is None if the caller is unknown.
        """
        once = {"request_id": request_id(scope)}
        if error.http_status in (401, 403):
            self.metrics.turned_away(error.message)
            caller = claimed(scope) if who is None else who.name
            self.repeated.log(error.code, once, address=address_of(scope), caller=caller, reason=error.message)
        elif isinstance(error, RateLimited):
            self.metrics.turned_away(error.code)
            self.repeated.log(error.code, once, address=address_of(scope))
        elif for_strangers(error) is not error:
            self.repeated.log("failed", once, code=error.code, reason=error.message)

    def check_in_place(self) -> None:
        """Raises StorageError if the ledger's file is missing or was replaced.

        What one connection has found once counts for all, until the server is restarted.
        """
        if self._gone is not None:
            raise FileGone(self._gone.message, hint=self._gone.hint)
        try:
            self._own.store.check_in_place()
        except FileGone as error:
            self._gone = error
            raise

    def waiting_aside(self, work: Coroutine[Any, Any, T]) -> Awaitable[T]:
        """The same coroutine, in which reads of the ledger let the loop go on while they wait."""
        return work if self._connections is None else self._connections.aside(work)

    @contextmanager
    def importing(self) -> Iterator[None]:
        """A place for one import, for the length of a `with` block. Raises Busy if there is none."""
        if self.draining:
            raise Busy("the server is shutting down", hint="send it again")
        if self._imports >= MAX_IMPORTS:
            raise Busy(f"{MAX_IMPORTS} imports are running", hint="send it again when one has finished")
        self._imports += 1
        try:
            yield
        finally:
            self._imports -= 1

    async def write_apart(self, write: Callable[[Ledger], T], caller: Caller) -> T:
        """The result of a caller's `write`, run in a worker thread, which takes turns like another process.

        For an import: the loop goes on, and the queue does not fill up.
        """

        def work() -> T:
            with self._open() as ledger:
                ledger.executor.actor = caller.actor
                return write(ledger)

        return await self.loop.run_in_executor(self._importers, work)

    async def check_ready(self) -> None:
        """Take a turn and begin a write, and check the space on the disk. Raises Busy or StorageError."""
        self.check_in_place()
        await self.carry_out([], None)
        if not self._own.store.is_local:
            return  # the database server watches its own disk
        free = shutil.disk_usage(self._own.store.path.parent).free
        if free < MIN_FREE_BYTES:
            raise StorageError("the disk is nearly full", free_bytes=free)

    @contextmanager
    def _open(self, busy_timeout_s: float | None = None) -> Iterator[Ledger]:
        """The ledger, over a new connection."""
        with open_ledger(self.settings, lambda text: log("ledger", message=text), busy_timeout_s) as ledger:
            check_which(ledger.store, self.readers.known)
            ledger.times_are_utc = True  # whatever the ledger's zone is: callers need not know it
            yield ledger

    def _read_aside(self, ledger: Ledger, pulse: PostgresStore) -> None:
        """Read over several connections, each awaited in a fiber; the first one only checks that the database
        answers.
        """
        from wallet_cli.storage.postgres import PostgresStore
        from wallet_cli.web.fibers import until_ready_aside
        from wallet_cli.web.read_connections import LentLedger, ReadConnections

        def make() -> PostgresStore:
            store = PostgresStore(self.settings.db, self.settings.lock_timeout_s)
            store.forbid_writes()
            store.check_whole()
            check_which(store, self.readers.known)
            return store

        pulse.reconnect_apart()
        pulse.wait_by(partial(until_ready_aside, self.loop))
        self._connections = ReadConnections(self.loop, make)
        self._resources.callback(self._connections.close)
        self.ledger = LentLedger(ledger, self._connections)

    def _open_turns(self) -> Loop:
        """Turns in the event loop, on a separate connection."""
        ledger = self._resources.enter_context(self._open(busy_timeout_s=0.0 if self._own.store.is_local else None))
        # The loop and the thread with the large batches wait for the interpreter at each round of the loop, and at each
        # answer of the network.
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        hash_chain.prepare_for_many()
        soon, soon_threadsafe = self.loop.call_soon, self.loop.call_soon_threadsafe
        if ledger.store.is_local:
            return Loop(ledger.executor, soon, soon_threadsafe)
        from wallet_cli.web.fibers import Fibers

        fibers = Fibers(self.loop)
        ledger.store.wait_by(fibers.until_ready)
        ledger.executor.sleep = fibers.sleep
        return Loop(ledger.executor, soon, soon_threadsafe, fibers.run)

    @contextmanager
    def _open_executor(self) -> Iterator[Executor]:
        """An executor for the writing thread."""
        with self._open() as ledger:
            yield ledger.executor

    async def _feel_pulse_for_ever(self) -> None:
        """Notice an unreachable database before a request needs it, so that no request waits long for it."""
        store = self._own.store
        assert not store.is_local

        async def ping() -> None:
            store.ping()

        while True:
            await asyncio.sleep(PULSE_EVERY_S)
            with suppress(StorageError, Busy):
                await self.waiting_aside(ping())

    async def _bound_log_for_ever(self, path: Path) -> None:
        """Truncate a log that has grown because of a reader with an old snapshot, once that reader has finished."""
        while True:
            await asyncio.sleep(BOUND_LOG_EVERY_S)
            self.metrics.log_bytes = log_bytes(path)
            self.metrics.is_log_pinned = False
            if self.metrics.log_bytes > MAX_LOG_BYTES:
                try:
                    told = await asyncio.to_thread(cut_log, path)
                except (StorageError, Busy) as error:
                    told = error.message
                if told is not None:
                    self.metrics.is_log_pinned = True
                    self.repeated.log("log_pinned", {"message": told})

    async def _seal_for_ever(self, folder: str) -> None:
        """Seal the ledger now and then, in a process for long reads. A seal that fails is tried again when the next is
        due.
        """
        every_us = due_us = self.settings.seal_every_us
        while not self.draining:
            try:
                answer = await self.readers.own(SEALS, long_reads.seal, folder, every_us)
            except (WalletError, ReadFailed) as error:
                if self.draining:
                    return
                self.metrics.sealed("failed")
                code = error.code if isinstance(error, WalletError) else InternalError.code
                log("seal_failed", code=code, reason=str(error))
                due_us = every_us
            else:
                due_us = answer["due_us"]
                if answer["made"]:
                    self.metrics.sealed("made")
                    log("sealed", file=answer["seal"], root=answer["root"])
            await asyncio.sleep(due_us / 1_000_000)

    async def _collect_for_ever(self) -> None:
        """Collect garbage when no batch is in hand: each of its objects would be scanned, which takes a batch of 10,000
        some 50 ms, and nobody is answered meanwhile. Requests leave next to no cycles behind.
        """
        gc.collect()
        gc.freeze()  # what is loaded by now stays, and need not be scanned again
        collected_s = self.loop.time()
        while True:
            await asyncio.sleep(COLLECT_EVERY_S)
            is_quiet = self.long_work.is_idle and self.group_commit.depth() == 0
            if is_quiet or self.loop.time() - collected_s > COLLECT_AT_LAST_S:
                gc.collect()
                collected_s = self.loop.time()

    def note_what_is_under_way(self) -> None:
        """For /metrics."""
        self.metrics.is_now(self.group_commit.depth(), self.readers)

    async def _show_for_ever(self) -> None:
        """Let the other workers, one of which is asked for /metrics, know what is under way here."""
        while True:
            await asyncio.sleep(SHOW_EVERY_S)
            self.note_what_is_under_way()

    async def _note_use_for_ever(self) -> None:
        while True:
            await asyncio.sleep(NOTE_USE_EVERY_S)
            self.repeated.flush()
            await self._note_use()

    async def _note_use(self) -> None:
        """Record which keys were used; now and then, because one write for each request would be too much."""
        if not self.auth.used:
            return
        names = sorted(self.auth.used)
        self.auth.used.clear()
        try:
            await self.carry_out([NoteUse(name) for name in names], None)
        except WalletError as error:
            self.auth.used.update(names)
            log("note_use_failed", code=error.code)

    def _note_last_use(self) -> None:
        """The same for a server that stops, which nobody waits for: it waits for its turn no longer than LAST_USE_S."""
        store = self._own.store
        if not self.auth.used or (not store.is_local and store.away_s() > MAX_AWAY_S):
            return
        try:
            with self._open(LAST_USE_S) as ledger:
                ledger.executor.run([NoteUse(name) for name in sorted(self.auth.used)], "serve", LAST_USE_S)
        except WalletError as error:
            log("note_use_failed", code=error.code)


def _may_come_again(commands: Sequence[Command]) -> bool:
    """Asked only where an outcome is unknown: a batch may have thousands."""
    return all(map(is_same_again, commands))


def _give_up(future: asyncio.Future[list[Result]], commands: Sequence[Command]) -> None:
    if not future.done():
        again = _may_come_again(commands)
        what, hint = "no answer in time; whether it was applied is unknown", AGAIN if again else LOOK_FIRST
        error = Busy(what, hint=hint, outcome=UNKNOWN)
        error.retryable = again
        future.set_exception(error)
