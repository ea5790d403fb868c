"""Turns to write: a kernel lock, so that waiters sleep, in arrival order, and a dead process holds nothing.

`flock` on a separate file beside the ledger, taken in arrival order (engine/fair_queue.py). The file is never deleted:
a waiter on a deleted file would share its lock with nobody. The file names the holder of the turn, for error messages
of those who wait too long.

Polling libraries are simpler and portable, but unfair: of 24 processes that contend through `filelock`, which polls
every 50 ms, one may not be served at all within a second (bench/turns.py). Without `fcntl`, `filelock` is the fallback.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from wallet_cli.domain.commands import Change
from wallet_cli.domain.model import Transaction
from wallet_cli.domain.period import format_time
from wallet_cli.engine import fair_queue
from wallet_cli.errors import Busy, StorageError, WalletError, hint_of
from wallet_cli.named_tuples import NamedTuple
from wallet_cli.storage.bulk_copy import BulkCopy
from wallet_cli.storage.folders import give_to_owner
from wallet_cli.storage.in_place import Identity, identity_of
from wallet_cli.storage.last_commit import LAST_COMMIT_BYTES, LastCommit, digest_of

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Refuse symbolic links, do not wait for the other end of a pipe, and do not translate bytes."""

HAVE_FLOCK = fcntl is not None
HAVE_PWRITE = hasattr(os, "pwrite")

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""The errors of a file system without locks, or without its lock service."""

MAX_TIMEOUT_S = 86_400.0
RING_EVERY_S = 0.05
HOLDER_BYTES = 256
"""A holder's line is padded to this length, so that a single write replaces the previous one."""

LAST_COMMIT_AT = fair_queue.COUNTERS_END
"""After the counters of the waiters: the note of the last commit (storage/last_commit.py)."""

LOCK_FILE_BYTES = LAST_COMMIT_AT + LAST_COMMIT_BYTES
"""The size of a lock file: the locked bytes are beyond its end."""


class Time(NamedTuple):
    """The time of a turn, by a clock that nothing contradicts; `is_confirmed` if somebody confirmed the clock."""

    us: int
    is_confirmed: bool


class Holder(NamedTuple):
    """The holder of the turn: process id, its command, and since when (as in JSON)."""

    pid: int
    command: str
    since: str


class WriteLock:
    """One turn at a time, among all processes and threads that name the same file.

    A lock is not re-entrant, and an instance serves one thread at a time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        """The lock file, while this process has the turn or waits for it."""
        self._file: Identity = (0, 0)
        self._helper: _Helper | None = None
        self._written: tuple[bytes, LastCommit] | None = None
        """The last note of this process, as it is in the lock file, and what it says."""

    @contextmanager
    def turn(self, timeout_s: float, command: str) -> Iterator[None]:
        """Hold the turn for the length of a `with` block.

        Waits at most `timeout_s` seconds (0: not at all), then raises Busy with the holder. `command` is what others
        are told while this process has the turn. Raises StorageError if the lock file cannot be opened or locked.
        """
        fd = self._fd = self._open()
        try:
            try:
                taken = self._take(fd, min(timeout_s, MAX_TIMEOUT_S))
            except OSError as error:
                raise self._unlockable(error) from error
            if not taken:
                raise self._busy(timeout_s)
            if not os.fstat(fd).st_nlink:
                raise Busy(f"the lock {self.path} was removed during the wait for it", hint="try again")
            _write_at(fd, _holder_line(command), 0)
            yield
        finally:
            # Also after an exception or a signal during the wait or the turn.
            self._give_up(fd)

    def note(self, store: BulkCopy, committed: Change | None, time: Time | None = None, *, again: bool = False) -> None:
        """Note the last commit in the lock file, within a turn; if that fails, the old note stays.

        `committed` is a part of it: a transaction, if it has one. `again`: it was there before, and is answered again.
        The note is not synced: after a power cut it may be older than the ledger, which does no harm.
        """
        with suppress(WalletError):
            uuid = store.facts_of_turn().uuid
            before = self._noted()
            if before is None or not before.is_of(uuid):
                before = LastCommit(digest_of(uuid), self._file, store.identity())
            at_us = before.at_us
            if time is not None:
                at_us = time.us if time.is_confirmed else max(at_us, time.us)
            now = before._replace(lock=self._file, file=store.identity(), changes=store.changes, at_us=at_us)
            if isinstance(committed, Transaction) and (not again or _is_later(committed, before)):
                now = now._replace(wallet_id=committed.wallet_id, seq=committed.seq, hash=committed.hash)
            packed = now.packed()
            self._written = packed, now
            _write_at(self._fd, packed, LAST_COMMIT_AT)

    def _noted(self) -> LastCommit | None:
        """The note in the lock file, within a turn. Only that of another process is read again."""
        found = _note_in(self._fd)
        if self._written is not None and found == self._written[0]:
            return self._written[1]
        return LastCommit.unpacked(found)

    def forget(self) -> int:
        """Take back, within a turn, what was noted: another ledger is put in place. The time that was believed last."""
        before = self._noted()
        _write_at(self._fd, bytes(LAST_COMMIT_BYTES), LAST_COMMIT_AT)
        return 0 if before is None else before.at_us

    def last_commit(self) -> LastCommit | None:
        """The last note, of any process; None if there is none, or it cannot be read."""
        try:
            fd = os.open(self.path, os.O_RDONLY | NO_LINK)
        except OSError:
            return None
        try:
            return LastCommit.unpacked(_note_in(fd))
        finally:
            os.close(fd)

    def is_taken(self) -> bool:
        """Whether somebody has the turn now. Raises StorageError where that cannot be asked."""
        fd = self._open()
        try:
            return not _is_free(fd)
        finally:
            self._give_up(fd)

    def holder(self) -> Holder | None:
        """The last holder in the lock file, if it is still running; else None."""
        try:
            with self.path.open("rb") as file:
                line = file.read(HOLDER_BYTES).decode("utf-8", "replace")
            pid, since, command = line.rstrip().split(" ", 2)
            with suppress(PermissionError):  # it is running, as another user
                os.kill(int(pid), 0)
            return Holder(int(pid), command, since)
        except (OSError, ValueError, OverflowError):
            return None

    def _open(self) -> int:
        # Python opens descriptors close-on-exec: a child process never inherits the turn.
        flags = os.O_RDWR | NO_LINK
        try:
            try:
                fd = os.open(self.path, flags)
            except FileNotFoundError:
                fd = self._made(flags)
        except OSError as error:
            if self.path.is_symlink():
                raise self._foreign("is a symbolic link") from None
            hint = hint_of(error, self._how_to_open())
            raise StorageError(f"cannot open the lock {self.path}: {error.strerror}", hint=hint) from None
        found = os.fstat(fd)
        # Another user of the folder may have put a file here, which the holder's line would overwrite.
        if not stat.S_ISREG(found.st_mode) or found.st_size > LOCK_FILE_BYTES or found.st_nlink > 1:
            os.close(fd)
            raise self._foreign("is not a lock file of this program" if found.st_nlink <= 1 else "has a second name")
        self._file = identity_of(found)
        return fd

    def _made(self, flags: int) -> int:
        """Create the lock file for all who may write to the ledger; the first process may be root's, or that of a group
        member.
        """
        try:
            fd = os.open(self.path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:  # another process has created it
            return os.open(self.path, flags)
        if HAVE_FLOCK:
            with suppress(OSError):  # there is no ledger yet, or it belongs to another user
                give_to_owner(fd, self._ledger)
                ledger = self._ledger.stat()
                os.fchown(fd, -1, ledger.st_gid)
                os.fchmod(fd, lock_mode(ledger))
        return fd

    @property
    def _ledger(self) -> Path:
        return self.path.with_name(self.path.name.removesuffix(".lock"))

    def _how_to_open(self) -> str:
        """The hint for a lock file without access; it may belong to root, created by an older version."""
        with suppress(OSError, NotImplementedError):
            owner, lock_owner = _owner(self._ledger), _owner(self.path)
            if lock_owner != owner:
                return f"it belongs to {lock_owner}, but the ledger to {owner}: `sudo chown {owner} {self.path}`"
        return "a writer needs write permission for the ledger and its folder"

    def _foreign(self, what: str) -> StorageError:
        return StorageError(f"the lock {self.path} {what}", hint="check it, and remove it if nobody needs it")

    def _unlockable(self, error: OSError) -> StorageError:
        if error.errno in NO_LOCKS:
            hint = "its file system has no working locks: keep the ledger on a local disk"
        else:
            hint = "nothing was written"
        return StorageError(f"cannot take the lock {self.path}: {error.strerror}", hint=hint)

    def _take(self, fd: int, timeout_s: float) -> bool:
        """Take the turn; False if the time runs out first. If others wait, queue behind them."""
        if (timeout_s <= 0 or not fair_queue.anybody_waits(fd)) and _is_free(fd):
            return True
        if timeout_s <= 0:
            return False
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0):
            return _wait_with_alarm(fd, timeout_s)
        if self._helper is None or not self._helper.join(fd):
            self._helper = _Helper(fd)
        return self._helper.give(fd, timeout_s)

    def _give_up(self, fd: int) -> None:
        # Release the turn first, then, by closing, the place in the queue: the next waiter wakes when the turn is free.
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_UN)
        os.close(fd)

    def _busy(self, timeout_s: float) -> Busy:
        holder = self.holder()
        who = (
            f"{holder.command} (process {holder.pid}, since {holder.since}) has the turn"
            if holder
            else "another process has the turn"
        )
        return Busy(
            f"no turn to write within {timeout_s:g} s: {who}",
            hint="try again, with the same key; WALLET_LOCK_TIMEOUT sets how long to wait",
            holder=holder._asdict() if holder else None,
        )


def lock_mode(ledger: os.stat_result) -> int:
    """The mode of the lock of such a ledger. Not for read-only users: they could take the turn, and keep it."""
    writers = ledger.st_mode & 0o222 | 0o200
    return writers | writers << 1


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:  # a user without a name
        return str(path.stat().st_uid)


def _holder_line(command: str) -> bytes:
    """The line about the holder of the turn, for those who wait."""
    line = f"{os.getpid()} {format_time(time.time_ns() // 1000)} {command}".encode()[: HOLDER_BYTES - 1]
    return line.ljust(HOLDER_BYTES - 1) + b"\n"


def _write_at(fd: int, content: bytes, place: int) -> None:
    """Write something optional: on a full disk it is skipped."""
    with suppress(OSError):
        if HAVE_PWRITE:
            os.pwrite(fd, content, place)
        else:
            os.lseek(fd, place, os.SEEK_SET)
            os.write(fd, content)


def _is_later(transaction: Transaction, noted: LastCommit) -> bool:
    """Whether a transaction is newer than the noted one; an older one may be answered again."""
    if transaction.wallet_id == noted.wallet_id:
        return transaction.seq > noted.seq
    return transaction.at_us >= noted.at_us


def _note_in(fd: int) -> bytes:
    """The bytes of the note in a lock file; none if they cannot be read."""
    try:
        if HAVE_PWRITE:
            return os.pread(fd, LAST_COMMIT_BYTES, LAST_COMMIT_AT)
        os.lseek(fd, LAST_COMMIT_AT, os.SEEK_SET)
        return os.read(fd, LAST_COMMIT_BYTES)
    except OSError:
        return b""


def _is_free(fd: int) -> bool:
    """Take the turn if nobody has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait(fd: int) -> None:
    """Sleep until the turn comes, in order of arrival."""
    ticket = fair_queue.wait_in_line(fd)
    fcntl.flock(fd, fcntl.LOCK_EX)
    if ticket is not None:
        fair_queue.served(fd, ticket)


class _TimeUpError(Exception):
    pass


def _wait_with_alarm(fd: int, timeout_s: float) -> bool:
    """Sleep in the kernel until the turn comes or an alarm rings. For the main thread, which receives signals.

    Only an exception ends the sleeping call (PEP 475). The alarm rings repeatedly: a signal just before the kernel
    sleeps (the alarm or Ctrl-C) is noticed at the next ring. If one rings after the lock was taken, but before that was
    noticed, the turn counts as missed, and is released.
    """
    waiting = True
    until_s = time.monotonic() + timeout_s

    def ring(_signal: int, _frame: FrameType | None) -> None:
        nonlocal waiting
        if waiting and time.monotonic() >= until_s:
            waiting = False
            raise _TimeUpError

    previous = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, min(timeout_s, RING_EVERY_S), RING_EVERY_S)
        _wait(fd)
        waiting = False
        return True
    except _TimeUpError:
        return False
    finally:
        waiting = False
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, previous)


class _Helper:
    """A thread that sleeps until it has the turn, for threads that receive no alarm.

    It has a duplicate of a descriptor, which shares its lock. Nothing can end its sleep: if the time runs out, it keeps
    its place in the line for those who ask next. If the turn comes when nobody does, it is released at once.
    """

    def __init__(self, fd: int) -> None:
        self._fd = os.dup(fd)
        self._decided = threading.Lock()
        self._arrived = threading.Event()
        self._is_wanted = True
        self._failure: OSError | None = None
        threading.Thread(target=self._work, name="wallet-turn", daemon=True).start()

    def join(self, fd: int) -> bool:
        """Whether it still waits for the turn of this descriptor's file; then the turn is wanted again."""
        with self._decided:
            self._is_wanted = not self._arrived.is_set() and os.path.sameopenfile(self._fd, fd)
            return self._is_wanted

    def give(self, fd: int, timeout_s: float) -> bool:
        """Make `fd` share the lock once it has the turn; False if the time runs out first."""
        try:
            self._arrived.wait(timeout_s)
        finally:
            with self._decided:
                self._is_wanted = False
                has_come = self._arrived.is_set()
            if has_come:
                os.dup2(self._fd, fd, inheritable=False)
                os.close(self._fd)
        if self._failure is not None:
            raise self._failure
        return has_come

    def _work(self) -> None:
        try:
            _wait(self._fd)
        except OSError as error:
            self._failure = error
        with self._decided:
            self._arrived.set()
            if not self._is_wanted:
                os.close(self._fd)
