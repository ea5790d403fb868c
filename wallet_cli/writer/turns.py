"""The lock of this system: the kernel's where there is one, else one that polls."""

from __future__ import annotations

from pathlib import Path

from wallet_cli.writer import file_lock
from wallet_cli.writer.file_lock import TurnLock


def turn_lock(path: Path) -> TurnLock:
    """The lock of a ledger; `path` is a file of its own beside it."""
    if file_lock.HAVE_FLOCK:
        return TurnLock(path)
    from wallet_cli.writer.polling_lock import PollingTurnLock

    return PollingTurnLock(path)
