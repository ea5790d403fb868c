"""Who orders the writers: the kernel's lock where there is one, else one that polls; or the database itself."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from wallet_cli.domain.commands import Change
from wallet_cli.engine import write_lock
from wallet_cli.engine.write_lock import Time, WriteLock
from wallet_cli.storage.bulk_copy import BulkCopy


def open_write_lock(path: Path) -> WriteLock:
    """The lock of a ledger; `path` is a file of its own beside it."""
    if write_lock.HAVE_FLOCK:
        return WriteLock(path)
    from wallet_cli.engine.polling_lock import PollingWriteLock

    return PollingWriteLock(path)


class RowLocks:
    """Turns where the database gives them: a batch locks its wallets' rows, and others go on beside it."""

    def turn(self, timeout_s: float, command: str) -> AbstractContextManager[None]:
        """Nothing to wait for here."""
        return nullcontext()

    def note(self, store: BulkCopy, committed: Change | None, time: Time | None = None, *, again: bool = False) -> None:
        """A server keeps its log itself."""
