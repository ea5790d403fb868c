"""Opening a ledger in a file to read it alone: what is there stays as it is, to the byte.

A ledger at rest is one file. SQLite reads it by way of two more, `-wal` and `-shm`, which it makes for that and takes
away again: so it is read where the folder may be written. Where it may not be (a backup on a read-only disk, somebody
else's ledger), the file is read by itself, as one that nobody changes, and whether that was so is asked at the end.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import apsw

from wallet_cli.errors import StorageError
from wallet_cli.storage import sql
from wallet_cli.storage.in_place import UNFINISHED, Identity, beside, has_something, identity_of
from wallet_cli.storage.last_commit import LastCommit, check_not_older
from wallet_cli.storage.sqlite import SqliteStore, connect, open_file, translating, upgrade


class _FileAlone(SqliteStore):
    """A ledger that is read with no lock on it, because none can be had.

    Whoever may write it can do so meanwhile. What they commit goes into a log beside the file, which is not looked at:
    what is read is as of the opening. But when they bring the log into the file, pages could be read of two moments.
    So the file has to be the same at the end; else what was read is no answer.
    """

    def __init__(self, path: Path, busy_timeout_s: float) -> None:
        self._before = _state(path)
        super().__init__(path, connect(path, busy_timeout_s, apsw.SQLITE_OPEN_READONLY, "?immutable=1"))

    def close(self) -> None:
        super().close()
        if _state(self.path) != self._before:
            raise StorageError(f"somebody wrote to the ledger while it was read: {self.path}", hint="read it again")


def open_to_read(
    path: Path, busy_timeout_s: float, notify: Callable[[str], None], last_commit: LastCommit | None = None
) -> SqliteStore:
    """Open the ledger in a file that is there; of an older schema, a copy in this program's, which goes when closed.

    `notify` is told of a copy. Raises StorageError for what is no ledger, is newer, or cannot be read as it is.
    """
    with translating(path):
        store = _opened(path, busy_timeout_s, last_commit)
        try:
            version = store.version()
            if version < sql.SCHEMA_VERSION:
                check_not_older(version, last_commit, str(path))
                store = _copied(store)
                notify(
                    f"this ledger has schema {version}, and is read in a copy that has {sql.SCHEMA_VERSION}:"
                    " the next command that writes migrates it"
                )
            store.forbid_writes()
        except BaseException:
            store.connection.close()
            raise
    return store


def _opened(path: Path, busy_timeout_s: float, last_commit: LastCommit | None) -> SqliteStore:
    """The ledger by a connection that has begun to read, one way or the other."""
    before = identity_of(path.stat())
    unfinished = [path.name + ending for ending in UNFINISHED if has_something(beside(path, ending))]
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK):
        # What a program that was killed left there is read where it is: the last to close does not tidy it up.
        store = _begun(path, busy_timeout_s, before, last_commit, tidy=not unfinished)
        if store is not None:
            return store
    if not unfinished:
        alone = _FileAlone(path, busy_timeout_s)
        alone.watch_files(before, log=False)
        return alone
    # Somebody is writing to it, or was killed: SQLite can read it if what they keep beside it is there and readable.
    store = _begun(path, busy_timeout_s, before, last_commit, apsw.SQLITE_OPEN_READONLY, tidy=False)
    if store is None:
        raise StorageError(
            f"a part of this ledger is in {unfinished[0]}, which cannot be read where nothing may be written: {path}",
            hint=f"copy {path.name} and {unfinished[0]} to a folder that you may write to, and read it there",
        )
    return store


def _begun(
    path: Path,
    busy_timeout_s: float,
    before: Identity,
    last_commit: LastCommit | None,
    flags: int = apsw.SQLITE_OPEN_READWRITE,
    *,
    tidy: bool,
) -> SqliteStore | None:
    """A store that has begun to read; None where SQLite cannot, as what it needs beside the file cannot be made.

    That is tried, because what may be written is not only a matter of permissions, which are asked before.
    """
    store = open_file(path, busy_timeout_s, last_commit, flags)
    try:
        if not tidy:
            store.connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        store.connection.execute("PRAGMA schema_version").fetchall()
        store.watch_files(before)
    except (apsw.CantOpenError, apsw.ReadOnlyError):
        store.connection.close()
        return None
    except BaseException:
        store.connection.close()
        raise
    return store


def _copied(store: SqliteStore) -> SqliteStore:
    """The ledger as it would be once migrated, in a temporary file of SQLite's: small ones stay in memory."""
    copy = SqliteStore(store.path, apsw.Connection(""))
    copy.is_copy = True
    try:
        with copy.connection.backup("main", store.connection, "main") as backup:
            backup.step()
        store.close()
        upgrade(copy.connection)
    except BaseException:
        copy.connection.close()
        raise
    return copy


def _state(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
