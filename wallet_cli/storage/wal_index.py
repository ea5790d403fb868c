"""Room on the disk for the index of SQLite's log, before SQLite writes to it in memory.

SQLite maps the file `-shm` into memory, and has one byte in each 4096 written first so that the disk has room for it.
Where the blocks of a file system are smaller, that is room for one block in several: on a full disk the next write to
that memory ends the process by SIGBUS. There the whole file is allocated first, here.

The first to open a ledger cuts the file to nothing, and knows that it is the first by a lock on one byte of it. So that
lock is taken here before SQLite looks for it. It has to be one of Linux's open-file-description locks, as SQLite does
not see those of its own process else. And the file stays open here: closing it would drop SQLite's locks on it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wallet_cli.errors import StorageError
from wallet_cli.storage.byte_locks import lock, lock_if_free, unlock
from wallet_cli.storage.folders import give_to_owner
from wallet_cli.storage.in_place import beside

FIRST_BYTE = 128
"""What SQLite locks to know whether it is the first to open the index (UNIX_SHM_DMS)."""

REGION_BYTES, REGION_FRAMES = 32_768, 4096
"""The index grows by regions, each for so many pages of the log."""

FRAME_BYTES = 4096 + 24
MARGIN_FRAMES = 3 * REGION_FRAMES
"""How many pages the log may grow by before there is made room again: more than any one batch writes."""

_open: dict[Path, int] = {}
"""The descriptors of the indexes that this process has made room for."""


@contextmanager
def room_made(path: Path) -> Iterator[None]:
    """Allocate the index of the ledger at `path`, for its log as it is and a margin, and keep it through the block.

    In the block SQLite takes its own lock on it. Raises StorageError where the disk has no room.
    """
    index = beside(path, "-shm")
    try:
        fd = _descriptor(index, path)
        if lock_if_free(fd, FIRST_BYTE):
            os.ftruncate(fd, 0)  # as SQLite does: what somebody left there who was killed is not to be believed
        try:
            log = beside(path, "-wal")
            frames = log.stat().st_size // FRAME_BYTES if log.exists() else 0
            os.posix_fallocate(fd, 0, (1 + (frames + MARGIN_FRAMES) // REGION_FRAMES) * REGION_BYTES)
            lock(fd, FIRST_BYTE, fcntl.F_RDLCK)
            yield
        finally:
            # Who closes the ledger last tidies up, and would take this for the lock of somebody else.
            unlock(fd, FIRST_BYTE)
    except OSError as error:
        raise StorageError(f"cannot make room for {index}: {error.strerror}", hint="free some space") from error


def _descriptor(index: Path, path: Path) -> int:
    """The open index: the one that this process has, if it is still there, else as SQLite would make it."""
    known = _open.get(index)
    if known is not None:
        if index.exists() and os.path.samestat(os.fstat(known), index.stat()):
            return known
        # SQLite has removed it, as the last one who had it open.
        os.close(_open.pop(index))
    fd = os.open(index, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, path.stat().st_mode & 0o777)
    _open[index] = fd
    if os.fstat(fd).st_size == 0:
        give_to_owner(fd, path)
    return fd
