"""Printing for readers who may stop reading (`wallet export | less`), while nothing of the ledger stays open for them.

What they have not taken waits in a spool, and a thread hands it over. So a snapshot is open as long as an answer takes
to make, not to read.
"""

from __future__ import annotations

import io
import os
import stat
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from wallet_cli.cli.stdout import await_room, unprintable
from wallet_cli.errors import WalletError
from wallet_cli.import_export.spool import Spool

FREE_BYTES = 32 * 1024
"""How much is written at once: an empty pipe takes that much, however slow its reader is."""

QUEUE_BYTES = 4 * 1024 * 1024
"""How much waits as it is, for those who do read, before more is packed."""

BUFFER_BYTES = 64 * 1024


@contextmanager
def spooled_stdout() -> Iterator[None]:
    """In a `with` block, sys.stdout does not wait for its reader; at the end all is handed over.

    A file is written as it is: it takes what it is given. Raises UnwritableError where stdout takes nothing,
    ReaderLeftError where nobody reads.
    """
    usual = sys.stdout
    try:
        mode = os.fstat(usual.fileno()).st_mode
    except (OSError, ValueError):  # no stream of the system's: a test's
        yield
        return
    if stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not usual.isatty()):
        yield
        return
    usual.flush()
    raw = _Aside(usual.fileno(), is_terminal=usual.isatty())
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw, BUFFER_BYTES), usual.encoding, usual.errors, write_through=raw.isatty()
    )
    try:
        try:
            yield
        except WalletError:
            _finish(raw)  # earlier output is still written
            raise
        _finish(raw)
    finally:
        raw.give_up()
        sys.stdout = usual


def _finish(raw: _Aside) -> None:
    sys.stdout.flush()
    raw.finish()


class _Aside(io.RawIOBase):
    """A stream whose writes do not wait; it is used from one thread, and has another for itself."""

    def __init__(self, descriptor: int, *, is_terminal: bool) -> None:
        self._descriptor = descriptor
        self._is_terminal = is_terminal
        self._written = 0
        self._changed = threading.Condition()
        self._queue: deque[bytes] = deque()
        """What waits as it is: older than what is in the spool."""
        self._queued = 0
        self._spool: Spool | None = None
        self._thread: threading.Thread | None = None
        self._is_whole = self._is_given_up = False
        self._error: OSError | None = None

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._is_terminal

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        if self._is_given_up:
            return len(part)
        self._written += len(part)
        if self._written <= FREE_BYTES:
            write_all(self._descriptor, part)
            return len(part)
        if self._thread is None:
            self._thread = threading.Thread(target=self._hand_over, name="wallet-stdout", daemon=True)
            self._thread.start()
        with self._changed:
            self._keep(part)
            self._changed.notify()
        return len(part)

    def _keep(self, part: bytes) -> None:
        if self._error is not None:
            raise self._error
        if self._queued < QUEUE_BYTES and (self._spool is None or self._spool.is_empty):
            self._queue.append(part)
            self._queued += len(part)
            return
        self._spool = self._spool or Spool()
        while not self._spool.put(part):
            # There is no more room to wait in: as slowly as it is read, then.
            self._changed.wait()
            if self._error is not None:
                raise self._error

    def finish(self) -> None:
        """Wait until all has been handed over; raises what went wrong."""
        with self._changed:
            self._is_whole = True
            self._changed.notify()
            while self._thread is not None and self._thread.is_alive() and self._error is None:
                self._changed.wait(1)
        if self._error is not None:
            raise self._error

    def give_up(self) -> None:
        """Take no more, and let nothing that is still in a buffer go wrong."""
        self._is_given_up = True

    def _hand_over(self) -> None:
        """Write what waits, until all of it is there."""
        try:
            while (part := self._next()) is not None:
                write_all(self._descriptor, part)
        except OSError as error:
            self._error = error
        with self._changed:
            self._changed.notify()

    def _next(self) -> bytes | None:
        with self._changed:
            while True:
                if self._queue:
                    part = self._queue.popleft()
                    self._queued -= len(part)
                    return part
                if self._spool is not None and not self._spool.is_empty:
                    part = self._spool.take()
                    self._changed.notify()
                    return part
                if self._is_whole:
                    return None
                self._changed.wait()


def write_all(descriptor: int, part: bytes) -> None:
    """Raises UnwritableError or ReaderLeftError."""
    rest = memoryview(part)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            await_room(descriptor)
        except OSError as error:
            raise unprintable(error) from error
