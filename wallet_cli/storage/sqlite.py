"""A ledger in SQLite: reading it, and writing it a batch at a time.

Durable means on disk: WAL with synchronous=FULL syncs the log at every commit (at NORMAL, a simulated power cut lost
47 to 218 commits that had been acknowledged). `BEGIN IMMEDIATE`, because a transaction that reads first and writes
later loses updates. The turn lock orders the writers; SQLite's own lock still protects the file from programs that do
not know of it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import apsw

from wallet_cli.domain.commands import Change, Restoring
from wallet_cli.domain.model import Account, ApiKey, Hold, LedgerFacts, LedgerSetting, Transaction, Wallet
from wallet_cli.errors import MAKE_ROOM, Busy, Damaged, Malformed, StorageError, UnknownOutcome, hint_of
from wallet_cli.storage import sql
from wallet_cli.storage.bulk_copy import BulkCopy
from wallet_cli.storage.folders import sync
from wallet_cli.storage.in_place import Identity, InPlace, beside, identity_of
from wallet_cli.storage.last_commit import LastCommit, check_log
from wallet_cli.storage.move_state import Itself, check_writable
from wallet_cli.storage.queries import Values
from wallet_cli.storage.sql import Copied
from wallet_cli.storage.writing import Rows, rows_of

APPLICATION_ID = 0x57414C54
"""`WALT`, in the header of each ledger file: tells it from any other SQLite database."""

OLDEST_SQLITE = "3.51.3"
"""The first without the WAL-reset bug, which can lose acknowledged commits where many processes write and checkpoint.

`apsw` brings a newer one along, unless somebody has built it against the system's.
"""


CACHE_KB, CHECKPOINT_PAGES = 2000, 1000
"""As SQLite has them by itself."""

BULK_CACHE_KB, BULK_CHECKPOINT_PAGES = 65_536, 10_000

SURE_BLOCK_BYTES = 4096
"""Where the disk has blocks this large or larger, SQLite makes sure of room for the log's index by itself."""

LOG_INDEX_BYTES = 32_768
"""How much room the log's index needs to begin with."""

CONFIRM_S, CONFIRM_STEPS = 2.0, 10_000
"""How long damage is looked for again, and after how many steps of SQLite's the time is asked."""

SYNC_FAILED = (apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC)

USUAL_LOG_BYTES = 8 * 1024 * 1024
"""To what size SQLite cuts a log that begins anew."""

MAX_LOG_BYTES = 64 * 1024 * 1024
"""From what size on a log is cut by force, or it is said who prevents that (log_file.py)."""

T = TypeVar("T")


class translating:  # noqa: N801  (reads as a word in `with`)
    """Turns what SQLite raises in a `with` block into an error of the tree."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, apsw.Error):
            raise _translated(error, self.path) from error
        if isinstance(error, UnicodeDecodeError):
            message = f"{Damaged.DAMAGED}text that is not UTF-8: {self.path}"
            raise Damaged(message, hint="restore a backup") from error


NEEDS_ROOM = (
    *(apsw.SQLITE_IOERR_WRITE, apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC, apsw.SQLITE_IOERR_TRUNCATE),
    *(apsw.SQLITE_IOERR_SHMOPEN, apsw.SQLITE_IOERR_SHMSIZE, apsw.SQLITE_IOERR_SHMMAP, apsw.SQLITE_CANTOPEN),
)
"""How SQLite fails where it writes or makes a file: it says itself that the disk is full only where it writes pages."""

IS_FULL_OR_FAILS = "is the disk, or your quota of it, full, or does it fail?"

HINTS: dict[type[apsw.Error], str] = {
    apsw.NotADBError: "check --db",
    apsw.CantOpenError: "check that the file and its folder may be read and written",
    apsw.ReadOnlyError: "check that the file and its folder may be written",
    apsw.FullError: MAKE_ROOM,
    apsw.SQLError: "restore a backup",  # a table or a column that is not there: the statements themselves are right
    apsw.IOError: IS_FULL_OR_FAILS,
    apsw.ProtocolError: "locks fail there: keep the ledger on another file system, such as a disk of this machine",
}


UNFOUND = (
    apsw.SQLITE_CONSTRAINT_PRIMARYKEY,
    apsw.SQLITE_CONSTRAINT_ROWID,
    apsw.SQLITE_CONSTRAINT_UNIQUE,
    apsw.SQLITE_CONSTRAINT_FOREIGNKEY,
)


def _translated(error: apsw.Error, path: Path) -> Busy | StorageError:
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return Busy(f"another program is writing to {path}", hint="try again, with the same key", holder=None)
    if isinstance(error, apsw.CorruptError):
        return Malformed(f"{Damaged.DAMAGED}{error}: {path}", hint="restore a backup")
    if isinstance(error, apsw.ConstraintError) and getattr(error, "extendedresult", 0) in UNFOUND:
        # The rules looked, and found no such row: a table and its index do not agree.
        return StorageError(
            f"{Damaged.DAMAGED}something is there that could not be found ({error}): {path}",
            hint="`wallet verify` says where; restore a backup",
        )
    if getattr(error, "extendedresult", 0) in NEEDS_ROOM and _is_full(path.parent):
        return StorageError(f"the disk is full ({error}): {path}", hint=MAKE_ROOM)
    words = str(error)
    if words == "not an error":  # asked of the wrong one of two connections, of a file that is copied
        words = str(apsw.mapping_extended_result_codes.get(getattr(error, "extendedresult", 0), type(error).__name__))
    return StorageError(f"{words}: {path}", hint=HINTS.get(type(error), "WALLET_DEBUG=1 shows more"))


def _is_full(folder: Path) -> bool:
    """Whether a disk has no room for what SQLite makes beside a ledger."""
    try:
        room = os.statvfs(folder)
    except (OSError, AttributeError):  # Windows has none
        return False
    no_names = room.f_files > 0 and room.f_favail == 0  # some file systems do not count them
    return room.f_bavail * room.f_frsize < LOG_INDEX_BYTES or no_names


class SqliteStore(BulkCopy):
    """One connection to a ledger. Use it from one thread, and never across a fork."""

    is_local: Literal[True] = True
    may_come_back = False

    def __init__(self, path: Path, connection: apsw.Connection) -> None:
        """For a connection that has read nothing yet."""
        self.path = path
        self.connection = connection
        self._file_written_us = _written_us(path)
        """When the file was written, or its log, before this connection could do so."""
        self._sync_failed = False
        """Whether a sync of this connection failed, and the log has not been begun anew since."""
        self.small_blocks = False
        """Whether room for the log's index has to be made before each write (wal_index.py)."""
        self.last_commit: Callable[[], LastCommit | None] = lambda: None
        """What is noted beside the ledger now."""
        self._checkpoint_pages = CHECKPOINT_PAGES
        self.in_place: InPlace | None = None
        """Whether the ledger's names stand for what is open; None for a temporary copy."""

    def watch_files(self, before: Identity, *, log: bool = True) -> None:
        """Have each turn ask whether the ledger's names stand for the files that are open: for a connection that has
        read, so that its `log` is there. `before` is what its name stood for before it was opened.
        """
        self.in_place = InPlace(self.path, self.connection, before, log=log)
        if log:
            # What is in the log goes into the file once it is known to be whole.
            self.connection.wal_autocheckpoint(0)

    def check_in_place(self) -> None:
        """Raises StorageError where the ledger, or what belongs to it, was moved, removed, replaced or linked."""
        if self.in_place is not None:
            with translating(self.path):
                self.in_place.check()

    def forbid_writes(self) -> None:
        """Let this connection only read, whatever is asked of it."""
        self._run("PRAGMA query_only=ON")

    def close(self) -> None:
        try:
            self.check_in_place()
        except StorageError:
            # The log is not of the file that is there now: neither bring it in, nor remove it.
            self.connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self.connection.close()

    def version(self) -> int:
        """The schema version of the file; raises StorageError if it is not a ledger that this program knows."""
        # One statement, which reads the header of the file and nothing else.
        application_id, version = self._rows(
            "SELECT application_id, user_version FROM pragma_application_id, pragma_user_version"
        )[0]
        if application_id != APPLICATION_ID:
            raise StorageError(f"this is a database, but not a wallet ledger: {self.path}", hint="check --db")
        if version > sql.SCHEMA_VERSION:
            raise StorageError(
                f"this ledger was made by a newer wallet (schema {version}; this one knows {sql.SCHEMA_VERSION}):"
                f" {self.path}",
                hint="upgrade wallet-cli",
            )
        return int(version)

    def damage(self) -> str | None:
        """What SQLite finds wrong with the file itself, in its words; None where it is whole."""
        found = self._one("PRAGMA integrity_check(1)", {}, lambda row: str(row[0]))
        return None if found == "ok" else found

    def confirms(self, error: Damaged) -> bool:
        """Whether damage is there. SQLite says of one read that failed what it says of a file that is malformed, so it
        is asked again, for CONFIRM_S at most: in what lies further, each who comes there sees it anew.
        """
        if not isinstance(error, Malformed):
            return True
        until_s = time.monotonic() + CONFIRM_S
        self.connection.set_progress_handler(lambda: time.monotonic() > until_s, CONFIRM_STEPS)
        try:
            return self.damage() is not None
        except Damaged:
            return True
        except (StorageError, Busy):
            return False
        finally:
            self.connection.set_progress_handler(None)

    def strange_schema(self) -> str | None:
        from wallet_cli.storage.schema_check import OF_SQLITE, strange_in_sqlite

        return strange_in_sqlite(self._rows(OF_SQLITE))

    def first_unindexed(self, what: str, first: int, last: int) -> tuple[int, ...] | None:
        return self._one(sql.UNINDEXED[what], {"first": first, "last": last}, tuple)

    def operator_by_hash(self, key_hash: bytes) -> ApiKey | None:
        """Raises Damaged where the table and its index say different things of the key."""
        found = super().operator_by_hash(key_hash)
        if found is not None:
            rights = {"name": found.name, "read_only": found.read_only, "revoked_at_us": found.revoked_at_us}
            if self._one(sql.OPERATOR_IN_INDEX, rights, tuple) is None:
                raise Damaged(
                    f"{Damaged.DAMAGED}the key {found.name} is not what it was",
                    hint="`wallet verify`; restore a backup",
                )
        return found

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all that is read in a `with` block be of one moment, while others write."""
        self._run("BEGIN")
        try:
            yield
        finally:
            self.rollback()

    @contextmanager
    def many_batches(self) -> Iterator[None]:
        """For a run of large batches over much of the file: more of it in memory, and checkpoints less often."""
        self._run(f"PRAGMA cache_size=-{BULK_CACHE_KB}")
        self._checkpoint_pages = BULK_CHECKPOINT_PAGES
        try:
            yield
        finally:
            self._run(f"PRAGMA cache_size=-{CACHE_KB}")
            self._checkpoint_pages = CHECKPOINT_PAGES

    # Writing: see engine/executor.py for the order.

    def begin(self) -> None:
        """Begin a batch. Raises LedgerMoved where the ledger is marked as one that takes no writes."""
        if self._sync_failed or self.small_blocks:
            self.check_in_place()  # before anything is written to what the names stand for
        if self._sync_failed:
            self._begin_log_anew()
        if self.small_blocks:
            with _room_made(self.path):
                pass
        self._begin_alone()
        with translating(self.path):
            itself = self._know(self.connection.execute(sql.ITSELF).fetchone())
        try:
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
        self.changes += 1

    def written_us(self) -> int:
        """When the ledger was last written, at a time that was believed; else by the clock of the file system."""
        noted = self.last_commit()
        if noted is not None and noted.at_us and noted.is_of(self.facts_of_turn().uuid):
            return noted.at_us
        return self._file_written_us

    def lock(self, wallet_ids: Sequence[int], now_us: int, *, creating: bool) -> list[Account]:
        """There is nothing to lock: who has the turn has the whole file."""
        return self.accounts(wallet_ids, now_us) if wallet_ids else []

    def write(self, changes: Sequence[Change]) -> None:
        with translating(self.path):
            for statement, rows in rows_of(changes):
                self._insert(statement, rows)
        self._note_of_ledger(changes)
        if not any(type(thing) is Transaction for thing in changes):
            self._count_change()

    def _insert(self, statement: str, rows: list[Sequence[Any]]) -> None:
        """Insert rows, many in one statement where there are many: each statement lets other threads in."""
        whole = len(rows) - len(rows) % sql.ROWS_AT_ONCE if statement is sql.INSERT_TRANSACTION else 0
        for start in range(0, whole, sql.ROWS_AT_ONCE):
            values = list(chain.from_iterable(rows[start : start + sql.ROWS_AT_ONCE]))
            self.connection.execute(sql.INSERT_TRANSACTIONS, values)
        if whole < len(rows):
            self.connection.executemany(statement, rows[whole:])

    def commit(self) -> None:
        """Commit. Raises UnknownOutcome where that failed in the middle, and may yet turn out to be done.

        What has been written to the log by then stays there, unseen, until the next commit writes over it. When all
        who have the ledger open end before that, the next to open it reads the log from its start, and finds it.
        """
        if self.in_place is not None:
            with translating(self.path):
                self.in_place.check_log()
        try:
            self.connection.execute("COMMIT")
        except (apsw.BusyError, apsw.ConstraintError) as error:  # found before anything is written
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
                with suppress(apsw.Error):  # what is answered is in the log; the next commit tries again
                    self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _begin_log_anew(self) -> None:
        """Bring all of the log into the file, and empty it: nothing of a commit that failed can come back.

        It is also what a failed sync calls for. The system may drop the pages that it could not write, and say of the
        next sync that all is well; here they are written once more, to another file. Raises StorageError where it
        cannot be done now: while somebody reads what the log has, for one.
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
        """Sync the log: what is read there may be of somebody who was killed before their own sync."""
        self._sync_log()
        return False

    def contains(self, change: Change) -> bool:
        self.check_in_place()
        if isinstance(change, Transaction):
            return self.transaction(change.wallet_id, change.seq) == change
        if isinstance(change, Hold):
            return self.hold(change.wallet_id, change.number) == change
        if isinstance(change, Wallet):
            account = self.account(change.id, 0)
            return account is not None and account.wallet == change
        if isinstance(change, ApiKey):
            return self.operator_by_name(change.name) == change
        if isinstance(change, Restoring | LedgerSetting):
            return self._says(change)
        return self.user_by_id(change.id) == change

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

    # How statements are run.

    def _run(self, statement: str) -> None:
        with translating(self.path):
            self.connection.execute(statement)

    def _rows(self, statement: str) -> list[Any]:
        with translating(self.path):
            return self.connection.execute(statement).fetchall()

    def _one(self, statement: str, values: Values, make: Callable[[Sequence[Any]], T]) -> T | None:
        with translating(self.path):
            row = self.connection.execute(statement, values).fetchone()
        return None if row is None else make(row)

    def _each(self, statement: str, values: Values, make: Callable[[Sequence[Any]], T]) -> Iterator[T]:
        with translating(self.path):
            for row in self.connection.execute(statement, values):
                yield make(row)


def connect(
    path: Path, busy_timeout_s: float, flags: int = apsw.SQLITE_OPEN_READWRITE, options: str = ""
) -> apsw.Connection:
    """A connection to a file that is there, unless `flags` say that it is made. Transactions are begun by hand.

    `options` are those of an SQLite URI: `?immutable=1`.
    """
    connection = apsw.Connection(f"file:{quote(os.fsencode(path))}{options}", flags | apsw.SQLITE_OPEN_URI)
    connection.set_busy_timeout(round(busy_timeout_s * 1000))
    # Plans do not hang on the values asked for; else SQLite prepares a statement anew for each other value, which takes
    # ten times as long as what it does.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    return connection


def open_file(
    path: Path, busy_timeout_s: float, last_commit: LastCommit | None, flags: int = apsw.SQLITE_OPEN_READWRITE
) -> SqliteStore:
    """The ledger in a file that is there, whose folder may be written unless `flags` say READONLY.

    `last_commit` is what is noted beside it. Raises StorageError for a log that is of another file.
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
    from wallet_cli.storage.wal_index import room_made  # few file systems need it

    return room_made(path)


def set_up(connection: apsw.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA journal_size_limit={USUAL_LOG_BYTES}")


def _written_us(path: Path) -> int:
    """When a ledger's file, or its log, was last written, by the clock of the file system; 0 where there is none."""
    found = []
    for each in (path, beside(path, "-wal")):
        with suppress(OSError):
            found.append(each.stat())
    # An empty log is one that a reader has just made.
    return max((each.st_mtime_ns // 1000 for each in found if each.st_size), default=0)


def log_bytes(path: Path) -> int:
    """How large the log beside a ledger is; 0 where there is none."""
    try:
        return beside(path, "-wal").stat().st_size
    except OSError:
        return 0


def upgrade(connection: apsw.Connection, facts: LedgerFacts = LedgerFacts()) -> None:  # noqa: B008  (a tuple)
    """Run the missing migrations in one transaction, and note the new version in the header of the file.

    `facts` are settings that the ledger is to keep from then on.
    """
    from wallet_cli.storage.dbapi import transaction
    from wallet_cli.storage.migrate import upgrade as run_migrations

    # Rebuilding a table drops the old one, which foreign keys would object to.
    connection.execute("PRAGMA foreign_keys=OFF")
    with transaction(connection) as wrapped:
        run_migrations(wrapped)
        for statement, row in sql.settings_of(facts):
            connection.execute(statement, row)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={sql.SCHEMA_VERSION}")
    connection.execute("PRAGMA foreign_keys=ON")


def check_library() -> None:
    """Raises StorageError where the SQLite that `apsw` has been built with is not safe."""
    version = apsw.sqlite_lib_version()
    if _numbers(version) < _numbers(OLDEST_SQLITE):
        from wallet_cli.installing import install

        raise StorageError(
            f"SQLite {version} is too old: it may lose what was written ({OLDEST_SQLITE} or newer is safe)",
            hint=install("--force-reinstall --only-binary apsw apsw"),
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
