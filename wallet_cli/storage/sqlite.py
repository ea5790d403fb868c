"""A ledger in SQLite: reading it, and writing it a batch at a time.

Durable means on disk: WAL with synchronous=FULL syncs the log at every commit (at NORMAL, a simulated power cut lost
47 to 218 acknowledged commits). `BEGIN IMMEDIATE`, because a transaction that reads first and writes later loses
updates. The turn lock orders the writers. SQLite's own lock still protects the file from programs that do not know the
turn lock.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import apsw

from wallet_cli.domain.commands import Change
from wallet_cli.domain.events import Subject
from wallet_cli.domain.model import Account, ApiKey, Event, LedgerFacts, Transaction
from wallet_cli.errors import (
    MAKE_ROOM,
    Busy,
    Damaged,
    NotALedger,
    StorageError,
    Undefined,
    UnknownOutcome,
    hint_of,
)
from wallet_cli.storage import sql
from wallet_cli.storage.bulk_copy import BulkCopy
from wallet_cli.storage.folders import sync
from wallet_cli.storage.in_place import Identity, InPlace, beside, has_something, identity_of
from wallet_cli.storage.last_commit import LastCommit, check_log
from wallet_cli.storage.move_state import MAX_CHANGES, Itself, check_writable
from wallet_cli.storage.queries import Values, as_it_is
from wallet_cli.storage.sql import Copied
from wallet_cli.storage.writing import Rows, flat, rows_of

APPLICATION_ID = 0x57414C54
"""`WALT`, in the header of each ledger file: identifies it among SQLite databases."""

OLDEST_SQLITE = "3.51.3"
"""The first version without the WAL-reset bug, which can lose acknowledged commits when many processes write and
checkpoint.

`apsw` contains a newer one, unless it was built against the system's.
"""


CACHE_KB, CHECKPOINT_PAGES = 2000, 1000
"""SQLite's default."""

BULK_CACHE_KB, BULK_CHECKPOINT_PAGES = 65_536, 10_000

SURE_BLOCK_BYTES = 4096
"""With disk blocks of at least this size, SQLite itself allocates all the space of the log's index."""

LOG_INDEX_BYTES = 32_768
"""The initial size of the log's index."""

CONFIRM_S, CONFIRM_STEPS = 2.0, 10_000
"""How long a second look at damage takes at least, before it is given up, and after how many SQLite steps the clock is
read.
"""

CHECK, IS_RIGHT = "PRAGMA integrity_check(1)", "ok"
IN_MAIN = "*** in database main ***\n"
"""What SQLite writes above what it finds wrong with pages."""

SYNC_FAILED = (apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC)

USUAL_LOG_BYTES = 8 * 1024 * 1024
"""The size to which SQLite truncates a log when it restarts it."""

MAX_LOG_BYTES = 64 * 1024 * 1024
"""The size from which a log is truncated by force, or else the process that prevents it is named (log_file.py)."""

UNREADABLE = (apsw.CorruptError, apsw.NotADBError)

T = TypeVar("T")


class translating:  # noqa: N801  (reads as a word in `with`)
    """Turns SQLite's exceptions in a `with` block into errors of wallet_cli.errors.

    SQLite reports a read that failed as a malformed file, or as a file that is no database. So there is a second look,
    and only what that finds too is Damaged, or NotALedger; damage further on than it comes is reported when it is read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, UNREADABLE) and not self._is_malformed():
            raise read_failed(self.path) from error
        if isinstance(error, apsw.Error):
            raise _translated(error, self.path) from error
        if isinstance(error, UnicodeDecodeError):
            message = f"{Damaged.DAMAGED}text that is not UTF-8: {self.path}"
            raise Damaged(message, hint="restore a backup") from error

    def _is_malformed(self) -> bool:
        """Whether a second look, from the disk, finds the file malformed."""
        try:
            return self._look_again()
        except UNREADABLE:
            return True
        except apsw.Error:
            return False

    def _look_again(self) -> bool:
        # Without a log the file is whole, and is read without making files beside it.
        alone = "" if log_bytes(self.path) else "?immutable=1"
        with closing(connect(self.path, 0.0, apsw.SQLITE_OPEN_READONLY, alone)) as connection:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            with _limited(connection, CONFIRM_S):
                return connection.execute(CHECK).fetchone() != (IS_RIGHT,)


class _reading(translating):  # noqa: N801  (likewise)
    """The same for one statement, which only reads: it is run again, for as long as it took."""

    def __init__(self, path: Path, connection: apsw.Connection, statement: str, values: Values) -> None:
        super().__init__(path)
        self._connection = connection
        self._statement = statement
        self._values = values
        self._began_s = time.monotonic()

    def _look_again(self) -> bool:
        self._connection.release_memory()  # what was read stays there
        with _limited(self._connection, max(CONFIRM_S, time.monotonic() - self._began_s)):
            deque(self._connection.execute(self._statement, self._values), maxlen=0)
        return False


@contextmanager
def _limited(connection: apsw.Connection, most_s: float) -> Iterator[None]:
    """Interrupt what a connection does in a `with` block after some seconds."""
    until_s = time.monotonic() + most_s
    connection.set_progress_handler(lambda: time.monotonic() > until_s, CONFIRM_STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None)


def is_failed_read(error: apsw.Error) -> bool:
    return getattr(error, "extendedresult", 0) in READ_FAILED


def read_failed(path: Path) -> StorageError:
    """The error for a read that failed, which is no damage: it may succeed the next time."""
    return StorageError(f"a read of the file failed: {path}", hint="try again; if it fails again, is the disk failing?")


NEEDS_ROOM = (
    *(apsw.SQLITE_IOERR_WRITE, apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC, apsw.SQLITE_IOERR_TRUNCATE),
    *(apsw.SQLITE_IOERR_SHMOPEN, apsw.SQLITE_IOERR_SHMSIZE, apsw.SQLITE_IOERR_SHMMAP, apsw.SQLITE_CANTOPEN),
)
"""SQLite's errors for writing or creating a file. It reports a full disk only when it writes pages."""

READ_FAILED = (apsw.SQLITE_IOERR_READ, apsw.SQLITE_IOERR_SHORT_READ, apsw.SQLITE_IOERR_CORRUPTFS)

IS_FULL_OR_FAILS = "is the disk, or your quota, full, or is the disk failing?"

HINTS: dict[type[apsw.Error], str] = {
    apsw.CantOpenError: "check that the file and its folder are readable and writable",
    apsw.ReadOnlyError: "check that the file and its folder are writable",
    apsw.FullError: MAKE_ROOM,
    apsw.SQLError: "restore a backup",  # a missing table or column: the statements themselves are right
    apsw.IOError: IS_FULL_OR_FAILS,
}


COPYING_WORDS: dict[type[apsw.Error], str] = {
    apsw.CantOpenError: "unable to open database file",
    apsw.ReadOnlyError: "attempt to write a readonly database",
    apsw.FullError: "database or disk is full",
    apsw.IOError: "disk I/O error",
}
"""SQLite's own words for errors that it reports without them, while one database is copied to another."""

UNFOUND = (
    apsw.SQLITE_CONSTRAINT_PRIMARYKEY,
    apsw.SQLITE_CONSTRAINT_ROWID,
    apsw.SQLITE_CONSTRAINT_UNIQUE,
    apsw.SQLITE_CONSTRAINT_FOREIGNKEY,
)


def _translated(error: apsw.Error, path: Path) -> Busy | StorageError:
    is_recovery = getattr(error, "extendedresult", 0) == apsw.SQLITE_BUSY_RECOVERY
    if is_recovery or isinstance(error, apsw.ProtocolError):  # SQLite tells no more: the index of the log stayed locked
        return Busy(
            f"another program is opening {path}, and does not go on",
            hint="continue or end the program that is paused there, and try again; if there is none, its file system"
            " has no working locks: keep the ledger on a local disk",
            holder=None,
        )
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return Busy(f"another program is writing to {path}", hint="try again, with the same key", holder=None)
    if isinstance(error, apsw.CorruptError):
        return Damaged(f"{Damaged.DAMAGED}{error}: {path}", hint="restore a backup")
    if isinstance(error, apsw.NotADBError):
        return NotALedger(f"{error}: {path}", hint="check --db")
    if isinstance(error, apsw.ConstraintError) and getattr(error, "extendedresult", 0) in UNFOUND:
        # The rules found no such row before: a table and its index do not agree.
        return StorageError(
            f"{Damaged.DAMAGED}a row exists that its index did not find ({error}): {path}",
            hint="find where with `wallet verify`; restore a backup",
        )
    if is_failed_read(error):
        return read_failed(path)
    words = str(error)
    if words == "not an error":  # the error is on the other one of two connections, when a file is copied
        words = COPYING_WORDS.get(type(error), "the copy failed")
    if getattr(error, "extendedresult", 0) in NEEDS_ROOM and _is_full(path.parent):
        return StorageError(f"the disk is full ({words}): {path}", hint=MAKE_ROOM)
    kind = Undefined if isinstance(error, apsw.SQLError) else StorageError
    return kind(f"{words}: {path}", hint=HINTS.get(type(error), "for details: WALLET_DEBUG=1"))


def _is_full(folder: Path) -> bool:
    """Whether a disk is too full for the files that SQLite creates beside a ledger."""
    try:
        room = os.statvfs(folder)
    except (OSError, AttributeError):  # Windows has no statvfs
        return False
    no_names = room.f_files > 0 and room.f_favail == 0  # some file systems do not count them
    return room.f_bavail * room.f_frsize < LOG_INDEX_BYTES or no_names


class SqliteStore(BulkCopy):
    """One connection to a ledger. Use it from one thread, and never across a fork."""

    is_local: Literal[True] = True
    may_come_back = is_undone = False

    def __init__(self, path: Path, connection: apsw.Connection) -> None:
        """The connection must not have read anything yet."""
        self.path = path
        self.connection = connection
        self._file_written_us = _written_us(path)
        """When the file or its log was written, before this connection could write."""
        self._sync_failed = False
        """Whether a sync of this connection failed, and the log was not restarted since."""
        self.small_blocks = False
        """Whether each write must first allocate space for the log's index (wal_index.py)."""
        self.last_commit: Callable[[], LastCommit | None] = lambda: None
        """The note beside the ledger, as it is now."""
        self._checkpoint_pages = CHECKPOINT_PAGES
        self.in_place: InPlace | None = None
        """Checks that the ledger's names still mean the open files; None for a temporary copy."""

    def watch_files(self, before: Identity, *, log: bool = True) -> None:
        """Check in each turn that the ledger's names still mean the open files. For a connection that has read, so that
        its `log` exists. `before` is the file that the ledger's name meant before it was opened.
        """
        self.in_place = InPlace(self.path, self.connection, before, log=log)
        if log:
            # The log goes into the file only after it was checked.
            self.connection.wal_autocheckpoint(0)

    def check_in_place(self) -> None:
        """Raises StorageError if the ledger, or a file of it, was moved, removed, replaced or linked."""
        if self.in_place is not None:
            with translating(self.path):
                self.in_place.check()

    def may_write(self) -> bool:
        """Whether this user may write to the file, and to its folder."""
        return os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK | os.X_OK)

    def forbid_writes(self) -> None:
        """Make this connection read-only, whatever statement it gets."""
        self._run("PRAGMA query_only=ON")

    def allow_writes(self) -> None:
        self._run("PRAGMA query_only=OFF")

    def close(self) -> None:
        try:
            self.check_in_place()
        except StorageError:
            # The log does not belong to the present file: do not merge it, and do not remove it.
            self.connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self.connection.close()

    def version(self) -> int:
        """The schema version of the file. Raises StorageError if it is not a ledger that this program can read, and
        Damaged if it says to be older than it is: what is not missing must not be migrated.
        """
        # One statement, which reads only the header of the file.
        application_id, version = self._rows(
            "SELECT application_id, user_version FROM pragma_application_id, pragma_user_version"
        )[0]
        if application_id != APPLICATION_ID:
            found = "a database, but not a wallet ledger" if has_something(self.path) else "an empty file"
            raise StorageError(f"this is {found}: {self.path}", hint="check --db")
        if version > sql.SCHEMA_VERSION:
            raise StorageError(
                f"this ledger was created by a newer wallet (schema {version}; this one knows {sql.SCHEMA_VERSION}):"
                f" {self.path}",
                hint="upgrade wallet-cli",
            )
        if version < sql.SCHEMA_VERSION and (wrong := self._unlike_migrations(version)) is not None:
            raise Damaged(f"{Damaged.DAMAGED}{wrong}: {self.path}", hint="restore a backup")
        return int(version)

    def _unlike_migrations(self, version: int) -> str | None:
        """How the version in the header differs from the last migration, in words; None if it does not."""
        found = [str(number) for (number,) in self._rows("SELECT version_num FROM alembic_version")]
        if found == [f"{version:04}"]:
            return None
        return f"its header says schema {version}, its last migration made schema {', '.join(found).lstrip('0')}"

    def damage(self) -> str | None:
        """What SQLite finds wrong with the file itself, twice, in its words; None where it finds nothing.

        Raises StorageError where it finds nothing the second time: a read failed.
        """
        found = self._checked()
        if found is not None and self._checked() is None:
            raise read_failed(self.path)
        return found

    def _checked(self) -> str | None:
        self.connection.release_memory()  # what was read stays there
        found = str(self._rows(CHECK)[0][0])
        return None if found == IS_RIGHT else found.removeprefix(IN_MAIN)

    def strange_schema(self) -> str | None:
        from wallet_cli.storage.schema_check import OF_SQLITE, strange_in_sqlite

        return strange_in_sqlite(self._rows(OF_SQLITE)) or self._unlike_migrations(sql.SCHEMA_VERSION)

    def indexes_are_complete(self) -> bool:
        return bool(self._one(sql.AS_MANY, {}, lambda row: row[0]))

    def first_unindexed(self, what: str, first: int, last: int) -> tuple[int, ...] | None:
        return self._one(sql.UNINDEXED[what], {"first": first, "last": last}, tuple)

    def operator_by_hash(self, key_hash: bytes) -> ApiKey | None:
        """Raises Damaged if the table and its index differ about the key."""
        found = super().operator_by_hash(key_hash)
        if found is not None:
            rights = {"name": found.name, "read_only": found.read_only, "revoked_at_us": found.revoked_at_us}
            if self._one(sql.OPERATOR_IN_INDEX, rights, tuple) is None:
                raise Damaged(
                    f"{Damaged.DAMAGED}the key {found.name} has changed",
                    hint="check with `wallet verify`; restore a backup",
                )
        return found

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads in the `with` block see one moment, while others write."""
        self._run("BEGIN")
        try:
            yield
        finally:
            self.rollback()

    @contextmanager
    def many_batches(self) -> Iterator[None]:
        """For a series of large batches over much of the file: a larger cache, and fewer checkpoints."""
        self._run(f"PRAGMA cache_size=-{BULK_CACHE_KB}")
        self._checkpoint_pages = BULK_CHECKPOINT_PAGES
        try:
            yield
        finally:
            self._run(f"PRAGMA cache_size=-{CACHE_KB}")
            self._checkpoint_pages = CHECKPOINT_PAGES

    # Writing: see engine/executor.py for the order.

    def begin(self) -> None:
        """Begin a batch. Raises LedgerMoved if the ledger is marked as taking no writes."""
        if self._sync_failed or self.small_blocks:
            self.check_in_place()  # before anything is written to these files
        if self._sync_failed:
            self._begin_log_anew()
        if self.small_blocks:
            with _room_made(self.path):
                pass
        self._begin_alone()
        try:
            with translating(self.path):
                itself = self._know(self.connection.execute(sql.ITSELF).fetchone())
            check_writable(itself)
        except BaseException:
            self.rollback()
            raise
        self.restoring = itself.restoring

    def _know(self, row: Sequence[Any] | None) -> Itself:
        found = super()._know(row)
        self.changes = found.changes
        return found

    def _count_change(self) -> None:
        self._change(sql.COUNT_CHANGE, {})
        self.changes += self.changes < MAX_CHANGES

    def written_us(self) -> int:
        """When the ledger was last written, by a trusted clock; otherwise by the clock of the file system."""
        noted = self.last_commit()
        if noted is not None and noted.at_us and noted.is_of(self.facts_of_turn().uuid):
            return noted.at_us
        return self._file_written_us

    def lock(
        self, wallet_ids: Sequence[int], now_us: int, *, creating: bool, recorded: Collection[Subject] = ()
    ) -> tuple[list[Account], list[Event]]:
        """There is nothing to lock: the turn is for the whole file."""
        return self.accounts(wallet_ids, now_us) if wallet_ids else [], self.last_events(recorded) if recorded else []

    def write(self, changes: Sequence[Change]) -> None:
        with translating(self.path):
            for statement, rows in rows_of(changes):
                self._insert(statement, flat(statement, rows))
        self._note_of_ledger(changes)
        if not any(type(thing) is Transaction for thing in changes):
            self._count_change()

    def _insert(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows, many in one statement: after each statement other threads may run."""
        if statement is sql.INSERT_TRANSACTION:
            left = iter(rows)
            while len(part := list(islice(left, sql.ROWS_AT_ONCE))) == sql.ROWS_AT_ONCE:
                self.connection.execute(sql.INSERT_TRANSACTIONS, list(chain.from_iterable(part)))
            rows = part
        self.connection.executemany(statement, rows)

    def commit(self) -> None:
        """Commit. Raises UnknownOutcome if that failed in the middle, and may still turn out to be done.

        What was written to the log by then stays there, unseen, until the next commit overwrites it. If all processes
        that have the ledger open end before that, the next one to open it reads the log from its start, and finds it.
        """
        if self.in_place is not None:
            with translating(self.path):
                self.in_place.check_log(if_changed=True)
        try:
            self.connection.execute("COMMIT")
        except (apsw.BusyError, apsw.ConstraintError) as error:  # detected before anything is written
            raise _translated(error, self.path) from error
        except apsw.Error as error:
            failed = _translated(error, self.path)
            self._sync_failed = getattr(error, "extendedresult", None) in SYNC_FAILED
            try:
                self.rollback()
                self.check_in_place()
                self._begin_log_anew()
            except StorageError:
                raise UnknownOutcome(failed.message) from error
            raise StorageError(failed.message, hint=f"nothing was written; {failed.hint}") from error
        if self.in_place is not None:
            with translating(self.path):
                self.in_place.check_ledger()
                pages = self.in_place.check_log()
            if pages >= self._checkpoint_pages:
                with suppress(apsw.Error):  # the answered commits are in the log; the next commit tries again
                    self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _begin_log_anew(self) -> None:
        """Merge the whole log into the file, and empty it: nothing of a failed commit can come back.

        A failed sync needs this too. The system may drop the pages that it could not write, and report success for the
        next sync; here they are written again, to another file. Raises StorageError if it cannot be done now, for
        example while somebody reads from the log.
        """
        (patience_ms,) = self._rows("PRAGMA busy_timeout")[0]
        self.connection.set_busy_timeout(0)
        try:
            (busy, _, _) = self._rows("PRAGMA wal_checkpoint(TRUNCATE)")[0]
            if busy:
                raise StorageError(
                    f"a sync failed, and the log cannot be emptied while others use it: {self.path}",
                    hint="try again, with the same key: nothing was written",
                )
            self._sync_log()
        except Busy as error:
            raise StorageError(error.message, hint=error.hint) from error
        finally:
            self.connection.set_busy_timeout(patience_ms)
        self._sync_failed = False

    def _sync_log(self) -> None:
        log = beside(self.path, "-wal")
        try:
            sync(log)
        except OSError as error:
            raise StorageError(f"cannot sync {log}: {error.strerror}", hint=hint_of(error, IS_FULL_OR_FAILS)) from error

    def rollback(self) -> None:
        if self.connection.in_transaction:
            self._run("ROLLBACK")

    def confirm_replicated(self) -> bool:
        """Sync the log: a read row may come from a process that was killed before its own sync."""
        if not self.is_copy:
            self._sync_log()
        return False

    def contains(self, change: Change) -> bool:
        self.check_in_place()
        return self._is_there(change)

    # Moving (storage/bulk_copy.py).

    @property
    def address(self) -> str:
        return str(self.path)

    def identity(self) -> Identity:
        return identity_of(self.path.stat()) if self.in_place is None else self.in_place.file

    def _begin_alone(self) -> None:
        self.check_in_place()
        self._run("BEGIN IMMEDIATE")
        (version,) = self._rows("PRAGMA user_version")[0]
        if version != sql.SCHEMA_VERSION:
            self.rollback()
            raise sql.schema_changed(version, self.address)

    def _change(self, statement: str, values: Values) -> None:
        with translating(self.path):
            self.connection.execute(statement, values)

    def add_rows(self, copied: Copied, rows: Rows) -> None:
        with translating(self.path):
            self._insert(copied.insert, rows)

    # Running statements.

    def _reading(self, statement: str, values: Values) -> _reading:
        return _reading(self.path, self.connection, statement, values)

    def _run(self, statement: str) -> None:
        with translating(self.path):
            self.connection.execute(statement)

    def _rows(self, statement: str) -> list[Any]:
        with self._reading(statement, {}):
            return self.connection.execute(statement).fetchall()

    def _one(self, statement: str, values: Values, make: Callable[[Sequence[Any]], T]) -> T | None:
        with self._reading(statement, values):
            row = self.connection.execute(statement, values).fetchone()
        return None if row is None else make(row)

    def _each(self, statement: str, values: Values, make: Callable[[Sequence[Any]], T]) -> Generator[T, None, None]:
        with self._reading(statement, values):
            rows = self.connection.execute(statement, values)
            yield from rows if make is as_it_is else map(make, rows)


def connect(
    path: Path, busy_timeout_s: float, flags: int = apsw.SQLITE_OPEN_READWRITE, options: str = ""
) -> apsw.Connection:
    """A connection to an existing file, unless `flags` create it. Transactions are started by hand.

    `options` are those of an SQLite URI: `?immutable=1`.
    """
    connection = apsw.Connection(f"file:{quote(os.fsencode(path))}{options}", flags | apsw.SQLITE_OPEN_URI)
    connection.set_busy_timeout(round(busy_timeout_s * 1000))
    # Query plans must not depend on the values; otherwise SQLite prepares a statement again for each new value, which
    # takes ten times as long as the statement itself.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    return connection


def open_file(
    path: Path, busy_timeout_s: float, last_commit: LastCommit | None, flags: int = apsw.SQLITE_OPEN_READWRITE
) -> SqliteStore:
    """The ledger in an existing file, whose folder must be writable unless `flags` say READONLY.

    `last_commit` is the note beside it. Raises NotTogether for a log that belongs to another file.
    """
    small_blocks = flags == apsw.SQLITE_OPEN_READWRITE and _has_small_blocks(path)
    with _room_made(path) if small_blocks else nullcontext():
        store = SqliteStore(path, connect(path, busy_timeout_s, flags))
        store.small_blocks = small_blocks
        try:
            check_log(path, store.connection, last_commit)
            if small_blocks:
                store.connection.execute("PRAGMA schema_version").fetchall()  # opens the index
        except BaseException:
            store.connection.close()
            raise
    return store


def _has_small_blocks(path: Path) -> bool:
    try:
        return sys.platform == "linux" and os.statvfs(path).f_frsize < SURE_BLOCK_BYTES
    except OSError as error:
        raise StorageError(f"cannot open the ledger: {error.strerror}: {path}", hint="check --db") from error


def _room_made(path: Path) -> AbstractContextManager[None]:
    from wallet_cli.storage.wal_index import room_made  # only a few file systems need it

    return room_made(path)


def set_up(connection: apsw.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA journal_size_limit={USUAL_LOG_BYTES}")


def _written_us(path: Path) -> int:
    """When a ledger's file or its log was last written, by the clock of the file system; now for one in no file."""
    found = []
    for each in (path, beside(path, "-wal")):
        with suppress(OSError):
            found.append(each.stat())
    # A reader has just created an empty log.
    return max((each.st_mtime_ns for each in found if each.st_size), default=time.time_ns()) // 1000


def log_bytes(path: Path) -> int:
    """The size of the log beside a ledger; 0 if there is none."""
    try:
        return beside(path, "-wal").stat().st_size
    except OSError:
        return 0


def make(connection: apsw.Connection, facts: LedgerFacts, actor: str | None) -> None:
    """Make the tables of a ledger in an empty database, as all the migrations would, which take ten times as long.

    It is one transaction. `facts` and `actor` are as in `upgrade`.
    """
    from uuid import uuid4

    from wallet_cli.storage.schema_check import expected

    with connection:
        for _, statement in sorted(expected()["sqlite"].items(), reverse=True):  # a table before its indexes
            connection.execute(statement)
        connection.execute("INSERT INTO alembic_version VALUES (?)", (f"{sql.SCHEMA_VERSION:04}",))
        connection.execute("INSERT INTO ledger (id, uuid) VALUES (1, ?)", (str(uuid4()),))
        _finish(connection, 0, facts, actor)


def upgrade(
    connection: apsw.Connection,
    facts: LedgerFacts = LedgerFacts(),  # noqa: B008  (a tuple)
    actor: str | None = None,
) -> None:
    """Run the missing migrations in one transaction, and write the new version to the header of the file.

    `facts` are settings that the ledger keeps from then on; `actor` is who does this.
    """
    from wallet_cli.storage.dbapi import transaction
    from wallet_cli.storage.migrate import upgrade as run_migrations

    # Rebuilding a table drops the old one, which foreign keys would prevent.
    connection.execute("PRAGMA foreign_keys=OFF")
    with transaction(connection) as wrapped:
        before = int(connection.pragma("user_version"))
        run_migrations(wrapped)
        _finish(connection, before, facts, actor)
    connection.execute("PRAGMA foreign_keys=ON")


def _finish(connection: apsw.Connection, before: int, facts: LedgerFacts, actor: str | None) -> None:
    """Set and record what belongs to a ledger whose tables have just been made, or migrated from schema `before`."""
    from wallet_cli.storage.ledger_events import record_upgrade

    for statement, row in sql.settings_of(facts):
        connection.execute(statement, row)
    record_upgrade(connection.execute, before, time.time_ns() // 1000, actor)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={sql.SCHEMA_VERSION}")


def check_library() -> None:
    """Raises StorageError if `apsw` was built with a SQLite version that is not safe."""
    version = apsw.sqlite_lib_version()
    if _numbers(version) < _numbers(OLDEST_SQLITE):
        from wallet_cli.installing import install

        raise StorageError(
            f"SQLite {version} is too old: it may lose what was written ({OLDEST_SQLITE} or newer is safe)",
            hint=install("--force-reinstall --only-binary apsw apsw"),
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
