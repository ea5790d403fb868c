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
from operator import itemgetter
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

from wallet_cli.domain.commands import Command, Made
from wallet_cli.domain.model import Account, Hold, Operator, Policy, Transaction, User, Wallet
from wallet_cli.domain.rules import State
from wallet_cli.errors import Busy, StorageError
from wallet_cli.storage import sql
from wallet_cli.storage.loading import Loader, in_chunks
from wallet_cli.storage.sql import Filter

__all__ = ["APPLICATION_ID", "SqliteStore", "connect", "set_up", "sqlite3", "translating"]

APPLICATION_ID = 0x57414C54
"""`WALT`, in the header of each ledger file: tells it from any other SQLite database."""

WAL_RESET_FIXED = (3, 51, 3)
"""The first without the WAL-reset bug."""


_INSERTS: dict[type, str] = {
    User: sql.INSERT_USER,
    Wallet: sql.UPSERT_WALLET,
    Operator: sql.UPSERT_OPERATOR,
    Hold: sql.UPSERT_HOLD,
    Transaction: sql.INSERT_TRANSACTION,
}
"""In the order that foreign keys ask for."""

_PLACE = itemgetter(0, 1)
"""Wallet id and seq of a transaction."""

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


class SqliteStore:
    """One connection to a ledger. Use it from one thread, and never across a fork."""

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

    # Reading. Each method is one statement, and so one consistent snapshot; `snapshot()` makes several of them one.

    def user_by_id(self, id_: int) -> User | None:
        return self._one(sql.USER_BY_ID, {"id": id_}, sql.to_user)

    def user_by_e164(self, e164: str) -> User | None:
        return self._one(sql.USER_BY_E164, {"e164": e164}, sql.to_user)

    def user_by_national(self, region: str, national: str) -> User | None:
        return self._one(sql.USER_BY_NATIONAL, {"region": region, "national": national}, sql.to_user)

    def users_after(self, after: int, limit: int) -> Iterator[User]:
        """Users in the order of their ids, from the one after `after` on, at most `limit` (-1: all)."""
        return self._each(sql.USERS_AFTER, {"after": after, "limit": limit}, sql.to_user)

    # `now_us` is the moment of which what is held is told: a hold that has lapsed by then keeps nothing.

    def account(self, wallet_id: int, now_us: int) -> Account | None:
        return self._one(sql.ACCOUNT_BY_ID, {"id": wallet_id, "now_us": now_us}, sql.to_account)

    def account_of(self, user_id: int, type_: str, now_us: int) -> Account | None:
        values = {"user_id": user_id, "type": type_, "now_us": now_us}
        return self._one(sql.ACCOUNT_BY_OWNER, values, sql.to_account)

    def accounts_of(self, user_id: int, now_us: int) -> list[Account]:
        return list(self._each(sql.ACCOUNTS_OF_USER, {"user_id": user_id, "now_us": now_us}, sql.to_account))

    def accounts_after(self, after: int, limit: int, now_us: int, user_id: int | None = None) -> Iterator[Account]:
        """Wallets, or those of a user, in the order of their ids, from the one after `after` on (limit -1: all)."""
        statement = sql.ACCOUNTS_AFTER if user_id is None else sql.ACCOUNTS_OF_USER_AFTER
        values = {"after": after, "limit": limit, "now_us": now_us, "user_id": user_id}
        return self._each(statement, values, sql.to_account)

    def account_owned(self, wallet_id: int, user_id: int, now_us: int) -> Account | None:
        values = {"id": wallet_id, "user_id": user_id, "now_us": now_us}
        return self._one(sql.ACCOUNT_OWNED, values, sql.to_account)

    def wallet_owned(self, wallet_id: int, user_id: int) -> Wallet | None:
        return self._one(sql.WALLET_OWNED, {"id": wallet_id, "user_id": user_id}, sql.to_wallet)

    def operator_by_hash(self, key_hash: bytes) -> Operator | None:
        return self._one(sql.OPERATOR_BY_HASH, {"key_hash": key_hash}, sql.to_operator)

    def operator_by_name(self, name: str) -> Operator | None:
        return self._one(sql.OPERATOR_BY_NAME, {"name": name}, sql.to_operator)

    def operators(self) -> list[Operator]:
        return list(self._each(sql.ALL_OPERATORS, {}, sql.to_operator))

    def transaction(self, wallet_id: int, seq: int) -> Transaction | None:
        return self._one(sql.TRANSACTION_BY_SEQ, {"wallet_id": wallet_id, "seq": seq}, sql.to_transaction)

    def transaction_by_key(self, wallet_id: int, key: str) -> Transaction | None:
        return self._one(sql.TRANSACTION_BY_KEY, {"wallet_id": wallet_id, "key": key}, sql.to_transaction)

    def reversals(self, wallet_id: int, seq: int) -> list[Transaction]:
        return list(self._each(sql.REVERSALS, {"wallet_id": wallet_id, "seq": seq}, sql.to_transaction))

    def hold(self, wallet_id: int, number: int) -> Hold | None:
        return self._one(sql.HOLD_BY_NUMBER, {"wallet_id": wallet_id, "number": number}, sql.to_hold)

    def holds_before(self, wallet_id: int, before: int, limit: int) -> Iterator[Hold]:
        """Holds of a wallet with numbers below `before`, the newest first, at most `limit` (-1: all)."""
        values = {"wallet_id": wallet_id, "before": before, "limit": limit}
        return self._each(sql.HOLDS_BEFORE, values, sql.to_hold)

    def last_seq_before(self, wallet_id: int, last: int, moment_us: int) -> int:
        """The number of transactions of a wallet before a moment, of which there are `last` in all."""
        found = self._one(
            sql.LAST_SEQ_BEFORE, {"wallet_id": wallet_id, "last": last, "moment_us": moment_us}, lambda row: row[0]
        )
        if found is None:
            raise StorageError(f"a transaction of wallet {wallet_id} is missing", hint="`wallet verify` names it")
        return int(found)

    def newest_first(
        self, wallet_id: int, first: int, last: int, limit: int, wanted: Filter | None = None
    ) -> Iterator[Transaction]:
        """Transactions `first` to `last` of a wallet that are `wanted`, the newest first, at most `limit` (-1: all)."""
        values: dict[str, Any] = {"wallet_id": wallet_id, "first": first, "last": last, "limit": limit}
        statement = sql.NEWEST_FIRST
        if wanted is not None:
            statement, more = sql.filtered(wanted)
            values |= more
        return self._each(statement, values, sql.to_transaction)

    def in_order(self, wallet_id: int, first: int, last: int) -> Iterator[Transaction]:
        """Transactions `first` to `last` of a wallet, the oldest first."""
        values = {"wallet_id": wallet_id, "first": first, "last": last}
        return self._each(sql.IN_ORDER, values, sql.to_transaction)

    # For a batch that is to be written (storage/loading.py).

    def accounts(self, ids: Sequence[int], now_us: int) -> list[Account]:
        """The accounts that there are of those wallets, in any order."""
        if len(ids) == 1:
            account = self.account(ids[0], now_us)
            return [] if account is None else [account]
        found: list[Account] = []
        for chunk in in_chunks(ids):
            found += self._each(sql.accounts_by_ids(len(chunk)), [*chunk, now_us], sql.to_account)
        return found

    def keyed(self, pairs: Sequence[tuple[int, str]]) -> list[Transaction]:
        """The transactions that bear one of those (wallet id, key) pairs, in any order."""
        found: list[Transaction] = []
        for chunk in in_chunks(pairs):
            found += self._each(
                sql.transactions_by_keys(len(chunk)), list(chain.from_iterable(chunk)), sql.to_transaction
            )
        return found

    def hold_by_key(self, wallet_id: int, key: str) -> Hold | None:
        return self._one(sql.HOLD_BY_KEY, {"wallet_id": wallet_id, "key": key}, sql.to_hold)

    def lapsed_holds(self, wallet_id: int, now_us: int) -> list[Hold]:
        """Open holds that are past their expiry."""
        return list(self._each(sql.LAPSED_HOLDS, {"wallet_id": wallet_id, "now_us": now_us}, sql.to_hold))

    def reversed_amount(self, wallet_id: int, seq: int) -> int:
        """How much of a transaction has been taken back, in minor units."""
        return int(self._one(sql.REVERSED, {"wallet_id": wallet_id, "seq": seq}, lambda row: row[0]) or 0)

    def next_user_id(self) -> int:
        return self._next_id(sql.LAST_USER_ID)

    def next_wallet_id(self) -> int:
        return self._next_id(sql.LAST_WALLET_ID)

    def oldest_first(self, wallet_id: int) -> Iterator[Transaction]:
        return self._each(sql.OLDEST_FIRST, {"wallet_id": wallet_id}, sql.to_transaction)

    def users(self) -> Iterator[User]:
        return self._each(sql.ALL_USERS, {}, sql.to_user)

    def wallets(self) -> Iterator[Wallet]:
        return self._each(sql.ALL_WALLETS, {}, sql.to_wallet)

    def holds_in_order(self, wallet_id: int | None = None) -> Iterator[Hold]:
        """All holds, or those of a wallet, by wallet and number."""
        if wallet_id is None:
            return self._each(sql.ALL_HOLDS, {}, sql.to_hold)
        return self._each(sql.HOLDS_IN_ORDER, {"wallet_id": wallet_id}, sql.to_hold)

    def exported(self, first_wallet: int, last_wallet: int) -> Iterator[Sequence[Any]]:
        """The transactions of a range of wallets, by wallet and seq, as rows of sql.EXPORTED."""
        with translating(self.path):
            yield from self.connection.execute(sql.EXPORTED, {"first": first_wallet, "last": last_wallet})

    def named_wallets(self, first_wallet: int, last_wallet: int) -> Iterator[tuple[Wallet, str]]:
        """A range of wallets in the order of their ids, with their owners' E.164 numbers."""
        values = {"first": first_wallet, "last": last_wallet}
        return self._each(sql.NAMED_WALLETS, values, lambda row: (sql.to_wallet(row[:-1]), row[-1]))

    def stray_transaction(self) -> tuple[int, int] | None:
        """A transaction (wallet id, seq) of a wallet that is not there, if any."""
        return self._one(sql.STRAY_TRANSACTIONS, {}, tuple)

    def stray_hold(self) -> tuple[int, int] | None:
        """A hold (wallet id, number) of a wallet that is not there, if any."""
        return self._one(sql.STRAY_HOLDS, {}, tuple)

    def first_wrong(self, what: str, first_wallet: int, last_wallet: int) -> tuple[int, ...] | None:
        """The first row, of a range of wallets, that does not agree with others; `what` is one of sql.WRONG."""
        return self._one(sql.WRONG[what], {"first": first_wallet, "last": last_wallet}, tuple)

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

    # Writing: see writer/executor.py for the order.

    def begin(self) -> None:
        self._run("BEGIN IMMEDIATE")

    def load(self, commands: Sequence[Command], policy: Policy, now_us: int) -> State:
        return Loader(self, State(policy), now_us).load(commands)

    def write(self, made: Sequence[Made]) -> None:
        rows: dict[type, list[Sequence[Any]]] = {kind: [] for kind in _INSERTS}
        changed: dict[type, dict[Any, Sequence[Any]]] = {Wallet: {}, Hold: {}}
        for thing in made:
            if type(thing) is Transaction:
                rows[Transaction].append(thing)
            elif isinstance(thing, Wallet):
                # Of what changed more than once in the batch, the last state is written.
                changed[Wallet][thing.id] = sql.wallet_values(thing)
            elif isinstance(thing, Hold):
                changed[Hold][thing.wallet_id, thing.number] = thing
            else:
                rows[type(thing)].append(thing)
        for kind, latest in changed.items():
            rows[kind] = list(latest.values())
        # In the order in which they are stored: a large batch over many wallets is written a third faster.
        rows[Transaction].sort(key=_PLACE)
        with translating(self.path):
            for kind, statement in _INSERTS.items():
                if rows[kind]:
                    self._insert(statement, rows[kind])

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
        assert isinstance(made, User)
        return self.user_by_id(made.id) == made

    # How statements are run.

    def _run(self, statement: str) -> None:
        with translating(self.path):
            self.connection.execute(statement)

    def _rows(self, statement: str) -> list[Any]:
        with translating(self.path):
            return self.connection.execute(statement).fetchall()

    def _one(self, statement: str, values: dict[str, Any], make: Callable[[Sequence[Any]], T]) -> T | None:
        with translating(self.path):
            row = self.connection.execute(statement, values).fetchone()
        return None if row is None else make(row)

    def _each(
        self, statement: str, values: dict[str, Any] | list[Any], make: Callable[[Sequence[Any]], T]
    ) -> Iterator[T]:
        with translating(self.path):
            for row in self.connection.execute(statement, values):
                yield make(row)

    def _next_id(self, statement: str) -> int:
        return (self._rows(statement)[0][0] or 0) + 1


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
