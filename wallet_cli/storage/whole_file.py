"""A database file that is complete or not there: created under another name, synced to the disk, then renamed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import apsw

from wallet_cli.errors import StorageError
from wallet_cli.storage.folders import give_name, give_to_owner, make_like, sync, sync_name
from wallet_cli.storage.in_place import BESIDE, beside, has_something
from wallet_cli.storage.sqlite import SqliteStore, connect, is_failed_read, read_failed, translating

NOT_LINKED = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW
"""For a file just created: another user of the folder could replace it by a link."""

PAGES_A_STEP = 2048
"""How much of a ledger is copied between two progress reports: 8 MiB."""

Check = Callable[[Path], None]
Change = Callable[[apsw.Connection], None]
"""Changes a copy before it is complete."""

Watch = Callable[[int, int], None]
"""Called while a ledger is copied: how many pages are done, and the total."""


def _unchecked(_: Path) -> None:
    """Checks nothing."""


def _unchanged(_: apsw.Connection) -> None:
    """Changes nothing."""


def _unwatched(_done: int, _total: int) -> None:
    """Reports nothing."""


@contextmanager
def made_whole(
    path: Path, owned_as: Path, check: Check = _unchecked, name: Path | None = None
) -> Iterator[apsw.Connection]:
    """A connection to a new database, which is at `path` on the disk when the `with` block ends without an error.

    It gets the group and mode of the file that it replaces; if root creates it, the owner too. Where there is no such
    file, or an empty one, what root creates gets the owner of the file `owned_as` or, if there is none, of its folder.
    `check` reads the whole file before it gets its name, and raises if something is wrong.
    It is created under another name, and without a log: closing a connection merges the log into the file, and does not
    report a failure. `name` is that other name, needed if no turn keeps other processes away. Raises OSError where
    nothing is made or replaced, and NotSynced for a file that has its name. SQLite's exceptions are translated.
    """
    new = name or beside(path, ".new")
    try:
        _remove(new)
        fd = os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            if has_something(path):
                make_like(fd, path)
            else:
                give_to_owner(fd, owned_as)
        finally:
            os.close(fd)
        with translating(new):
            connection = connect(new, 0.0, NOT_LINKED)
            try:
                # The file is synced once, when it is whole.
                connection.execute("PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF")
                yield connection
            finally:
                connection.close()
        sync(new)
        check(new)
        for suffix in (*BESIDE, "-journal"):
            # Left by a database that was deleted without them: SQLite would merge its log into the new one.
            beside(path, suffix).unlink(missing_ok=True)
        if name is None:
            new.replace(path)
            sync_name(path)
        else:
            give_name(new, path)  # another process may have been first: its file stays
            try:
                sync(path.parent)
            except OSError:
                path.unlink()  # it replaced nothing
                raise
    except BaseException:
        with suppress(OSError):  # it does no harm, and the next process to create a ledger here removes it
            _remove(new)
        raise


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Damage that is met in a copy is damage of the file that was copied."""
    try:
        yield
    except apsw.CorruptError:
        with translating(path):
            raise


def back_up(
    store: SqliteStore,
    target: Path,
    check: Check = _unchecked,
    watch: Watch = _unwatched,
    name: Path | None = None,
    change: Change = _unchanged,
    owned_as: Path | None = None,
) -> None:
    """Copy a live ledger through SQLite: copying the file itself would miss what is still in the log.

    `owned_as` is as in `made_whole`: by default, the ledger that is copied.
    It shows one moment, while others write. The copy has no log, so it can be read from a read-only folder.
    """
    with made_whole(target, owned_as or store.path, check, name) as copy, store.snapshot(), _named(store.path):
        store.version()  # the first read starts the snapshot
        try:
            with copy.backup("main", store.connection, "main") as backup:
                while not backup.done:
                    backup.step(PAGES_A_STEP)
                    watch(backup.page_count - backup.remaining, backup.page_count)
        except apsw.IOError as error:
            if is_failed_read(error):  # the copy is only written
                raise read_failed(store.path) from error
            raise
        change(copy)
        copy.execute("PRAGMA journal_mode=DELETE")


def check_complete(path: Path, ledger_id: str) -> None:
    """Raises StorageError for a file that is plainly not the whole of a ledger: its size is not what its header says,
    or it is another ledger. Nothing else is read, and no lock is taken.
    """
    with translating(path), closing(connect(path, 0.0, apsw.SQLITE_OPEN_READONLY, "?immutable=1")) as connection:
        SqliteStore(path, connection).version()
        size = connection.pragma("page_count") * connection.pragma("page_size")
        if path.stat().st_size != size:
            raise StorageError(f"its size is not the {size} bytes of its header: {path}")
        if connection.execute("SELECT uuid FROM ledger").fetchone() != (ledger_id,):
            raise StorageError(f"this is another ledger: {path}")


def _remove(path: Path) -> None:
    """Remove a database file that nobody has open, and SQLite's files beside it."""
    for suffix in ("", *BESIDE, "-journal"):
        beside(path, suffix).unlink(missing_ok=True)
