"""What orders the writers: the kernel's lock if there is one, else a polling lock; or the database itself."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from wallet_cli.domain.commands import Change
from wallet_cli.engine import write_lock
from wallet_cli.engine.write_lock import Time, WriteLock
from wallet_cli.storage.bulk_copy import BulkCopy


def open_write_lock(path: Path) -> WriteLock:
    """The lock of a ledger; `path` is a separate file beside it."""
    if write_lock.HAVE_FLOCK:
        return WriteLock(path)
    from wallet_cli.engine.polling_lock import PollingWriteLock

    return PollingWriteLock(path)


class RowLocks:
    """Turns of a database: a batch locks its wallets' rows, and other batches run at the same time."""

    def turn(self, timeout_s: float, command: str) -> AbstractContextManager[None]:
        """Does not wait: the rows are locked later."""
        return nullcontext()

    def note(self, store: BulkCopy, committed: Change | None, time: Time | None = None, *, again: bool = False) -> None:
        """Does nothing: a server keeps its log itself."""
