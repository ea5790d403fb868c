"""A ledger in SQLite: reading it, and writing it a batch at a time.

Durable means on disk: WAL with synchronous=FULL syncs the log at every commit (at NORMAL, a simulated power cut lost
47 to 218 commits that had been acknowledged). `BEGIN IMMEDIATE`, because a transaction that reads first and writes
later loses updates. The turn lock orders the writers; SQLite's own lock still protects the file from programs that do
not know of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

if TYPE_CHECKING:
    import sqlite3
else:
    # pysqlite3 bundles a current SQLite. Those from 3.7.0 to 3.51.2 have the WAL-reset bug, which can lose acknowledged
    # commits when many processes write and checkpoint.
    try:
        import pysqlite3 as sqlite3
    except ImportError:
        import sqlite3

from wallet_cli.domain.commands import Command, Made, Restoring
from wallet_cli.domain.model import Account, Hold, Operator, Policy, Transaction, Wallet
from wallet_cli.domain.rules import State
from wallet_cli.errors import Busy, LedgerMoved, StorageError
from wallet_cli.storage import sql
from wallet_cli.storage.copying import Copying
from wallet_cli.storage.loading import Loader
from wallet_cli.storage.marks import is_restoring
from wallet_cli.storage.reading import Values
from wallet_cli.storage.sql import Copied
from wallet_cli.storage.writing import Rows, rows_of

__all__ = ["APPLICATION_ID", "SqliteStore", "connect", "set_up", "sqlite3", "translating"]

APPLICATION_ID = 0x57414C54
"""`WALT`, in the header of each ledger file: tells it from any other SQLite database."""

WAL_RESET_FIXED = (3, 51, 3)
"""The first without the WAL-reset bug."""


CACHE_KB, CHECKPOINT_PAGES = 2000, 1000
"""As SQLite has them by itself."""

BULK_CACHE_KB, BULK_CHECKPOINT_PAGES = 65_536, 10_000

T = TypeVar("T")


class translating:  # noqa: N801  (reads as a word in `with`)
    """Turns what SQLite raises in a `with` block into an error of the tree."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise _translated(error, self.path) from error


def _translated(error: sqlite3.Error, path: Path) -> Busy | StorageError:
    what = str(error)
    if "locked" in what or "busy" in what:
        return Busy(f"another program is writing to {path}", hint="try again, with the same key", holder=None)
    hints = {
        "not a database": "check --db",
        "unable to open": "check that the file and its folder may be read and written",
        "readonly": "check that the file and its folder may be written",
        "full": "free some space; nothing was written",
        "malformed": "restore a backup",
        "no such table": "restore a backup",
        "disk I/O": "is the disk full, or failing? nothing was written",
    }
    hint = next((hint for words, hint in hints.items() if words in what), "WALLET_DEBUG=1 shows more")
    return StorageError(f"{what}: {path}", hint=hint)


class SqliteStore(Copying):
    """One connection to a ledger. Use it from one thread, and never across a fork."""

    is_local = True
    may_come_back = False

    def __init__(self, path: Path, busy_timeout_s: float) -> None:
        self.path = path
        with translating(path):
            self.connection = connect(path, busy_timeout_s)
            try:
                # Before anything that would change a file which is not ours.
                self.version()
                set_up(self.connection)
            except BaseException:
                self.connection.close()
                raise

    @property
    def closes_under_turn(self) -> bool:
        """Whether closing, which may checkpoint, has to take a turn (see WAL_RESET_FIXED)."""
        return sqlite3.sqlite_version_info < WAL_RESET_FIXED

    def forbid_writes(self) -> None:
        """Let this connection only read, whatever is asked of it."""
        self._run("PRAGMA query_only=ON")

    def close(self) -> None:
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
            raise _newer(self.path, version)
        return int(version)

    def damage(self) -> str | None:
        """What SQLite finds wrong with the file itself, in its words; None where it is whole."""
        found = self._one("PRAGMA integrity_check(1)", {}, lambda row: str(row[0]))
        return None if found == "ok" else found

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
        if not self.closes_under_turn:
            self._run(f"PRAGMA wal_autocheckpoint={BULK_CHECKPOINT_PAGES}")
        try:
            yield
        finally:
            self._run(f"PRAGMA cache_size=-{CACHE_KB}")
            if not self.closes_under_turn:
                self._run(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")

    # Writing: see writer/executor.py for the order.

    def begin(self) -> None:
        """Begin a batch. Raises LedgerMoved where the ledger is marked as one that takes no writes."""
        with translating(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            marked = self.connection.execute(sql.REFUSING).fetchone()
        try:
            self.restoring = is_restoring(marked)
        except LedgerMoved:
            self.rollback()
            raise

    def lock(self, wallet_ids: Sequence[int], now_us: int, *, creating: bool) -> list[Account]:
        """There is nothing to lock: who has the turn has the whole file."""
        return self.accounts(wallet_ids, now_us) if wallet_ids else []

    def load(self, commands: Sequence[Command], policy: Policy, now_us: int) -> State:
        return Loader(self, State(policy), now_us).load(commands)

    def write(self, made: Sequence[Made]) -> None:
        with translating(self.path):
            for statement, rows in rows_of(made):
                self._insert(statement, rows)
        self._note_restoring(made)

    def _insert(self, statement: str, rows: list[Sequence[Any]]) -> None:
        """Insert rows, many in one statement where there are many: each statement lets other threads in."""
        whole = len(rows) - len(rows) % sql.ROWS_AT_ONCE if statement is sql.INSERT_TRANSACTION else 0
        for start in range(0, whole, sql.ROWS_AT_ONCE):
            values = list(chain.from_iterable(rows[start : start + sql.ROWS_AT_ONCE]))
            self.connection.execute(sql.INSERT_TRANSACTIONS, values)
        if whole < len(rows):
            self.connection.executemany(statement, rows[whole:])

    def commit(self) -> None:
        self._run("COMMIT")
        if self.closes_under_turn:
            # Checkpoints are safe from the WAL-reset bug where only the one who has the turn makes them.
            self._run("PRAGMA wal_checkpoint")

    def rollback(self) -> None:
        if self.connection.in_transaction:
            self._run("ROLLBACK")

    def vouch(self) -> bool:
        """What can be read here is on the disk."""
        return False

    def holds(self, made: Made) -> bool:
        if isinstance(made, Transaction):
            return self.transaction(made.wallet_id, made.seq) == made
        if isinstance(made, Hold):
            return self.hold(made.wallet_id, made.number) == made
        if isinstance(made, Wallet):
            account = self.account(made.id, 0)
            return account is not None and account.wallet == made
        if isinstance(made, Operator):
            return self.operator_by_name(made.name) == made
        if isinstance(made, Restoring):
            return self.is_restoring() == made.active
        return self.user_by_id(made.id) == made

    # Moving (storage/copying.py).

    @property
    def address(self) -> str:
        return str(self.path)

    def identity(self) -> tuple[Any, ...]:
        found = self.path.stat()
        return (found.st_dev, found.st_ino)

    def _begin_alone(self) -> None:
        self._run("BEGIN IMMEDIATE")

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


def connect(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    # mode=rw: opening never makes a file. Transactions are begun by hand.
    return sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode=rw", uri=True, timeout=busy_timeout_s, isolation_level=None
    )


def set_up(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    if sqlite3.sqlite_version_info < WAL_RESET_FIXED:
        connection.execute("PRAGMA wal_autocheckpoint=0")


def _newer(path: Path, version: int) -> StorageError:
    return StorageError(
        f"this ledger was made by a newer wallet (schema {version}; this one knows {sql.SCHEMA_VERSION}): {path}",
        hint="upgrade wallet-cli",
    )
