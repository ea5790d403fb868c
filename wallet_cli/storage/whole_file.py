"""A database file that is there whole or not at all: made under another name, brought to the disk, and then renamed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw

from wallet_cli.storage.folders import give_to_owner, sync
from wallet_cli.storage.in_place import BESIDE, beside
from wallet_cli.storage.sqlite import SqliteStore, connect, translating

NOT_LINKED = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW
"""For a file just made, which somebody else who may write to the folder could put a link in the place of."""

PAGES_A_STEP = 2048
"""How much of a ledger is copied between two looks at who waits to be told: 8 MiB."""

Check = Callable[[Path], None]
Watch = Callable[[int, int], None]
"""Told, while a ledger is copied, how many pages are done, and of how many."""


def _unchecked(_: Path) -> None:
    """What SQLite has written needs no second look."""


def _unwatched(_done: int, _total: int) -> None:
    """Nobody waits to be told."""


@contextmanager
def made_whole(
    path: Path, owned_as: Path, check: Check = _unchecked, name: Path | None = None
) -> Iterator[apsw.Connection]:
    """A connection to a new database, which is at `path` on the disk once the `with` block has ended well.

    Where root makes it, it belongs to whoever the file `owned_as` belongs to, if that is there. `check` looks at the
    whole file before it gets its name, and raises what speaks against it.
    It is made under another name, and without a log: closing a connection brings the log into the file, and does not
    say when it cannot. `name` is that other name, where no turn keeps others from it. Raises OSError; what SQLite
    raises is translated.
    """
    new = name or beside(path, ".new")
    try:
        _remove(new)
        fd = os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        with suppress(FileNotFoundError):
            give_to_owner(fd, owned_as)
        os.close(fd)
        with translating(new):
            connection = connect(new, 0.0, NOT_LINKED)
            try:
                connection.execute("PRAGMA journal_mode=MEMORY")
                yield connection
            finally:
                connection.close()
        sync(new)
        check(new)
        for suffix in (*BESIDE, "-journal"):
            # Left by a database that was deleted without them: SQLite would bring its log into the new one.
            beside(path, suffix).unlink(missing_ok=True)
        new.replace(path)
        sync(path.parent)
    except BaseException:
        with suppress(OSError):  # it is in nobody's way, and the next one to make a ledger here removes it
            _remove(new)
        raise


def back_up(
    store: SqliteStore,
    target: Path,
    check: Check = _unchecked,
    watch: Watch = _unwatched,
    name: Path | None = None,
) -> None:
    """Copy a live ledger through SQLite: copying the file itself would miss what is still in the log.

    It is of one moment, while others write; the copy has no log, so it can be read where nothing may be written.
    """
    with made_whole(target, store.path, check, name) as copy, store.snapshot():
        store.version()  # a snapshot begins with what is read first
        with copy.backup("main", store.connection, "main") as backup:
            while not backup.done:
                backup.step(PAGES_A_STEP)
                watch(backup.page_count - backup.remaining, backup.page_count)
        copy.execute("PRAGMA journal_mode=DELETE")


def _remove(path: Path) -> None:
    """Remove a database file that nobody has open, and what SQLite keeps beside it."""
    for suffix in ("", *BESIDE, "-journal"):
        beside(path, suffix).unlink(missing_ok=True)
