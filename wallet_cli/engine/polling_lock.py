"""Turns on systems without `fcntl`: the `filelock` package, which polls.

Waits are longer and less even than with the kernel's lock (bench/turns.py prints both), but the promise is the same:
one turn at a time, released when its holder dies.
"""

from __future__ import annotations

import os
from pathlib import Path

import filelock

from wallet_cli.engine.write_lock import WriteLock

POLL_S = 0.01


class PollingWriteLock(WriteLock):
    """Like WriteLock, but the lock is on a second file, because on Windows others cannot read a locked file."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._lock = filelock.FileLock(f"{path}.poll", mode=0o600, thread_local=False)

    def _take(self, fd: int, timeout_s: float) -> bool:
        try:
            self._lock.acquire(timeout=timeout_s, poll_interval=POLL_S)
        except filelock.Timeout:
            return False
        return True

    def _give_up(self, fd: int) -> None:
        os.close(fd)
        self._lock.release()
