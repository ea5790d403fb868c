"""A buffer between an answer and a slow reader, so that the snapshot can close early.

An open snapshot prevents the reuse of SQLite's log: the log would grow with every write while a reader pauses.
"""

from __future__ import annotations

import zlib
from struct import Struct
from tempfile import SpooledTemporaryFile

MEMORY_BYTES = 4 * 1024 * 1024
"""How much stays in memory, compressed; the rest is in an unnamed temporary file."""

MAX_BYTES = 1024 * 1024 * 1024
LENGTH = Struct("!I")


class Spool:
    """Parts of an answer, in order, each compressed, after its length. For one thread at a time."""

    def __init__(self, folder: str | None = None) -> None:
        """`folder` is for the temporary file; None for the system's folder."""
        self._file: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(MEMORY_BYTES, dir=folder)  # noqa: SIM115
        self._read_to = self._written_to = 0

    @property
    def is_empty(self) -> bool:
        return self._read_to == self._written_to

    def put(self, part: bytes) -> bool:
        """Store a part. Returns whether it fits within MAX_BYTES. Raises OSError if the disk is full."""
        packed = zlib.compress(part, 1)
        if self._written_to + len(packed) > MAX_BYTES:
            return False
        self._file.seek(self._written_to)
        self._written_to += self._file.write(LENGTH.pack(len(packed)) + packed)
        return True

    def take(self) -> bytes:
        """Remove and return the oldest part; there must be one. Space is freed when nothing is left."""
        self._file.seek(self._read_to)
        (length,) = LENGTH.unpack(self._file.read(LENGTH.size))
        part = zlib.decompress(self._file.read(length))
        self._read_to += LENGTH.size + length
        if self.is_empty:
            self.clear()
        return part

    def clear(self) -> None:
        """Drop all parts."""
        self._read_to = self._written_to = 0
        self._file.seek(0)
        self._file.truncate()
