"""A ledger in PostgreSQL: the same tables, written by any number of servers at once.

The turn is row locks: a batch locks its wallets in the order of their ids, and reads them in statements after that, so
that it sees what whoever held them before has committed. Two batches over different wallets do not wait for each other.
What the database undoes because others wrote meanwhile (serialization failures, deadlocks, a number that somebody else
took) is a Collision, and the executor carries the whole batch out again. A connection that breaks is made anew for the
next batch.

A COMMIT that fails is an unknown outcome. It is settled by looking for a row that only this batch can have written,
with its wallet's row locked, so that a commit which is still under way has ended by then.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from psycopg import errors, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from wallet_cli.domain.commands import Command, Made
from wallet_cli.domain.model import Account, Hold, Operator, Policy, Transaction, User, Wallet
from wallet_cli.domain.rules import State
from wallet_cli.errors import Busy, Collision, InvalidInput, StorageError, WalletError
from wallet_cli.storage import sql
from wallet_cli.storage.loading import Loader
from wallet_cli.storage.reading import Reading, Values
from wallet_cli.storage.writing import Rows, rows_of

APPLICATION_NAME = "wallet"
CREATING_LOCK = 0x57414C54
"""`WALT`: the advisory lock of those who make users and wallets, whose ids follow each other without a gap."""

CONNECT_TIMEOUT_S = 5
RECONNECT_PAUSE_S = 0.5
SILENCE_TIMEOUT_MS = 5_000
"""How long sent bytes may stay without an answer from the other host before the connection counts as lost."""

IDLE_IN_TURN_S = 30
"""How long the server keeps the locks of a program that it has not heard of."""

STATEMENT_MARGIN_S = 10
COPY_FROM_ROWS = 200
"""From so many rows on, COPY is quicker than an INSERT for each."""

OLDEST_SERVER = 150000

DEFAULTS: Mapping[str, Any] = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "application_name": APPLICATION_NAME,
    # Of several hosts, the one that is the primary.
    "target_session_attrs": "read-write",
    "tcp_user_timeout": SILENCE_TIMEOUT_MS,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
}

T = TypeVar("T")
Notify = Callable[[str], None]


class Unreachable(StorageError):
    """There is no talking to the server, now."""


class PostgresStore(Reading):
    """A ledger on a server, over one connection at a time. Use it from one thread, and never across a fork.

    `lock_timeout_s` bounds the wait for a row lock. Raises StorageError where the server cannot be reached, or what is
    there is not a ledger of this version, and InvalidInput for a URL that cannot be read.
    """

    closes_under_turn = False
    is_local = False
    may_come_back = True

    def __init__(self, url: str, lock_timeout_s: float) -> None:
        self._conninfo = _conninfo(url)
        self.name = shown_url(url)
        self._lock_timeout_s = lock_timeout_s
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._read_only = False
        self._in_batch = False
        self._in_snapshot = False
        self._apart = self._ended = False
        self._returning: threading.Thread | None = None
        self._doubtful = False
        """Whether the server said, of the last commit, that it may not have reached the standby."""

    # The connection.

    @property
    def connection(self) -> psycopg.Connection[tuple[Any, ...]]:
        """The connection, made anew where there is none or it is broken."""
        if self._connection is None or self._connection.closed:
            self._in_batch = self._in_snapshot = False
            if self._apart:
                self._come_back()
                raise Unreachable(f"the database cannot be reached: {self.name}", hint="try again, with the same key")
            self._connection = self._connect()
        return self._connection

    def reconnect_apart(self) -> None:
        """From now on, a connection that breaks is made anew by a thread, and until it is there asking fails at once.

        For an event loop, which has others to see to.
        """
        self._apart = True

    def _come_back(self) -> None:
        """Have the connection made anew, unless that is under way."""
        if self._returning is None or not self._returning.is_alive():
            self._returning = threading.Thread(target=self._connect_in_the_end, name="wallet-reconnect", daemon=True)
            self._returning.start()

    def _connect_in_the_end(self) -> None:
        while not self._ended:
            try:
                self._connection = self._connect()
                return
            except (StorageError, Busy):
                time.sleep(RECONNECT_PAUSE_S)

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        with self._translating():
            connection = psycopg.connect(self._conninfo, autocommit=True)
            try:
                if connection.info.server_version < OLDEST_SERVER:
                    version = connection.info.server_version // 10_000
                    raise StorageError(f"PostgreSQL {version} is too old", hint="15 or newer")
                connection.add_notice_handler(self._noticed)
                row = connection.execute("SELECT pg_backend_pid()").fetchone()
                assert row is not None
                if row[0] != connection.info.backend_pid:
                    # Somebody stands between who gives each transaction another session: nothing may stay behind there.
                    connection.prepare_threshold = None
            except BaseException:
                connection.close()
                raise
        return connection

    def _noticed(self, notice: errors.Diagnostic) -> None:
        if "synchronous replication" in (notice.message_primary or ""):
            self._doubtful = True

    def close(self) -> None:
        self._ended = True
        if self._connection is not None:
            self._connection.close()

    def forbid_writes(self) -> None:
        """Let this store only read, whatever is asked of it."""
        self._read_only = True

    def version(self) -> int:
        """The schema version; 0 where there is no ledger yet. Raises StorageError for what is no ledger, or newer."""
        try:
            found = self._one("SELECT version_num FROM alembic_version", {}, lambda row: str(row[0]))
        except NoSuchTable:
            return 0
        if found is None or not re.fullmatch(r"\d{4}", found):
            raise StorageError(f"this is a database, but not a wallet ledger: {self.name}", hint="check --db")
        if int(found) > sql.SCHEMA_VERSION:
            raise StorageError(
                f"this ledger was made by a newer wallet (schema {int(found)}; this one knows {sql.SCHEMA_VERSION}):"
                f" {self.name}",
                hint="upgrade wallet-cli",
            )
        return int(found)

    def migrate(self, notify: Notify) -> None:
        """Make the tables, or bring older ones up to date, in one transaction that one server makes at a time."""
        import sqlalchemy

        from wallet_cli.storage.migrate import upgrade

        engine = sqlalchemy.create_engine(
            "postgresql+psycopg://", creator=lambda: self.connection, poolclass=sqlalchemy.StaticPool
        )
        before = 0
        with self._translating():
            connection = self.connection
            connection.autocommit = False
            try:
                with engine.begin() as wrapped:
                    wrapped.execute(sqlalchemy.text(f"SELECT pg_advisory_xact_lock({CREATING_LOCK})"))
                    before = self._version_within(connection)
                    upgrade(wrapped)
            except sqlalchemy.exc.DBAPIError as error:
                raise error.orig or error from error
            finally:
                if not connection.closed:
                    connection.rollback()
                    connection.autocommit = True
        if not before:
            notify(f"made a new ledger: {self.name}")
        elif before < sql.SCHEMA_VERSION:
            notify(f"migrated the ledger from schema {before} to {sql.SCHEMA_VERSION}: {self.name}")

    @staticmethod
    def _version_within(connection: psycopg.Connection[tuple[Any, ...]]) -> int:
        row = connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL").fetchone()
        if row is None or not row[0]:
            return 0
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return int(found[0]) if found is not None else 0

    def damage(self) -> str | None:
        """The server sees to its own files."""
        return None

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all that is read in a `with` block be of one moment, while others write."""
        if self._in_snapshot or self._in_batch:
            yield
            return
        self._run("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        self._in_snapshot = True
        try:
            yield
        finally:
            self._in_snapshot = False
            self.rollback()

    @contextmanager
    def many_batches(self) -> Iterator[None]:
        """For a run of large batches: the server needs no telling."""
        yield

    # Writing: see writer/executor.py for the order.

    def begin(self) -> None:
        """The transaction is begun together with its locks, in `lock`: one round trip less."""
        if self._read_only:
            raise StorageError("this connection only reads")
        self._in_batch = False

    def load(self, commands: Sequence[Command], policy: Policy, now_us: int) -> State:
        return Loader(self, State(policy), now_us).load(commands)

    def lock(self, wallet_ids: Sequence[int], now_us: int, *, creating: bool) -> list[Account]:
        """Begin, lock, and read what is locked, in one round trip.

        The accounts are read by a statement of its own: it sees what whoever had the locks before has committed.
        """
        parts = []
        if not self._in_batch:
            wait_ms = max(1, int(self._lock_timeout_s * 1000))
            parts += [
                "BEGIN",
                f"SET LOCAL lock_timeout = {wait_ms}",
                f"SET LOCAL statement_timeout = {wait_ms + STATEMENT_MARGIN_S * 1000}",
                f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_IN_TURN_S}s'",
            ]
        if creating:
            parts.append(f"SELECT pg_advisory_xact_lock({CREATING_LOCK})")
        if wallet_ids:
            ids = ", ".join(map(str, wallet_ids))
            parts.append(f"SELECT 1 FROM wallets WHERE id IN ({ids}) ORDER BY id FOR UPDATE")
            parts.append(_with_numbers(sql.accounts_by_ids(len(wallet_ids)), [*wallet_ids, now_us]))
        if not parts:
            return []
        with self._translating():
            cursor = self._first("; ".join(parts).encode())
            self._in_batch = True
            for _ in parts[1:]:
                cursor.nextset()
            return [sql.to_account(row) for row in cursor.fetchall()] if wallet_ids else []

    def _first(self, statement: bytes) -> psycopg.Cursor[tuple[Any, ...]]:
        """Run what begins a batch: where an idle connection turns out to be dead, nothing is lost by another one."""
        idle = self._connection
        try:
            return self.connection.execute(statement)
        except psycopg.OperationalError:
            if idle is None or not idle.closed or self._in_batch:
                raise
            return self.connection.execute(statement)

    def write(self, made: Sequence[Made]) -> None:
        with self._translating(), self.connection.cursor() as cursor:
            for statement, rows in rows_of(made):
                if statement is sql.INSERT_TRANSACTION and len(rows) >= COPY_FROM_ROWS:
                    self._copy(cursor, rows)
                else:
                    cursor.executemany(_translated(statement), [_plain(row) for row in rows])

    @staticmethod
    def _copy(cursor: psycopg.Cursor[tuple[Any, ...]], rows: Rows) -> None:
        columns = ", ".join(sql.TRANSACTION_COLUMNS)
        with cursor.copy(f"COPY transactions ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(_plain(row))

    def commit(self) -> None:
        self._doubtful = False
        self._run("COMMIT")
        self._in_batch = False
        if self._doubtful:
            raise Unreachable("the standby has not confirmed the commit", hint="send it again with the same key")

    def rollback(self) -> None:
        self._in_batch = False
        connection = self._connection
        if connection is None or connection.closed:
            return
        if connection.info.transaction_status != pq.TransactionStatus.IDLE:
            with suppress(StorageError, Busy):  # a broken connection has nothing left to roll back
                self._run("ROLLBACK")

    def holds(self, made: Made) -> bool:
        """Whether a row of a batch whose commit failed is there, once no other transaction can still be writing it.

        Raises StorageError while that cannot be known.
        """
        wallet_id = _wallet_of(made)
        self.begin()
        try:
            self.lock([] if wallet_id is None else [wallet_id], 0, creating=wallet_id is None)
            there = self._is_there(made)
            if there:
                # A commit of our own waits until the standby has it, and so all that was committed before.
                self._run("SELECT pg_current_xact_id()")
                self.commit()
        finally:
            self.rollback()
        return there

    def _is_there(self, made: Made) -> bool:
        """By what never changes about it; of what can change, by all of it."""
        if isinstance(made, Transaction):
            return self.transaction(made.wallet_id, made.seq) == made
        if isinstance(made, User):
            return self.user_by_id(made.id) == made
        if isinstance(made, Operator):
            return self.operator_by_name(made.name) == made
        if isinstance(made, Hold):
            known = self.hold(made.wallet_id, made.number)
            if known is None or made.ended_at_us is not None:
                return known == made
            return (known.amount, known.created_at_us, known.key) == (made.amount, made.created_at_us, made.key)
        account = self.account(made.id, 0)
        return account is not None and account.wallet == made

    # How statements are run.

    def _run(self, statement: str) -> None:
        with self._translating():
            self.connection.execute(statement.encode())

    def _one(self, statement: str, values: Values, make: Callable[[Sequence[Any]], T]) -> T | None:
        with self._translating():
            row = self.connection.execute(_translated(statement), _bound(values)).fetchone()
        return None if row is None else make(row)

    def _each(self, statement: str, values: Values, make: Callable[[Sequence[Any]], T]) -> Iterator[T]:
        with self._translating():
            connection = self.connection
            if self._in_snapshot and statement in sql.WALKS:
                with connection.cursor(name=_cursor_name()) as walk:
                    walk.itersize = 2000
                    for row in walk.execute(_translated(statement), _bound(values)):
                        yield make(row)
                return
            rows = connection.execute(_translated(statement), _bound(values)).fetchall()
        for row in rows:
            yield make(row)

    @contextmanager
    def _translating(self) -> Iterator[None]:
        """Turns what the driver raises into an error of the tree."""
        try:
            yield
        except psycopg.Error as error:
            raise self._translated_error(error) from error

    def _translated_error(self, error: psycopg.Error) -> WalletError:
        retry = "try again, with the same key"
        if isinstance(error, errors.SerializationFailure | errors.DeadlockDetected | errors.UniqueViolation):
            return Collision("others wrote to the same wallets at the same time", hint=retry)
        if isinstance(error, errors.LockNotAvailable):
            return Busy(f"no turn to write within {self._lock_timeout_s:g} s: others have it", hint=retry, holder=None)
        if isinstance(error, errors.QueryCanceled):
            return Busy("the database took too long", hint=retry, holder=None)
        if isinstance(error, errors.UndefinedTable):
            return NoSuchTable(f"there is no ledger in this database: {self.name}", hint="check --db")
        if isinstance(error, errors.DuplicateTable):
            return StorageError(
                f"the database has tables of other programs with these names: {self.name}",
                hint="give the ledger a database of its own",
            )
        message = f"{_reason(error)}: {self.name}"
        if isinstance(error, errors.InsufficientPrivilege):
            return StorageError(message, hint="the database role needs more rights")
        if isinstance(error, psycopg.OperationalError | errors.ReadOnlySqlTransaction | psycopg.InterfaceError):
            if self._connection is not None:
                self._connection.close()
            hints = {
                "role": "check the user and the password",
                "password": "check the user and the password",
                "authentication": "check the user and the password",
                "does not exist": "check the database's name",
                "SSL": "add sslmode=require to the URL, or check the certificate",
                "encryption": "add sslmode=require to the URL",
            }
            hint = next((hint for word, hint in hints.items() if word in message), "is the server there? " + retry)
            return Unreachable(message, hint=hint)
        return StorageError(message, hint="WALLET_DEBUG=1 shows more")


class NoSuchTable(StorageError):
    """The database holds no ledger."""


def _reason(error: psycopg.Error) -> str:
    """What the server or the driver says, in one line."""
    if error.diag.message_primary:
        return error.diag.message_primary
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    # Of several hosts or causes, what the server itself said comes last.
    line = next((line for line in reversed(lines) if "FATAL:" in line), lines[0])
    return line.rpartition("FATAL:")[2].strip()


def shown_url(url: str) -> str:
    """A URL as it may be printed: with no password."""
    return re.sub(r"(//[^:/@]*):[^@]*@", r"\1@", re.sub(r"(password=)[^&\s]*", r"\1…", url))


def _conninfo(url: str) -> str:
    try:
        given = conninfo_to_dict(url)
        return make_conninfo(**{**DEFAULTS, **{name: value for name, value in given.items() if value is not None}})
    except psycopg.ProgrammingError:
        # What the driver says may quote the URL, password and all.
        raise InvalidInput(
            f"not a PostgreSQL URL: {shown_url(url)}", hint="postgresql://user:password@host:5432/database"
        ) from None


@lru_cache(maxsize=1024)
def _translated(statement: str) -> bytes:
    """A statement with `:named` or `?` parameters as the driver takes it."""
    text = statement.replace("%", "%%")
    text = re.sub(r"(?<![:\w]):(\w+)", r"%(\1)s", text)
    return text.replace("?", "%s").encode()


def _with_numbers(statement: str, numbers: Sequence[int]) -> str:
    """A statement with whole numbers in the place of its `?`: many statements at once take no parameters."""
    rest = iter(numbers)
    return re.sub(r"\?", lambda _: str(int(next(rest))), statement)


def _bound(values: Values) -> Any:
    """Values as the driver takes them: no limit is NULL, not -1."""
    if isinstance(values, dict) and values.get("limit") == -1:
        return values | {"limit": None}
    return values


def _plain(row: Sequence[Any]) -> tuple[Any, ...]:
    """A row with its truth values as the whole numbers that both engines keep."""
    return tuple(int(value) if isinstance(value, bool) else value for value in row)


def _wallet_of(made: Made) -> int | None:
    if isinstance(made, Transaction | Hold):
        return made.wallet_id
    return made.id if isinstance(made, Wallet) else None


_cursors = threading.local()


def _cursor_name() -> str:
    """A name that no other open cursor of this thread has."""
    _cursors.count = getattr(_cursors, "count", 0) + 1
    return f"walk_{_cursors.count}"
