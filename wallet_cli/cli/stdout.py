"""Stdout, and what is known where printing is done alone: that it takes nothing, or that nobody reads it."""

from __future__ import annotations

import io
import sys
from typing import Any


class UnwritableError(OSError):
    """Stdout takes nothing: the disk behind it is full, say."""


class ReaderLeftError(BrokenPipeError):
    """Nobody reads stdout any more."""


class FilterError(Exception):
    """A jq program stopped at the answer that it was given; the message is jq's own."""


class Stdout(io.FileIO):
    """Stdout below its buffer: a failure to write is distinguished from every other failure of a file."""

    def write(self, data: Any, /) -> int:
        try:
            while (count := super().write(data)) is None:
                await_room(self.fileno())
            return count
        except OSError as error:
            raise unprintable(error) from error


def await_room(descriptor: int) -> None:
    """Wait until somebody has read some of what is in a pipe or terminal: another program has made it non-blocking."""
    import select

    select.select([], [descriptor], [])


def unprintable(error: OSError) -> UnwritableError | ReaderLeftError:
    """The error of writing to stdout, distinct from every other failure of a file."""
    kind = ReaderLeftError if isinstance(error, BrokenPipeError) else UnwritableError
    return kind(error.errno, error.strerror)


def watch_stdout() -> None:
    """Make every failed write to stdout raise UnwritableError or ReaderLeftError."""
    usual: Any = sys.stdout
    unbuffered = isinstance(usual.buffer, io.FileIO)  # PYTHONUNBUFFERED
    if not (unbuffered or type(getattr(usual.buffer, "raw", None)) is io.FileIO):
        return  # a console of Windows, which is written to in another way
    raw = Stdout(usual.fileno(), "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        raw if unbuffered else io.BufferedWriter(raw),
        encoding=usual.encoding,
        errors=usual.errors,
        line_buffering=usual.line_buffering,
        write_through=unbuffered,
    )
