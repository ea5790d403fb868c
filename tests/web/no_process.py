"""Imported by the program of long reads: its first fork fails, as where no process is free."""

from __future__ import annotations

import errno
import os

_fork = os.fork


def fails() -> int:
    os.fork = _fork
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


os.fork = fails
