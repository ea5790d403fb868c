"""Locks on one byte of a file that belong to an open file, not to a process. Only Linux has them."""

from __future__ import annotations

import fcntl
import os
import struct


def lock(fd: int, byte: int, kind: int = fcntl.F_WRLCK) -> None:
    """Lock a byte for the open file of `fd`; waits until it is free."""
    fcntl.fcntl(fd, fcntl.F_OFD_SETLKW, _range(kind, byte))


def lock_if_free(fd: int, byte: int) -> bool:
    """Lock a byte for the open file of `fd` alone; False if another has it."""
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _range(fcntl.F_WRLCK, byte))
    except BlockingIOError:
        return False
    return True


def unlock(fd: int, byte: int) -> None:
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _range(fcntl.F_UNLCK, byte))


def _range(kind: int, byte: int) -> bytes:
    """Linux's `struct flock` for one byte: type, whence (from the start), start, length, process id (none)."""
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0)
