"""Whether the names of a ledger still mean the files that a connection has open.

SQLite opens a ledger, its log and the log's index by their names, and then works on the open files. If the file was
moved, removed or replaced since, nobody will find what is written to it. The log and the lock are found by the ledger's
name, so a file with two names has two of each: what is written under one name is lost for the other. So a ledger has
one name, and each turn checks whether it still means the open file.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import NoReturn

import apsw

from wallet_cli.errors import StorageError
from wallet_cli.named_tuples import NamedTuple

Identity = tuple[int, int]
"""Device and inode: they identify a file, whatever its name."""

BESIDE = ("-wal", "-shm")
"""SQLite's files beside a file in use: the log and its index."""

UNFINISHED = ("-wal", "-journal")
"""The file that has a part of the ledger, if it is not empty."""

HEADER_BYTES = 20
WRITTEN_BY = slice(18, 20)
"""The bytes of the header that say whether the file is in WAL mode."""
BY_LOG, NO_LOG = b"\2\2", b"\1\1"

PUT_BACK = (
    "nothing was written; stop the programs that use it, put it back with its -wal (unless you put a backup there),"
    " and restart"
)

INDEX_EVERY_S = 1.0
"""How often the log's index is checked; no answer depends on it alone."""

LOG_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24
"""The size of the log's header, and of the header of each page."""

LOG_MAGIC = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
SALTS_OF_LOG, SALTS_OF_FRAME = slice(16, 24), slice(8, 16)
"""A restarted log has new ones; each page has those of its log (sqlite.org/fileformat2.html, section 4.1)."""

LOOKS_AT_LOG = 10

REPLACED = "the ledger file was replaced by another one while it was in use"


def identity_of(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino


def check_one_name(path: Path, found: os.stat_result) -> None:
    """Raises StorageError for a file that has, or may have, another name. `path` must have no symbolic links."""
    if found.st_nlink > 1:
        raise _linked(path)
    if _is_mount(path):
        raise StorageError(
            f"the ledger file is mounted alone, without the files beside it: {path}",
            hint="mount its folder",
        )


def _linked(path: Path | str) -> StorageError:
    return StorageError(
        f"the ledger file has a second name (hard link): {path}",
        hint=f"find it with `find FOLDER -samefile {Path(path).name}`, and remove the one that you do not use",
    )


def _is_mount(path: Path) -> bool:
    """Whether a file is a mount point itself; False where the system does not say, as on others than Linux.

    A mounted file from the same file system has the same device, so comparing devices is not enough.
    """
    if sys.platform != "linux":
        return False
    own, of_folder = _mount_id(path), _mount_id(path.parent)
    return None not in (own, of_folder) and own != of_folder


def _mount_id(path: Path) -> bytes | None:
    """The number of the mount of a path; None if the kernel does not say."""
    try:
        # By path alone: closing a readable descriptor would drop SQLite's locks on the file.
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


class _Beside(NamedTuple):
    """A file beside a ledger, as it was when its name was first checked."""

    name: str
    file: Identity

    def __str__(self) -> str:
        return Path(self.name).name


def _found(name: str) -> _Beside | None:
    found = _stat(name)
    return None if found is None else _Beside(name, identity_of(found))


def _stat(name: str) -> os.stat_result | None:
    """None if there is no such file, or it cannot be accessed."""
    try:
        return os.stat(name)  # noqa: PTH116  (in each turn; a Path takes 1.5 times as long)
    except OSError:
        return None


class FileGone(StorageError):
    """The names of a ledger no longer mean the files that a process has open; it must be restarted."""


class InPlace:
    """What the names of one connection's files meant when it opened them.

    `before` is the file that the ledger's name meant before the connection was made. Raises StorageError if it means
    another file now. A file once found gone counts as gone for good: others may have written to it meanwhile.
    """

    def __init__(self, path: Path, connection: apsw.Connection, before: Identity, *, log: bool) -> None:
        self.file = before
        self._path = str(path)
        self._connection = connection
        self._log, self._index = (_found(self._path + suffix) if log else None for suffix in BESIDE)
        self._page_bytes = int(connection.pragma("page_size"))
        self._index_seen_s = 0.0
        self._unused_head: bytes | None = None
        """The start of the log, if it had no pages when it was last looked at. A power cut can leave zeros there, which
        SQLite takes for an empty log, and overwrites.
        """
        self._log_then: tuple[int, int] | None = None
        self._pages_then = 0
        """The log when it was last found whole: its size and the time of its last change, and how many pages it has."""
        self._mode = header(connection)[WRITTEN_BY]
        self._size = 0
        self._written_ns = 0
        self._lost: str | None = None
        self.check()

    def check(self) -> None:
        """Raises StorageError if the ledger, its log or the log's index was moved, removed, replaced or linked."""
        self.check_ledger()
        self.check_log(if_changed=True)
        now_s = time.monotonic()
        if self._index is not None and now_s - self._index_seen_s >= INDEX_EVERY_S:
            self._same(self._index)
            self._index_seen_s = now_s

    def check_log(self, *, if_changed: bool = False) -> int:
        """The same check for the log alone, which must agree with its index. Returns the number of pages in it.

        Within a transaction, where nothing may be written, and while a writer is just changing the index, only the
        start of the log is checked. `if_changed`: a log that nobody has written to since the last check counts as
        whole; a change in the same tick of the system's clock may be missed, so what was written is checked without it.
        """
        if self._log is None:
            return 0
        for _ in range(LOOKS_AT_LOG):
            found = self._same(self._log)
            size, state = found.st_size, (found.st_size, found.st_ctime_ns)
            if if_changed and state == self._log_then:
                return self._pages_then
            try:
                pages, _ = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
            except (apsw.BusyError, apsw.LockedError, apsw.ReadOnlyError):
                pages = 0
                head = self._log_head()
                is_whole = not size or head[:4] in LOG_MAGIC or head == self._unused_head
            else:
                self._unused_head = self._log_head() if size and pages <= 0 else None
                is_whole = pages <= 0 or self._holds(pages, size)
                if is_whole:
                    self._log_then, self._pages_then = state, pages
            if is_whole:
                return pages
            # Other processes truncate and restart the log too: the check repeats until all its values are of one
            # moment.
        return self._lose(f"{self._log} was cut or overwritten while it was in use")

    def _holds(self, pages: int, size: int) -> bool:
        """Whether the log has this many pages, and the last of them belongs to its header."""
        last = LOG_HEADER_BYTES + (pages - 1) * (FRAME_HEADER_BYTES + self._page_bytes)
        if size < last + FRAME_HEADER_BYTES + self._page_bytes:
            return False
        head, frame = self._log_head(), self._connection.read("main", 1, last, FRAME_HEADER_BYTES)[1]
        return head[:4] in LOG_MAGIC and head[SALTS_OF_LOG] == frame[SALTS_OF_FRAME]

    def _log_head(self) -> bytes:
        """The start of the log, where its header is."""
        return self._connection.read("main", 1, 0, LOG_HEADER_BYTES)[1]

    def _same(self, beside: _Beside) -> os.stat_result:
        found = _stat(beside.name)
        if found is None or identity_of(found) != beside.file:
            self._lose(f"{beside} was moved, removed or replaced while it was in use")
        return found

    def check_ledger(self) -> None:
        """The same check for the ledger's name alone."""
        if self._lost is not None:
            self._lose(self._lost)
        try:
            found = os.stat(self._path)  # noqa: PTH116  (likewise)
        except (FileNotFoundError, NotADirectoryError):
            self._lose("the ledger file was moved or removed while it was in use")
        except OSError as error:
            raise StorageError(f"cannot access the ledger: {error.strerror}: {self._path}", hint=PUT_BACK) from None
        if identity_of(found) != self.file:
            self._lose(REPLACED)
        if found.st_nlink > 1:
            raise _linked(self._path)
        if (found.st_mtime_ns, found.st_size) != (self._written_ns, self._size):
            self._check_content(found)

    def _check_content(self, found: os.stat_result) -> None:
        """Check a file that was written to: a checkpoint never shortens it, and leaves it in WAL mode.

        One read may be wrong, so the mode is read a second time.
        """
        is_other = self._mode == BY_LOG and all(header(self._connection)[WRITTEN_BY] != BY_LOG for _ in range(2))
        if found.st_size < self._size or is_other:
            self._lose("the ledger file was overwritten by another program while it was in use")
        self._written_ns, self._size = found.st_mtime_ns, found.st_size

    def _lose(self, what: str) -> NoReturn:
        self._lost = what
        raise FileGone(f"{what}: {self._path}", hint=PUT_BACK)


def beside(path: Path, ending: str) -> Path:
    """The file of a ledger with that ending: `wallet.db-wal`, `wallet.db.lock`."""
    return path.parent / (path.name + ending)


def has_something(path: Path) -> bool:
    """Whether a file exists and is not empty. Raises StorageError if that cannot be found out."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}", hint="check its permissions") from None


def header(connection: apsw.Connection) -> bytes:
    """The first bytes of a connection's file itself, without its log."""
    return connection.read("main", 0, 0, HEADER_BYTES)[1]
