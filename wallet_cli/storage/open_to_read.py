"""Opening a ledger in a file for reading only: not a byte of it changes.

An unused ledger is one file. SQLite reads it with two more files, `-wal` and `-shm`, which it creates and removes
again; for that, the folder must be writable. If it is not (a backup on a read-only disk, another user's ledger), the
file is read alone, on the assumption that nobody changes it. The end of the read checks whether that was true.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import apsw

from wallet_cli.domain.model import LedgerFacts
from wallet_cli.errors import StorageError
from wallet_cli.storage import sql
from wallet_cli.storage.in_place import (
    BESIDE,
    NO_LOG,
    UNFINISHED,
    WRITTEN_BY,
    Identity,
    beside,
    check_one_name,
    has_something,
    header,
    identity_of,
)
from wallet_cli.storage.last_commit import LastCommit, check_not_older
from wallet_cli.storage.sqlite import SqliteStore, connect, make, open_file, translating, upgrade


class _FileAlone(SqliteStore):
    """A ledger that is read without a lock, because no lock is possible.

    Others may write to it at the same time. Their commits go to a log beside the file, which is not read: the read sees
    the file as of the opening. But when they merge the log into the file, pages of two moments could be read. So the
    file must be the same at the end; otherwise the read fails.
    """

    def __init__(self, path: Path, busy_timeout_s: float) -> None:
        self._before = _state(path)
        super().__init__(path, connect(path, busy_timeout_s, apsw.SQLITE_OPEN_READONLY, "?immutable=1"))

    def close(self) -> None:
        super().close()
        if _state(self.path) != self._before:
            raise StorageError(
                f"another program wrote to the ledger while it was read: {self.path}", hint="read it again"
            )


def open_to_read(
    path: Path, busy_timeout_s: float, notify: Callable[[str], None], last_commit: LastCommit | None = None
) -> SqliteStore:
    """Open the ledger in an existing file. With an older schema, open a migrated copy, which is deleted when closed.

    `notify` is told about a copy. Raises StorageError if it is not a ledger, is newer, or cannot be read as it is.
    """
    with translating(path):
        store = _opened(path, busy_timeout_s, last_commit)
        try:
            version = store.version()
            if version < sql.SCHEMA_VERSION:
                check_not_older(version, last_commit, str(path))
                store = temporary(path, store)
                notify(
                    f"this ledger has schema {version}; reading a copy migrated to schema {sql.SCHEMA_VERSION}:"
                    " the next command that writes migrates it"
                )
            store.forbid_writes()
        except BaseException:
            store.connection.close()
            raise
    return store


def _opened(path: Path, busy_timeout_s: float, last_commit: LastCommit | None) -> SqliteStore:
    """The ledger, with a connection that has begun to read, in one of the two ways."""
    found = path.stat()
    before = identity_of(found)
    unfinished = [path.name + ending for ending in UNFINISHED if has_something(beside(path, ending))]
    if found.st_nlink > 1 and not unfinished:
        alone = _FileAlone(path, busy_timeout_s)
        if header(alone.connection)[WRITTEN_BY] == NO_LOG:
            return alone  # a finished backup: nobody has its log, so it may have more names (`rsync --link-dest`)
        alone.connection.close()
    check_one_name(path, found)
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK):
        # The files of a killed program are read where they are; closing does not remove them.
        store = _begun(path, busy_timeout_s, before, last_commit, tidy=not unfinished)
        if store is not None:
            return store
    if not unfinished:
        alone = _FileAlone(path, busy_timeout_s)
        alone.watch_files(before, log=False)
        return alone
    # A writer is running, or was killed: SQLite can read the ledger if the writer's other files are readable.
    store = _begun(path, busy_timeout_s, before, last_commit, apsw.SQLITE_OPEN_READONLY, tidy=False)
    if store is None:
        raise _cannot_read(path, found, unfinished[0])
    return store


def _cannot_read(path: Path, found: os.stat_result, unfinished: str) -> StorageError:
    """Why a ledger with an unfinished part beside it cannot be read: the rights of the files, or of the folder."""
    there = [each for each in (beside(path, ending) for ending in (*BESIDE, "-journal")) if each.exists()]
    shut = [each.name for each in there if not os.access(each, os.R_OK)]
    if shut:
        command = f"chmod {stat.S_IMODE(found.st_mode):o} {' '.join(shut)}"
        return StorageError(
            f"a part of this ledger is in {unfinished}, and this user may not read {' and '.join(shut)}: {path}",
            hint=f"give the rights of the ledger to the files beside it, as their owner: {command}",
        )
    return StorageError(
        f"a part of this ledger is in {unfinished}, which cannot be read because its folder is not writable: {path}",
        hint=f"copy {path.name} and {unfinished} to a writable folder, and read it there",
    )


def _begun(
    path: Path,
    busy_timeout_s: float,
    before: Identity,
    last_commit: LastCommit | None,
    flags: int = apsw.SQLITE_OPEN_READWRITE,
    *,
    tidy: bool,
) -> SqliteStore | None:
    """A store that has begun to read; None if SQLite cannot, because it cannot create the files that it needs.

    This is tried out: permissions, which are checked before, are not the only reason why a folder is not writable.
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


def temporary(
    path: Path,
    source: SqliteStore | None = None,
    facts: LedgerFacts = LedgerFacts(),  # noqa: B008  (a tuple)
    actor: str | None = None,
) -> SqliteStore:
    """A temporary ledger of this schema, named as if it were at `path`: a small one stays in memory.

    It has what is in `source`, which is closed, or else `facts` alone.
    """
    store = SqliteStore(path, apsw.Connection(""))
    store.is_copy = True
    try:
        if source is None:
            make(store.connection, facts, actor)
        else:
            with store.connection.backup("main", source.connection, "main") as backup:
                backup.step()
            source.close()
            upgrade(store.connection, facts, actor)
    except BaseException:
        store.connection.close()
        raise
    return store


def _state(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
