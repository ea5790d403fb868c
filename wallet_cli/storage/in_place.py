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
from typing import TYPE_CHECKING

from wallet_cli.errors import StorageError

if TYPE_CHECKING:
    import apsw

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
        names = [self._path + suffix for suffix in BESIDE] if log else []
        self._beside = [(name, known) for name in names if (known := _at(name)) is not None]
        self._index_seen_s = 0.0
        self._mode = header(connection)[WRITTEN_BY]
        self._size = 0
        self._written_ns = 0
        self._lost: str | None = None
        self.check()

    def check(self) -> None:
        """Raises StorageError where the ledger, its log or the log's index was moved, removed, replaced or linked."""
        self.check_ledger()
        now_s = time.monotonic()
        all_of_them = now_s - self._index_seen_s >= INDEX_EVERY_S
        for name, known in self._beside if all_of_them else self._beside[:1]:
            if _at(name) != known:
                self._lose(f"{Path(name).name} was moved, removed or replaced while it was in use")
        if all_of_them:
            self._index_seen_s = now_s

    def check_ledger(self) -> None:
        """The same of the ledger's own name alone."""
        if self._lost is not None:
            self._lose(self._lost)
        try:
            found = os.stat(self._path)  # noqa: PTH116  (in each turn; a Path takes half as long again)
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

    def _lose(self, what: str) -> None:
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


def _at(name: str) -> Identity | None:
    """The file of that name; None where there is none, or it cannot be seen."""
    try:
        return identity_of(os.stat(name))  # noqa: PTH116  (likewise)
    except OSError:
        return None


def header(connection: apsw.Connection) -> bytes:
    """The first bytes of a connection's file itself, not as its log has them."""
    return connection.read("main", 0, 0, HEADER_BYTES)[1]
