"""What waits for whoever reads an answer more slowly than it is made, so that its snapshot need not.

A snapshot that is open keeps SQLite's log from being used again: it would grow with every write, for as long as a
reader does not read on.
"""

from __future__ import annotations

import zlib
from struct import Struct
from tempfile import SpooledTemporaryFile

MEMORY_BYTES = 4 * 1024 * 1024
"""How much is kept in memory, compressed; the rest is in an unnamed temporary file."""

MAX_BYTES = 1024 * 1024 * 1024
LENGTH = Struct("!I")


class Spool:
    """Parts of an answer, in order, each compressed behind its length. For one thread at a time."""

    def __init__(self, folder: str | None = None) -> None:
        """`folder` is where the temporary file may be made; None for where the system has them."""
        self._file: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(MEMORY_BYTES, dir=folder)  # noqa: SIM115
        self._read_to = self._written_to = 0

    @property
    def is_empty(self) -> bool:
        return self._read_to == self._written_to

    def put(self, part: bytes) -> bool:
        """Keep a part; whether there was room for it within MAX_BYTES. Raises OSError where the disk has none."""
        packed = zlib.compress(part, 1)
        if self._written_to + len(packed) > MAX_BYTES:
            return False
        self._file.seek(self._written_to)
        self._written_to += self._file.write(LENGTH.pack(len(packed)) + packed)
        return True

    def take(self) -> bytes:
        """The oldest part; there has to be one. What has been taken is given back once nothing is left."""
        self._file.seek(self._read_to)
        (length,) = LENGTH.unpack(self._file.read(LENGTH.size))
        part = zlib.decompress(self._file.read(length))
        self._read_to += LENGTH.size + length
        if self.is_empty:
            self.clear()
        return part

    def clear(self) -> None:
        """Forget what waits."""
        self._read_to = self._written_to = 0
        self._file.seek(0)
        self._file.truncate()
