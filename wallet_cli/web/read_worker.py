"""Long reads, each in a process: it costs the event loop nothing, and ends when nobody needs it any more.

The server starts this program at the first long read. It waits for sockets, one for each read, and forks a process for
each: everything is imported by then, so that takes a few milliseconds. A read is over when either end closes its
socket: a caller who has left, a deadline or a stop all end a read by closing it, whatever it is doing, in Python, in
SQLite or in a driver.

On the socket, the server sends one Read: its length, then the pickle. Back come frames: a kind, a length, and that many
bytes (`Kind`). Only this program and its server use the socket, and only this program's objects are sent.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import socket
import struct
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from wallet_cli.domain.purpose import Purpose
from wallet_cli.errors import Busy, WalletError
from wallet_cli.import_export.spool import Spool
from wallet_cli.operations.context import Ledger, Which, check_which, open_ledger
from wallet_cli.settings import Settings
from wallet_cli.web.messages import encoded

HEAD = struct.Struct("!cI")
LENGTH = struct.Struct("!I")
PIECE_BYTES = 64 * 1024
"""A value is sent in pieces of this size: the event loop handles one after the other."""

MAX_MAKING_S = 600.0
"""How long making an answer may take, and so how long its snapshot may be open."""


class Kind:
    """The kinds of frames."""

    CHUNK = b"C"
    """A chunk of the answer."""
    END = b"N"
    """Nothing: the answer is complete."""
    REFUSED = b"R"
    """A WalletError: its class and fields, pickled."""
    FAILED = b"F"
    """Any other error: the name of its class and where it happened, pickled."""


class Read(NamedTuple):
    """One read: `work(ledger, *given)` returns a value, which is sent as JSON, or chunks of bytes."""

    settings: Settings
    work: Callable[..., Any]
    given: tuple[Any, ...]
    seconds: float
    """How long it may take, with sending. The server ends it then, and this process ends itself a moment later."""
    known: Which | None
    """The ledger that the server has open: no other one is read in its place."""


def main(control: int) -> None:
    """Fork a process for each received socket, until the server is gone. Returns in none of them."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody needs the exit codes
    run_behind()
    with socket.socket(fileno=control) as server:
        while True:
            message, descriptors, _, _ = socket.recv_fds(server, 1, 1)
            if not message:
                os._exit(0)
            try:
                is_read = os.fork() == 0
            except OSError:  # no process or no memory is free: closing the socket tells the server
                is_read = False
            if is_read:
                server.close()
                _carry_out(socket.socket(fileno=descriptors[0]))
            os.close(descriptors[0])


def run_behind() -> None:
    """Let this process have only the time that others leave: the callers of the event loop wait for milliseconds.

    With a priority that is just lower, the scheduler may leave the loop waiting 4 ms for its next tick (Linux; p99 of
    others 3 to 4 times as long). With one core, such a process might not get on at all, so it has the lowest priority.
    """
    os.nice(19)
    if hasattr(os, "SCHED_IDLE") and len(os.sched_getaffinity(0)) > 1:
        with suppress(OSError):  # a container may forbid it
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _carry_out(connection: socket.socket) -> None:
    """Run one read in its process, and end the process."""
    try:
        read: Read = pickle.loads(_received(connection))  # noqa: S301  (from the server that started this program)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, read.seconds + 5)
        threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
        out = _Out(connection)
        try:
            with open_ledger(read.settings, lambda _: None, purpose=Purpose.READ) as ledger:
                ledger.times_are_utc = True
                _answer(out, ledger, read)
            out.flush()
        except WalletError as error:
            fields = (type(error).__module__, type(error).__qualname__, error.message, error.hint, error.details)
            out.last(Kind.REFUSED, pickle.dumps(fields))
        except Exception as error:
            out.last(Kind.FAILED, pickle.dumps((type(error).__name__, where(error))))
        connection.shutdown(socket.SHUT_WR)
    finally:
        os._exit(0)


def _answer(out: _Out, ledger: Ledger, read: Read) -> None:
    store, until_s = ledger.store, time.monotonic() + min(read.seconds, MAX_MAKING_S)
    store.forbid_writes()
    check_which(store, read.known)
    if store.is_local:
        out.folder = str(store.path.parent)
    else:
        store.end_reads_after(min(read.seconds, MAX_MAKING_S))
    made = read.work(ledger, *read.given)
    for chunk in made if isinstance(made, Iterator) else in_pieces(encoded(made)):
        if chunk:
            out.put(Kind.CHUNK, chunk)
        if time.monotonic() > until_s:
            raise Busy("the answer took too long to prepare", hint="ask for a shorter period, or for one wallet")
    out.put(Kind.END, b"")


def in_pieces(text: bytes) -> Iterator[bytes]:
    for at in range(0, len(text), PIECE_BYTES):
        yield text[at : at + PIECE_BYTES]


class _Out:
    """Frames on their way to the server, which reads them as fast as the caller reads the answer."""

    folder: str | None = None
    """The folder for a temporary file: that of the ledger, or else the system's."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._rest = memoryview(b"")
        """The rest of the frame that is being sent."""
        self._spool: Spool | None = None
        """Waiting frames."""

    def put(self, kind: bytes, content: bytes) -> None:
        """Send a frame, or store it until there is room. Raises Busy or OSError if that is not possible."""
        frame = HEAD.pack(kind, len(content)) + content
        if self._send():
            self._rest = memoryview(frame)
            self._push()
            return
        self._spool = self._spool or Spool(self.folder)
        if not self._spool.put(frame):
            raise Busy("the client reads the answer too slowly", hint="read it faster, or ask for less")

    def flush(self) -> None:
        """Send all waiting frames."""
        while not self._send():
            select.select([], [self._connection], [])

    def last(self, kind: bytes, content: bytes) -> None:
        """Send an error instead of the rest of an answer. Waiting frames are dropped, except one that is partly
        sent.
        """
        if self._spool is not None:
            self._spool.clear()
        self.flush()
        self._rest = memoryview(HEAD.pack(kind, len(content)) + content)
        self.flush()

    def _send(self) -> bool:
        """Send as much as possible; returns whether that was all."""
        self._push()
        while not self._rest and self._spool is not None and not self._spool.is_empty:
            self._rest = memoryview(self._spool.take())
            self._push()
        return not self._rest

    def _push(self) -> None:
        while self._rest:
            try:
                sent = self._connection.send(self._rest, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            self._rest = self._rest[sent:]


def _end_with(connection: socket.socket) -> None:
    """End this process when the server closes its end: nobody needs the answer any more."""
    with suppress(ConnectionResetError):  # the server had not read all of the answer
        while connection.recv(1):
            pass
    os._exit(0)


def _received(connection: socket.socket) -> bytes:
    (length,) = LENGTH.unpack(_exactly(connection, LENGTH.size))
    return _exactly(connection, length)


def _exactly(connection: socket.socket, count: int) -> bytes:
    found = bytearray()
    while len(found) < count:
        part = connection.recv(count - len(found))
        if not part:
            os._exit(0)
        found += part
    return bytes(found)


def where(error: BaseException) -> str:
    """Where it happened, without values; with WALLET_DEBUG=1, the whole traceback."""
    if os.environ.get("WALLET_DEBUG") == "1":
        return "".join(traceback.format_exception(error))
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-5:]))
