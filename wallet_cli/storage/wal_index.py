"""Disk space for the index of SQLite's log, allocated before SQLite writes to the index in memory.

SQLite maps the file `-shm` into memory, and first writes one byte in each 4096 to allocate its disk space. On a file
system with smaller blocks, that allocates only one block in several: on a full disk the next write to that memory ends
the process with SIGBUS. There this module allocates the whole file first.

The first process to open a ledger truncates the file, and knows that it is the first by a lock on one byte. This module
takes that lock before SQLite looks for it. It must be one of Linux's open-file-description locks, because SQLite does
not see other kinds of locks in its process. The file stays open here: closing it would drop SQLite's locks on it.
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
"""The byte that SQLite locks to find out whether it is the first to open the index (UNIX_SHM_DMS)."""

REGION_BYTES, REGION_FRAMES = 32_768, 4096
"""The index grows in regions, each for this many pages of the log."""

FRAME_BYTES = 4096 + 24
MARGIN_FRAMES = 3 * REGION_FRAMES
"""How many pages the log may grow before more space is allocated: more than any one batch writes."""

_open: dict[Path, int] = {}
"""The descriptors of the indexes for which this process has allocated space."""


@contextmanager
def room_made(path: Path) -> Iterator[None]:
    """Allocate the index of the ledger at `path`, for its present log and a margin, and keep it during the block.

    In the block SQLite takes its own lock on it. Raises StorageError if the disk is full.
    """
    index = beside(path, "-shm")
    try:
        fd = _descriptor(index, path)
        if lock_if_free(fd, FIRST_BYTE):
            os.ftruncate(fd, 0)  # as SQLite does: content left by a killed process cannot be trusted
        try:
            log = beside(path, "-wal")
            frames = log.stat().st_size // FRAME_BYTES if log.exists() else 0
            os.posix_fallocate(fd, 0, (1 + (frames + MARGIN_FRAMES) // REGION_FRAMES) * REGION_BYTES)
            lock(fd, FIRST_BYTE, fcntl.F_RDLCK)
            yield
        finally:
            # The last process to close the ledger removes the file, and would take this lock for another process's.
            unlock(fd, FIRST_BYTE)
    except OSError as error:
        raise StorageError(f"cannot make room for {index}: {error.strerror}", hint="free some space") from error


def _descriptor(index: Path, path: Path) -> int:
    """The open index: this process's own, if the file still exists, else a new one, created as SQLite does it."""
    known = _open.get(index)
    if known is not None:
        if index.exists() and os.path.samestat(os.fstat(known), index.stat()):
            return known
        # SQLite has removed it, as the last process that had it open.
        os.close(_open.pop(index))
    fd = os.open(index, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, path.stat().st_mode & 0o777)
    _open[index] = fd
    if os.fstat(fd).st_size == 0:
        give_to_owner(fd, path)
    return fd
