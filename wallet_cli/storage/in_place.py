"""Whether the names of a ledger stand for the files that a connection has open.

SQLite opens a ledger, its log and the log's index by their names, and then works on what it has opened. Where the file
was moved, removed or replaced since, nobody will find what is written to it. And since the log and the lock go by the
name, a file with two names has two of each: what is written by one name is lost by the other. So a ledger has one name,
and each turn asks whether it still stands for the file that is open.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import NamedTuple, NoReturn

import apsw

from wallet_cli.errors import StorageError

Identity = tuple[int, int]
"""Device and inode: what a file is, whatever its name."""

BESIDE = ("-wal", "-shm")
"""What SQLite keeps beside a file that is in use: the log, and its index."""

UNFINISHED = ("-wal", "-journal")
"""What holds a part of the ledger, when there is something in it."""

HEADER_BYTES = 20
WRITTEN_BY = slice(18, 20)
"""The bytes of the header that say how the file is written and read: in WAL mode, or not."""
BY_LOG, NO_LOG = b"\2\2", b"\1\1"

PUT_BACK = (
    "nothing was written; stop what uses it, put it back with its -wal (unless you put a backup there), and start again"
)

INDEX_EVERY_S = 1.0
"""How often the log's index is looked for; nothing that was answered hangs on it alone."""

LOG_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24
"""What stands before the log's pages, and before each of them."""

LOG_MAGIC = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
SALTS_OF_LOG, SALTS_OF_FRAME = slice(16, 24), slice(8, 16)
"""A log that begins anew has others; each page bears those of its log (sqlite.org/fileformat2.html, section 4.1)."""

LOOKS_AT_LOG = 10

REPLACED = "the ledger file was replaced by another one while it was in use"


def identity_of(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino


def check_one_name(path: Path, found: os.stat_result) -> None:
    """Raises StorageError for a file that has, or may have, another name, where `path` has no link in it."""
    if found.st_nlink > 1:
        raise _linked(path)
    if _is_mount(path):
        raise StorageError(
            f"the ledger file is mounted by itself, without what is beside it: {path}",
            hint="mount the folder that it is in",
        )


def _linked(path: Path | str) -> StorageError:
    return StorageError(
        f"the ledger file has a second name (hard link): {path}",
        hint=f"find it with `find FOLDER -samefile {Path(path).name}`, and remove the one that you do not use",
    )


def _is_mount(path: Path) -> bool:
    """Whether a file is mounted at its own name; elsewhere than on Linux, False.

    A mount of a file that is on the same file system has the same device, so that is not enough to go by.
    """
    if sys.platform != "linux":
        return False
    return _mount_id(path) != _mount_id(path.parent)


def _mount_id(path: Path) -> bytes | None:
    """The number of the mount that a path leads to; None where the kernel does not say."""
    try:
        # By path alone: closing a descriptor that can read would drop the locks that SQLite has on the file.
        fd = os.open(path, os.O_PATH)
        try:
            told = os.open(f"/proc/self/fdinfo/{fd}", os.O_RDONLY)
            try:
                lines = os.read(told, 512).split(b"\n")
            finally:
                os.close(told)
        finally:
            os.close(fd)
    except OSError:
        return None
    return next((line for line in lines if line.startswith(b"mnt_id:")), None)


def check_same(path: Path, found: Identity, known: Identity | None) -> None:
    """Raises StorageError where a ledger that was opened once more is another file than was `known`, if one was."""
    if known not in (None, found):
        raise StorageError(f"{REPLACED}: {path}", hint=PUT_BACK)


class _Beside(NamedTuple):
    """A file beside a ledger, as it was when its name was first looked at."""

    name: str
    file: Identity

    def __str__(self) -> str:
        return Path(self.name).name


def _found(name: str) -> _Beside | None:
    found = _stat(name)
    return None if found is None else _Beside(name, identity_of(found))


def _stat(name: str) -> os.stat_result | None:
    """None where there is no such file, or it cannot be seen."""
    try:
        return os.stat(name)  # noqa: PTH116  (in each turn; a Path takes half as long again)
    except OSError:
        return None


class FileGone(StorageError):
    """The names of a ledger do not stand for what a process has open, and will not until it is started again."""


class InPlace:
    """What the names of one connection's files stood for when it opened them.

    `before` is what the ledger's name stood for before the connection was made. Raises StorageError where it stands for
    another file now. What was once seen to be gone stays so: others may have written to it meanwhile.
    """

    def __init__(self, path: Path, connection: apsw.Connection, before: Identity, *, log: bool) -> None:
        self.file = before
        self._path = str(path)
        self._connection = connection
        self._log, self._index = (_found(self._path + suffix) if log else None for suffix in BESIDE)
        self._page_bytes = int(connection.pragma("page_size"))
        self._index_seen_s = 0.0
        self._mode = header(connection)[WRITTEN_BY]
        self._size = 0
        self._written_ns = 0
        self._lost: str | None = None
        self.check()

    def check(self) -> None:
        """Raises StorageError where the ledger, its log or the log's index was moved, removed, replaced or linked."""
        self.check_ledger()
        self.check_log()
        now_s = time.monotonic()
        if self._index is not None and now_s - self._index_seen_s >= INDEX_EVERY_S:
            self._same(self._index)
            self._index_seen_s = now_s

    def check_log(self) -> int:
        """The same of the log alone, which has to be what its index says; how many pages are in it.

        Within a transaction, and where nothing may be written, only the beginning of the log is looked at.
        """
        if self._log is None:
            return 0
        for _ in range(LOOKS_AT_LOG):
            size = self._same(self._log).st_size
            try:
                pages, _ = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
            except (apsw.LockedError, apsw.ReadOnlyError):
                pages = 0
                is_whole = not size or self._log_head() is not None
            else:
                is_whole = pages <= 0 or self._holds(pages, size)
            if is_whole:
                return pages
            # Those who use the ledger cut its log too, and begin it anew: it is looked at until all is of one moment.
        return self._lose(f"{self._log} was cut or overwritten while it was in use")

    def _holds(self, pages: int, size: int) -> bool:
        """Whether the log has so many pages, the last of which belongs to its beginning."""
        last = LOG_HEADER_BYTES + (pages - 1) * (FRAME_HEADER_BYTES + self._page_bytes)
        if size < last + FRAME_HEADER_BYTES + self._page_bytes:
            return False
        head, frame = self._log_head(), self._connection.read("main", 1, last, FRAME_HEADER_BYTES)[1]
        return head is not None and head[SALTS_OF_LOG] == frame[SALTS_OF_FRAME]

    def _log_head(self) -> bytes | None:
        """The first bytes of the log; None where they are not those of one."""
        head = self._connection.read("main", 1, 0, LOG_HEADER_BYTES)[1]
        return head if head[:4] in LOG_MAGIC else None

    def _same(self, beside: _Beside) -> os.stat_result:
        found = _stat(beside.name)
        if found is None or identity_of(found) != beside.file:
            self._lose(f"{beside} was moved, removed or replaced while it was in use")
        return found

    def check_ledger(self) -> None:
        """The same of the ledger's own name alone."""
        if self._lost is not None:
            self._lose(self._lost)
        try:
            found = os.stat(self._path)  # noqa: PTH116  (likewise)
        except (FileNotFoundError, NotADirectoryError):
            self._lose("the ledger file was moved or removed while it was in use")
        except OSError as error:
            raise StorageError(f"cannot look at the ledger: {error.strerror}: {self._path}", hint=PUT_BACK) from None
        if identity_of(found) != self.file:
            self._lose(REPLACED)
        if found.st_nlink > 1:
            raise _linked(self._path)
        if (found.st_mtime_ns, found.st_size) != (self._written_ns, self._size):
            self._check_content(found)

    def _check_content(self, found: os.stat_result) -> None:
        """The file was written to. A checkpoint leaves it as long as it was at least, and in WAL mode."""
        is_log = self._mode == BY_LOG
        if found.st_size < self._size or (is_log and header(self._connection)[WRITTEN_BY] != BY_LOG):
            self._lose("the ledger file was overwritten by another program while it was in use")
        self._written_ns, self._size = found.st_mtime_ns, found.st_size

    def _lose(self, what: str) -> NoReturn:
        self._lost = what
        raise FileGone(f"{what}: {self._path}", hint=PUT_BACK)


def beside(path: Path, ending: str) -> Path:
    """The file with that ending that belongs to a ledger: `wallet.db-wal`, `wallet.db.lock`."""
    return path.parent / (path.name + ending)


def has_something(path: Path) -> bool:
    """Whether a file is there and is not empty. Raises StorageError where that cannot be seen."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}", hint="check its permissions") from None


def header(connection: apsw.Connection) -> bytes:
    """The first bytes of a connection's file itself, not as its log has them."""
    return connection.read("main", 0, 0, HEADER_BYTES)[1]
