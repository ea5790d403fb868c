"""Long reads: how many at once, for how long, and for whom. read_worker.py runs them.

Each has a deadline. It ends when its caller leaves, at the deadline, or a moment after the server is told to stop.
Beyond the limits the answer is Busy, at once.
"""

from __future__ import annotations

import asyncio
import importlib
import pickle
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple

import msgspec

from wallet_cli.errors import Busy, WalletError
from wallet_cli.operations.context import Which
from wallet_cli.settings import Settings, scheme_of
from wallet_cli.web.auth import LOCAL, Caller
from wallet_cli.web.log import log
from wallet_cli.web.messages import ClientLeft, Receive, Written
from wallet_cli.web.read_worker import HEAD, LENGTH, Kind, Read

STOPPING = "the server is shutting down"


class Lane(NamedTuple):
    """The limits of one kind of reads."""

    at_once: int
    waiting: int
    """How many may wait for their turn."""
    for_one: int
    """How many of the running ones one caller may have; as many of theirs, and a few more, may wait."""
    seconds: float
    """How long one may take, from its request on."""


SEARCHES = Lane(4, 32, 2, 20.0)
"""Long pages, and lists with filters."""

PROOFS = Lane(1, 4, 1, 600.0)
"""`verify`, which reads the whole ledger."""

SEALS = Lane(1, 0, 1, 86_400.0)
"""The server's own seals, which read the whole ledger too."""

STREAMS = Lane(16, 0, 8, 3600.0)
"""Statements, documents and exports: they mostly wait for a slow client, which costs nothing. The limit on making one
is read_worker's MAX_MAKING_S."""

MAX_USER_STREAMS = 2
"""How many streams a user (not an operator) may have."""

HINT = "try again when one has finished"


class ReadFailed(Exception):
    """A read failed in its process: the name of the error's class, and where."""

    def __init__(self, name: str, where: str) -> None:
        super().__init__(name)
        self.name, self.where = name, where


class _Queue:
    """The reads of one lane: the running ones, and the waiting ones in arrival order."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.running: Counter[Caller] = Counter()
        self.waiting: list[tuple[Caller, asyncio.Future[None]]] = []

    def has_room(self, caller: Caller) -> bool:
        return self.running.total() < self.lane.at_once and self.running[caller] < most_for(self.lane, caller)

    @asynccontextmanager
    async def turn(self, caller: Caller) -> AsyncIterator[None]:
        """Wait for a turn, and hold it for the length of a `with` block. Raises Busy if too many wait."""
        if not self.has_room(caller):
            await self._wait(caller)
        self.running[caller] += 1
        try:
            yield
        finally:
            self.running[caller] -= 1
            self.running += Counter()  # drop callers without reads
            self._call_next()

    async def _wait(self, caller: Caller) -> None:
        own = sum(each == caller for each, _ in self.waiting)
        if self.running.total() + len(self.waiting) >= self.lane.at_once + self.lane.waiting:
            raise Busy("too many long reads at once", hint=HINT)
        if self.running[caller] + own >= most_for(self.lane, caller) + self.lane.waiting // 2:
            raise Busy("you have too many long reads running", hint=HINT)
        place = (caller, asyncio.get_running_loop().create_future())
        self.waiting.append(place)
        try:
            await place[1]
        except BaseException:
            if place in self.waiting:
                self.waiting.remove(place)
            else:
                self._give_back(caller)
            raise
        # The caller has counted it already, so that no other read comes between.
        self.running[caller] -= 1

    def _give_back(self, caller: Caller) -> None:
        self.running[caller] -= 1
        self._call_next()

    def _call_next(self) -> None:
        for place in list(self.waiting):
            caller, future = place
            if future.done():
                self.waiting.remove(place)
            elif self.has_room(caller):
                self.waiting.remove(place)
                self.running[caller] += 1
                future.set_result(None)

    def end(self) -> None:
        """Refuse all waiting reads."""
        for _, future in self.waiting:
            if not future.done():
                future.set_exception(Busy(STOPPING, hint="send it again"))


def most_for(lane: Lane, caller: Caller) -> int:
    """How many running reads of a lane one caller may have."""
    if lane is STREAMS and caller.operator is None:
        return min(MAX_USER_STREAMS, lane.at_once)
    return min(lane.for_one, lane.at_once)


class Readers:
    """The long reads of one server process; only for its event loop."""

    def __init__(self, settings: Settings, known: Which | None = None) -> None:
        self._settings = settings
        self.known = known
        """The ledger to read: another one in its place is not read."""
        self._control: socket.socket | None = None
        self._program: subprocess.Popen[bytes] | None = None
        self._queues: dict[Lane, _Queue] = {}
        self._under_way: set[RunningRead] = set()
        self._stopping = False

    @property
    def under_way(self) -> int:
        """How many reads are running."""
        return len(self._under_way)

    @property
    def waiting(self) -> int:
        """How many reads are waiting."""
        return sum(len(queue.waiting) for queue in self._queues.values())

    @asynccontextmanager
    async def reading(
        self, receive: Receive, lane: Lane, caller: Caller, work: Callable[..., Any], *given: Any
    ) -> AsyncIterator[RunningRead]:
        """One read, running for the length of a `with` block. `work` and its arguments must be picklable.

        Raises Busy beyond the limits of the lane and, in the block too, when the time is up or the server stops, and
        ClientLeft when the caller leaves (as seen with `receive`).
        """
        if self._stopping:
            raise Busy(STOPPING, hint="send it again")
        queue = self._queues.setdefault(lane, _Queue(lane))
        read = Read(self._settings, work, given, lane.seconds, self.known)
        with _in_time(lane.seconds) as deadline:
            async with deadline, _while_there(receive), queue.turn(caller):
                try:
                    reading = await self._begin(read)
                except OSError as error:  # no descriptor, no process, or no memory is free
                    raise Busy(f"long reads are not possible now: {error.strerror}", hint="try again") from None
                self._under_way.add(reading)
                try:
                    yield reading
                finally:
                    self._under_way.discard(reading)
                    reading.close()

    async def answer(
        self, receive: Receive, lane: Lane, caller: Caller, work: Callable[..., Any], *given: Any
    ) -> Written:
        """The result of `work(ledger, *given)`. Raises its errors, and as `reading` does."""
        async with self.reading(receive, lane, caller, work, *given) as reading:
            return Written(await reading.chunks())

    async def own(self, lane: Lane, work: Callable[..., Any], *given: Any) -> Any:
        """The same for the server itself, which never leaves."""
        answer = await self.answer(_never, lane, LOCAL, work, *given)
        return msgspec.json.decode(b"".join(answer.pieces))

    def end_all(self) -> None:
        """End the running reads, and start no more."""
        self._stopping = True
        for queue in self._queues.values():
            queue.end()
        for reading in list(self._under_way):
            reading.end(Busy(STOPPING, hint="send it again"))

    def close(self) -> None:
        """End the program that runs the reads."""
        self.end_all()
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._program is not None:
            self._program.wait()
            self._program = None

    async def _begin(self, read: Read) -> RunningRead:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._hand_over(theirs)
            ours.setblocking(False)
            reader, writer = await asyncio.open_unix_connection(sock=ours)
        except BaseException:
            ours.close()
            raise
        text = pickle.dumps(read)
        writer.write(LENGTH.pack(len(text)) + text)
        return RunningRead(reader, writer)

    def _hand_over(self, connection: socket.socket) -> None:
        """Give a read's socket to the program; start the program if it is not running."""
        for _ in range(2):
            if self._control is None or self._program is None or self._program.poll() is not None:
                self._start()
            assert self._control is not None
            try:
                socket.send_fds(self._control, [b"r"], [connection.fileno()])
                return
            except OSError:
                self._control.close()
                self._control = None
        raise Busy("long reads are not possible now", hint="try again")

    def _start(self) -> None:
        if self._control is not None:
            self._control.close()
        self._control, theirs = socket.socketpair()
        with theirs:
            more = ["wallet_cli.storage.postgres"] if scheme_of(self._settings.db) else []
            self._program = start_program(theirs.fileno(), ["wallet_cli.web.long_reads", *more])


def start_program(control: int, modules: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start the program of read_worker.py, which gets its sockets by the descriptor `control`.

    It first imports `modules`: otherwise each read would.
    """
    # It ignores stop signals from its first moment on: this process handles them. And it loads nothing from the working
    # directory, only from this program's own path.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        " signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f" sys.path[:] = {sys.path!r}; import {', '.join(modules)};"
        " from wallet_cli.web.read_worker import main;"
        f" main({control})"
    )
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-P", "-c", code], pass_fds=[control], stdin=subprocess.DEVNULL
    )


class RunningRead:
    """One running read. Closing it ends it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ended: WalletError | None = None

    async def chunks(self) -> list[bytes]:
        """The whole answer."""
        found = []
        while (chunk := await self.chunk()) is not None:
            found.append(chunk)
        return found

    async def chunk(self) -> bytes | None:
        """The next chunk of the answer; None at its end. Raises Busy if its process has ended, as without memory."""
        try:
            kind, length = HEAD.unpack(await self._reader.readexactly(HEAD.size))
            content = await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, OSError):
            if self._ended is None:
                log("read_ended_early")
                self._ended = Busy("the process of this read has ended early", hint="try again")
            raise self._ended from None
        if kind == Kind.REFUSED:
            raise _error(*pickle.loads(content))  # noqa: S301  (from this program's own process)
        if kind == Kind.FAILED:
            raise ReadFailed(*pickle.loads(content))  # noqa: S301
        return content if kind == Kind.CHUNK else None

    def end(self, error: WalletError) -> None:
        """End it: its waiting caller gets this error."""
        self._ended = error
        self._writer.transport.abort()

    def close(self) -> None:
        self._writer.transport.abort()


def _error(module: str, name: str, message: str, hint: str | None, details: dict[str, Any]) -> WalletError:
    """The WalletError that was raised in the other process."""
    kind: type[WalletError] = getattr(importlib.import_module(module), name)
    error = kind.__new__(kind)
    WalletError.__init__(error, message, hint=hint, **details)
    return error


@contextmanager
def _in_time(seconds: float) -> Iterator[asyncio.Timeout]:
    """A deadline, and the error after it."""
    deadline = asyncio.timeout(seconds)
    try:
        yield deadline
    except TimeoutError:
        if not deadline.expired():
            raise
        raise Busy(f"no answer within {seconds:g} s", hint="ask for less: a shorter period, or one wallet") from None


@asynccontextmanager
async def _while_there(receive: Receive) -> AsyncIterator[None]:
    """End the `with` block with ClientLeft when the caller leaves."""
    task = asyncio.current_task()
    assert task is not None
    has_left = False

    def leave(_: asyncio.Task[None]) -> None:
        nonlocal has_left
        has_left = True
        task.cancel()

    leaving = asyncio.create_task(_until_gone(receive))
    leaving.add_done_callback(leave)
    try:
        yield
    except asyncio.CancelledError:
        if not has_left:
            raise
        task.uncancel()
        raise ClientLeft from None
    finally:
        leaving.remove_done_callback(leave)
        leaving.cancel()


async def _never() -> MutableMapping[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
