"""A ledger in PostgreSQL: the same tables, written by any number of servers at once.

A turn is row locks: a batch locks its wallets in the order of their ids, and reads them in later statements, so it sees
what the previous lock holders committed. Two batches over different wallets do not wait for each other. If the database
undoes a batch because others wrote at the same time (serialization failures, deadlocks, a number already taken), that
is a Collision, and the executor runs the whole batch again. A broken connection is replaced for the next batch.

A COMMIT without an answer is an unknown outcome. To settle it, the store looks for a row that only this batch can have
written. It locks the row's wallet first, so a commit that is still running has ended by then.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any, Literal, TypeVar

import psycopg
from psycopg import errors, pq

from wallet_cli.domain.commands import Change
from wallet_cli.domain.events import WALLET, Subject
from wallet_cli.domain.model import (
    Account,
    Event,
    Hold,
    LedgerFacts,
    Transaction,
    Wallet,
)
from wallet_cli.domain.purpose import HOW_TO_MAKE, Purpose, there_already
from wallet_cli.errors import (
    Busy,
    Collision,
    Damaged,
    InvalidInput,
    LedgerNotFound,
    StorageError,
    Undefined,
    Unreachable,
    WalletError,
    shown_url,
)
from wallet_cli.storage import session, sql
from wallet_cli.storage.bulk_copy import BulkCopy
from wallet_cli.storage.ledger_file import First, first_of_older, words_of_zone
from wallet_cli.storage.move_state import Itself, check_writable
from wallet_cli.storage.pg_connection import (
    URL_HINT,
    Connection,
    UntilReady,
    bound,
    conninfo_of,
    plain,
    spelled,
    translated,
    with_numbers,
)
from wallet_cli.storage.queries import Values, as_it_is, replaced
from wallet_cli.storage.sql import Copied
from wallet_cli.storage.writing import Rows, flat, rows_of

CREATING_LOCK = 0x57414C54
"""`WALT`: the advisory lock for creating users and wallets, whose ids must have no gap."""

RECONNECT_PAUSE_S = 0.5
IDLE_IN_TURN_S = 30
"""How long the server keeps the locks of a silent program."""

STATEMENT_MARGIN_S = 10
"""How much longer than the wait for a lock a statement may take, by the server's clock."""

HEARING_MARGIN_S = 5
"""How long after a statement's time-out the server may stay silent; then it counts as gone."""

QUICK_SILENCE_S = 2.0
"""How long an event loop waits for an answer that should take a millisecond; other requests wait too."""

GONE_CHECK_MS = 1_000
"""How often the server checks, during a long read, whether the client is still there."""

LONG_SILENCE_S = 86_400.0
"""How long a statement over a whole table may take."""

MAX_READ_TRIES = 20

SET_HEADS = (
    "UPDATE witnesses x SET seq = v.seq, hash = CAST(v.hash AS bytea) FROM (VALUES (?, ?, ?)) v (seq, hash, wallet_id)"
    " WHERE x.wallet_id = v.wallet_id"
)
"""sql.SET_HEAD for any number of wallets at once."""

PREPARED = "wallet_accounts"
PREPARE = (
    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;"
    f" PREPARE {PREPARED} (bigint[], bigint) AS {sql.accounts_of('SELECT unnest($1)', '$2')}"
)
"""Reads accounts. A turn uses it from the second one of a session on: planning takes longer than reading.

It is planned once, for any number of accounts, and by the indexes, also while the tables are small: they may grow.
"""

COPY_FROM_ROWS = 200
"""From this many rows on, COPY is as fast as one INSERT of them all, and takes less memory."""

OLDEST_SERVER = 150000

CLOCK = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"
VERSION = f"SELECT version_num, {session.COMMITS_BY} FROM alembic_version"
"""The schema version, and how a commit would be made durable."""

MAY_WRITE = """
SELECT NOT pg_is_in_recovery() AND bool_and(has_table_privilege(name, 'INSERT')) FROM unnest(%s::text[]) AS given (name)
"""

TAKEN = "SELECT 1 FROM unnest(%s::text[]) AS given (name) WHERE to_regclass(name) IS NOT NULL LIMIT 1"
"""Whether a table has the name of one of the ledger's."""

OTHERS_TABLES = "the database has other programs' tables with the ledger's names"
SEPARATE_DATABASE = "give the ledger a separate database"

OWNER_MIGRATES = "any command that writes migrates it as the owner of the tables, and so does `wallet serve`"

LEDGER_SINCE = 4
"""The first schema with a table for the move state."""

WRONG_OPTION = re.compile(
    r"invalid .*value|could not match|invalid port number|bad value|definition of service|unrecognized configuration"
)
"""The driver's errors about the options in a URL, when it connects."""

HINTS = {
    r"certificate file": "give the file as sslrootcert=, or the system's certificates as sslrootcert=system",
    r"certificate": "give the certificate of the server's signer as sslrootcert=",
    r"does not support SSL": "enable TLS on the server, or remove sslmode= from the URL",
    r"no encryption|pg_hba\.conf": "add sslmode=require to the URL, or allow this connection in the server's"
    " pg_hba.conf",
    r"SSL": "the server and the URL must agree on sslmode=",
    r"too many|connection slots": "wait, or allow more connections",
    r"password|authentication|role .* (does not exist|is not permitted)": "check the user and the password",
    r"database .* does not exist": "check the database's name, or CREATE DATABASE",
    r"permission denied for database": "GRANT CONNECT ON DATABASE … TO the role",
    r"permission denied for schema": "GRANT CREATE ON SCHEMA … TO the role: it creates the tables of the ledger",
    r"row-level security": "a ledger needs all its rows: remove the policies, or give the role BYPASSRLS",
    r"due to .*time-?out": "raise that time-out for the role, the database or the server",
    r"permission denied": "give the role the rights that it needs: docs/postgres.md lists those of servers, and of"
    " users who may only read",
    r"read-only": "give the URL of the primary; is default_transaction_read_only set for the role or the database?"
    " To read from here, add target_session_attrs=any to the options of the URL",
    r"recovery|standby": "give the URL of the primary; to read from here, add target_session_attrs=any to the options"
    " of the URL",
    r"No space left": "free some space on the server's disk",
}
"""Hints by the text of an error. The first match counts."""

# After a batch that collided, the driver would print on stderr that it ignores the rest.
logging.getLogger("psycopg").setLevel(logging.CRITICAL)

T = TypeVar("T")
Notify = Callable[[str], None]


class PostgresStore(BulkCopy):
    """A ledger on a server, over one connection at a time. Use it from one thread, and never across a fork.

    `lock_timeout_s` limits the wait for a row lock. Raises StorageError if the server cannot be reached or has no
    ledger of this version, and InvalidInput for a URL that cannot be read.
    """

    is_local: Literal[False] = False
    may_come_back = True
    is_undone = False
    how_to_restore = "by PostgreSQL's own tools, as docs/postgres.md says"
    facts_last_s = 1.0
    """A query is a round trip: a server that reads does not make one for each request."""

    def __init__(self, url: str, lock_timeout_s: float) -> None:
        self._conninfo = conninfo_of(url)
        self.name = shown_url(url)
        self._lock_timeout_s = lock_timeout_s
        self._silence_s = lock_timeout_s + STATEMENT_MARGIN_S + HEARING_MARGIN_S
        self._connection: Connection | None = None
        self._away_since_s: float | None = None
        self._read_only = False
        self._in_batch = self._in_turn = False
        self._unsent: list[bytes] = []
        """Statements of this batch that are sent with the next one."""
        self._before_commit: tuple[str, ...] = ()
        """Statements that make this transaction's commit durable: see storage/session.py."""
        self._ends_reads = False
        self._in_snapshot = False
        self._apart = self._ended = False
        self._until_ready: UntilReady | None = None
        self._returning: threading.Thread | None = None
        self._pins: tuple[str, ...] = ()
        """The first statements of each transaction, where each may use another session: see storage/session.py."""
        self._has_schema = True
        """Whether the role may use a schema of its search path."""
        self._id: str | None = None
        """The id of the ledger, which never changes, except while a move arrives."""
        self._refused: StorageError | None = None
        """Why the database is not used although it can be reached."""
        self._doubtful = False
        """Whether the server warned that the last commit may not have reached the standby."""

    # The connection.

    @property
    def connection(self) -> Connection:
        """The connection; a new one if there is none or it is broken."""
        if self._connection is None or self._connection.closed:
            self._in_batch = self._in_snapshot = False
            if self._apart:
                self._come_back()
                raise self.unreachable()
            self._connection = self._connect()
        return self._connection

    def reconnect_apart(self) -> None:
        """From now on, a thread replaces a broken connection, and until then every query fails at once.

        For an event loop, which has other work; it waits QUICK_SILENCE_S for an answer.
        """
        self._apart = True
        self._silence_s = QUICK_SILENCE_S
        if self._connection is not None:
            self._connection.silence_s = QUICK_SILENCE_S

    def wait_by(self, until_ready: UntilReady) -> None:
        """From now on, wait for the server with this function. A broken connection is replaced by a thread, because
        connecting does not wait this way.
        """
        self._apart = True
        self._until_ready = until_ready
        if self._connection is not None:
            self._connection.until_ready = until_ready

    def away_s(self) -> float:
        """How long a thread has been replacing the connection; 0 while there is one."""
        since_s = self._away_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def unreachable(self) -> StorageError:
        if self._refused is not None:
            return StorageError(self._refused.message, hint=self._refused.hint)
        return Unreachable(f"the database cannot be reached: {self.name}", hint="try again, with the same key")

    def is_there(self) -> bool:
        """Whether there is a connection, as far as is known; if not, a thread is replacing it."""
        connection = self._connection
        if connection is not None and not connection.closed:
            try:
                connection.pgconn.consume_input()  # notices a closed connection
                return True
            except psycopg.OperationalError:
                connection.close()
        self._come_back()
        return False

    def end_reads_after(self, seconds: float) -> None:
        """Let no statement take longer, or run on for long after this client has gone."""
        if self.connection.prepare_threshold is not None:  # otherwise the session is shared
            self._ends_reads = True
            self._run(f"SET statement_timeout = {int(seconds * 1000)}")
            self._run(f"SET client_connection_check_interval = {GONE_CHECK_MS}")

    def ping(self) -> None:
        """Run an empty query. Raises StorageError or Busy if the server does not answer."""
        self._run("SELECT")

    def _come_back(self) -> None:
        """Start to replace the connection, unless that is already running."""
        if self._away_since_s is None:
            self._away_since_s = time.monotonic()
        if self._returning is None or not self._returning.is_alive():
            self._returning = threading.Thread(target=self._connect_in_the_end, name="wallet-reconnect", daemon=True)
            self._returning.start()

    def _connect_in_the_end(self) -> None:
        while not self._ended:
            try:
                connection = self._connection = self._connect()
                self._away_since_s = self._refused = None
                if self._ended:  # the store was closed meanwhile, and did not see this one
                    connection.close()
                return
            except (Unreachable, Busy):
                self._refused = None
            except StorageError as error:
                self._refused = error
            time.sleep(RECONNECT_PAUSE_S)

    def _connect(self) -> Connection:
        with self._translating():
            connection = Connection.connect(self._conninfo, autocommit=True)
            try:
                if connection.info.server_version < OLDEST_SERVER:
                    version = connection.info.server_version // 10_000
                    raise StorageError(f"PostgreSQL {version} is too old", hint="15 or newer")
                encoding = connection.info.parameter_status("server_encoding")
                if encoding not in (None, "UTF8"):
                    raise StorageError(
                        f"this database keeps text as {encoding}: {self.name}",
                        hint="CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
                    )
                connection.add_notice_handler(self._noticed)
                self._set_up(connection)
                connection.silence_s = self._silence_s
                connection.until_ready = self._until_ready
            except BaseException:
                connection.close()
                raise
        return connection

    def _set_up(self, connection: Connection) -> None:
        """Apply the session's settings. Raises StorageError for a session in which an answer could be false."""
        pid, path = _last_row(connection, session.BY_DEFAULT, session.WHICH_SCHEMA)
        self._has_schema = path is not None
        settings = session.settings_of(path)
        if pid == connection.info.backend_pid:
            found = _last_row(connection, *(f"SET {each}" for each in settings), session.WHAT_IS_SET)
        else:
            # A pool in between gives each transaction another session: nothing may stay behind there. A pool that gives
            # each statement another session allows no transactions.
            connection.prepare_threshold = None
            self._pins = tuple(f"SET LOCAL {each}" for each in settings)
            connection.execute("BEGIN")
            found = _last_row(connection, *self._pins, session.WHAT_IS_SET)
            connection.execute("ROLLBACK")
        self.warnings = session.check(found, self.name)
        self._facts = None  # a server that replaces another one may have another ledger

    def _noticed(self, notice: errors.Diagnostic) -> None:
        # After a COMMIT: it no longer waited for the standby. The message is in the server's language.
        if notice.severity_nonlocalized == "WARNING":
            self._doubtful = True

    def close(self) -> None:
        self._ended = True
        if self._connection is not None:
            self._connection.close()

    def forbid_writes(self) -> None:
        """Make this store read-only, whatever statement it gets."""
        self._read_only = True

    def check_whole(self) -> Itself:
        itself = super().check_whole()
        self._id = itself.facts.uuid
        return itself

    def _know(self, row: Sequence[Any] | None) -> Itself:
        found = super()._know(row)
        if None not in (self._id, found.facts.uuid) and self._id != found.facts.uuid:
            self._facts = None
            raise replaced(self.name)
        return found

    def version(self) -> int:
        """The schema version; 0 if there is no ledger yet. Raises StorageError if it is not a ledger, or a newer
        one.
        """
        try:
            found = list(self._each(VERSION, {}, as_it_is))
        except NoSuchTable:
            if not self._has_schema:
                raise StorageError(
                    f"this role may use no schema of its search path: {self.name}",
                    hint="GRANT USAGE ON SCHEMA … TO the role, or set another search_path",
                ) from None
            return 0
        version = self._version_in(found)
        if version > sql.SCHEMA_VERSION:
            raise StorageError(
                f"this ledger was created by a newer wallet (schema {version}; this one knows {sql.SCHEMA_VERSION}):"
                f" {self.name}",
                hint="upgrade wallet-cli",
            )
        return version

    def _version_in(self, rows: Sequence[Sequence[Any]]) -> int:
        """The schema version that the rows of VERSION give. Raises StorageError if they are not those of a ledger."""
        if len(rows) > 1:
            raise Damaged(
                f"{Damaged.DAMAGED}the table alembic_version has {len(rows)} rows: {self.name}", hint="restore a backup"
            )
        if not rows or not re.fullmatch(r"\d{4}", rows[0][0]):
            raise StorageError(f"this is a database, but not a wallet ledger: {self.name}", hint="check --db")
        return int(rows[0][0])

    def prepare(
        self,
        purpose: Purpose,
        notify: Notify,
        first: First = LedgerFacts,
        actor: str | None = None,
        is_kept: Callable[[], bool] | None = None,
    ) -> bool:
        """Make sure of a ledger of this program's schema: create or migrate it if the purpose allows that.

        Returns whether there is one then: none is made to TRY, or where `is_kept` says that nothing would be in it.
        Raises InvalidInput if there is one, and it was to be NEW.
        """
        version = self.version()
        if not version:
            if purpose is Purpose.TRY or (purpose is Purpose.MAKE and is_kept is not None and not is_kept()):
                return False
            if not purpose.makes:
                with self._translating():
                    taken = self.connection.execute(TAKEN, (list(sql.TABLES),)).fetchone()
                hint = f"{OTHERS_TABLES}: {SEPARATE_DATABASE}" if taken else HOW_TO_MAKE
                raise LedgerNotFound(f"there is no ledger in this database: {self.name}", hint=hint)
        if purpose is Purpose.READ:
            if version < sql.SCHEMA_VERSION:
                raise StorageError(
                    f"this ledger has schema {version}, and this wallet reads {sql.SCHEMA_VERSION}: {self.name}",
                    hint=OWNER_MIGRATES,
                )
            self.forbid_writes()
        elif purpose is Purpose.NEW:
            if version or self.migrate(notify, first, actor):
                raise there_already(self.name)
        elif version < sql.SCHEMA_VERSION:
            try:
                self.migrate(notify, first, actor)
            except StorageError as error:
                if version and isinstance(error.__cause__, errors.InsufficientPrivilege):
                    error.hint = OWNER_MIGRATES
                raise
        return True

    def migrate(self, notify: Notify, first: First = LedgerFacts, actor: str | None = None) -> int:
        """Create the tables, or migrate older ones, in one transaction. Only one server does this at a time.

        Returns the version that was there, 0 if none was. `first` returns the settings of a new ledger; `actor` is who
        does this.
        """
        import sqlalchemy

        from wallet_cli.storage.ledger_events import record_upgrade
        from wallet_cli.storage.migrate import upgrade

        engine = sqlalchemy.create_engine(
            "postgresql+psycopg://", creator=lambda: self.connection, poolclass=sqlalchemy.StaticPool
        )
        before, known = 0, self.version()
        facts = LedgerFacts()
        with self._translating():
            connection = self.connection
            connection.autocommit = False
            try:
                with engine.begin() as wrapped:
                    # So that what another process created during the wait for the lock is seen.
                    wrapped.execute(sqlalchemy.text("SET TRANSACTION ISOLATION LEVEL READ COMMITTED"))
                    for pin in self._pins:
                        wrapped.execute(sqlalchemy.text(pin))
                    if LEDGER_SINCE <= known < sql.SCHEMA_VERSION:
                        # Ends all batches: later ones see the new version, and are refused. In their order: the table
                        # first, then the lock for creating users and wallets.
                        wrapped.execute(sqlalchemy.text("LOCK TABLE ledger IN EXCLUSIVE MODE"))
                    wrapped.execute(sqlalchemy.text(f"SELECT pg_advisory_xact_lock({CREATING_LOCK})"))
                    before = self._version_within(connection)
                    if before < sql.SCHEMA_VERSION:
                        facts = first_of_older(before, first) if before else first()
                        upgrade(wrapped)
                        for statement, row in sql.settings_of(facts):
                            connection.execute(translated(statement), row)
                        record_upgrade(
                            lambda statement, *values: connection.execute(translated(statement), *values),
                            before,
                            time.time_ns() // 1000,
                            actor,
                        )
                    self._heed_version(connection.execute(VERSION).fetchall())
                    for statement in self._before_commit:
                        wrapped.execute(sqlalchemy.text(statement))
            except sqlalchemy.exc.DBAPIError as error:
                raise error.orig or error from error
            finally:
                if not connection.closed:
                    connection.rollback()
                    connection.autocommit = True
        if not before:
            notify(f"created a new ledger: {self.name}")
        elif before < sql.SCHEMA_VERSION:
            notify(
                f"migrated the ledger from schema {before} to {sql.SCHEMA_VERSION}: {self.name}{words_of_zone(facts)}"
            )
        return before

    def _version_within(self, connection: psycopg.Connection[tuple[Any, ...]]) -> int:
        # Read from a table: a session refreshes its cache of names only when it locks one.
        row = connection.execute(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = to_regclass('alembic_version'))"
        ).fetchone()
        if row is None or not row[0]:
            return 0
        found = connection.execute(VERSION).fetchall()
        return self._version_in(found) if found else 0

    def may_write(self) -> bool:
        """Whether the server takes writes, and the role may write to every table of the ledger."""
        with self._translating():
            found = self.connection.execute(MAY_WRITE, (list(sql.TABLES),)).fetchone()
        return bool(found and found[0])

    def damage(self) -> str | None:
        """The server checks its own files."""
        return None

    def strange_schema(self) -> str | None:
        from wallet_cli.storage.schema_check import OF_POSTGRES, UNCHECKED, expected, strange_in_postgres

        known = (list(expected()["postgres"]),)
        with self._translating():
            strange = strange_in_postgres(self.connection.execute(OF_POSTGRES, known).fetchall())
            for name, table, kept in self.connection.execute(UNCHECKED, known).fetchall() if strange is None else ():
                broken = self.connection.execute(f"SELECT 1 FROM {table} WHERE NOT ({kept}) LIMIT 1".encode())
                if broken.fetchone() is not None:
                    return f"a row of table {table} does not keep {name}"
        return strange

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads in the `with` block see one moment, while others write."""
        if self._in_snapshot or self._in_batch:
            yield
            return
        self._run("; ".join(self._begun("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")))
        self._in_snapshot = True
        try:
            yield
        finally:
            self._in_snapshot = False
            self.rollback()

    @contextmanager
    def many_batches(self) -> Iterator[None]:
        """For a series of large batches, whose statements may take long."""
        usual_s, self._silence_s = self._silence_s, LONG_SILENCE_S
        self.connection.silence_s = self._silence_s
        try:
            yield
        finally:
            self._silence_s = usual_s
            if self._connection is not None:
                self._connection.silence_s = usual_s

    # Writing: see engine/executor.py for the order.

    def begin(self) -> None:
        """The transaction begins together with its locks, in `lock`: one round trip less."""
        if self._read_only:
            raise StorageError("this connection only reads")
        self._in_batch = self._in_turn = False
        self._unsent = []

    def lock(
        self,
        wallet_ids: Sequence[int],
        now_us: int,
        *,
        creating: bool,
        recorded: Collection[Subject] = (),
        settling: bool = False,
    ) -> tuple[list[Account], list[Event]]:
        """Begin, lock, and read the locked rows, in one round trip.

        A separate statement reads the accounts: it sees what the previous lock holders committed. Raises LedgerMoved if
        the ledger is marked as taking no writes, unless this only finds out the outcome of a commit (`settling`).
        """
        parts = []
        asking = False
        if not self._in_batch:
            wait_ms = self._wait_ms
            parts += [
                # So that what was committed during the wait for the locks is seen.
                *self._begun("BEGIN ISOLATION LEVEL READ COMMITTED" if settling else "BEGIN"),
                f"SET LOCAL lock_timeout = {wait_ms}",
                f"SET LOCAL statement_timeout = {wait_ms + STATEMENT_MARGIN_S * 1000}",
                f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_IN_TURN_S}s'",
                # A change of the move state waits for this to end. This statement takes no snapshot, so the move
                # state that is read after it cannot change, at any isolation level.
                "LOCK TABLE ledger IN ROW SHARE MODE",
            ]
            asking = self._in_turn = True
        if creating:
            parts.append(f"SELECT pg_advisory_xact_lock({CREATING_LOCK})")
        if wallet_ids:
            ids = ", ".join(map(str, wallet_ids))
            parts.append(f"SELECT 1 FROM wallets WHERE id IN ({ids}) ORDER BY id FOR UPDATE")
        if asking:
            # After the locks: sees an import of an export that began during the wait for them.
            parts += [sql.ITSELF, VERSION, CLOCK]
        of_events = None
        if wallet_ids:
            parts.append(PREPARED)
        if recorded:
            of_events = with_numbers(sql.last_events(len(recorded)), list(chain.from_iterable(recorded)))
            parts.append(of_events)
        accounts: list[Account] = []
        events_: list[Event] = []
        if not parts:
            return accounts, events_
        self._send_unsent()
        with self._translating():
            cursor = self._first(
                lambda connection: [
                    _of_wallets(connection, wallet_ids, now_us) if part is PREPARED else part for part in parts
                ]
            )
            self._in_batch = True
            for part in parts:
                if part is sql.ITSELF:
                    itself = self._know(cursor.fetchone())
                    if not settling:
                        check_writable(itself)
                    self.restoring = itself.restoring
                if part is VERSION:
                    self._heed_version(cursor.fetchall(), settling=settling)
                if part is CLOCK:
                    (self.server_us,) = cursor.fetchall()[0]
                if part is PREPARED:
                    accounts = [sql.to_account(row) for row in cursor.fetchall()]
                if part is of_events:
                    events_ = [sql.to_event(row) for row in cursor.fetchall()]
                cursor.nextset()
        return accounts, events_

    def check_in_place(self) -> None:
        """A server checks its own files."""

    def read_server_us(self) -> int:
        return int(self._one(CLOCK, {}, lambda row: row[0]) or 0)

    def written_us(self) -> int:
        """Not used: the server's clock is better (`server_us`)."""
        raise NotImplementedError

    def _heed_version(self, rows: Sequence[Sequence[Any]], *, settling: bool = False) -> None:
        """Note how to commit. Raises StorageError if another program has migrated the ledger since it was opened."""
        version = self._version_in(rows)
        self._before_commit = session.before_commit(rows[0][1])
        if version != sql.SCHEMA_VERSION and not settling:
            raise sql.schema_changed(version, self.name)

    def _first(self, parts: Callable[[Connection], Sequence[str]]) -> psycopg.Cursor[tuple[Any, ...]]:
        """Run the first statements of a batch. If an idle connection is dead, a new one loses nothing here."""
        idle = self._connection
        try:
            return self._begin_turn(parts)
        except psycopg.OperationalError:
            if idle is None or not idle.closed or self._in_batch:
                raise
            return self._begin_turn(parts)

    def _begin_turn(self, parts: Callable[[Connection], Sequence[str]]) -> psycopg.Cursor[tuple[Any, ...]]:
        connection = self.connection
        is_shared = connection.prepare_threshold is None
        if connection.has_had_turns and not (connection.is_prepared or is_shared or self._in_batch):
            with suppress(errors.DuplicatePreparedStatement):  # it outlived a rollback
                # It locks the tables for a moment, and waits no longer for that than a turn does.
                connection.execute(f"SET lock_timeout = {self._wait_ms}; {PREPARE}".encode(), prepare=False)
            connection.is_prepared = True
        cursor = connection.execute("; ".join(parts(connection)).encode())
        connection.has_had_turns = True
        return cursor

    def write(self, changes: Sequence[Change]) -> None:
        """Write out the statements: they are sent with the commit, in one round trip, unless a query comes first.

        Many rows go at once, by COPY.
        """
        for statement, rows in rows_of(changes):
            if statement is sql.INSERT_TRANSACTION and len(rows) >= COPY_FROM_ROWS:
                self._send_unsent()
                with self._translating(), self.connection.cursor() as cursor:
                    self._copy(cursor, map(plain, flat(statement, rows)), sql.TRANSACTIONS)
            else:
                one = SET_HEADS if statement is sql.SET_HEAD else statement
                with self._translating():
                    self._unsent.append(spelled(one, flat(statement, rows), self.connection.pgconn))
        self._note_of_ledger(changes)

    def _send_unsent(self) -> None:
        """Send what `write` left for the commit, so that the next query sees it."""
        if self._unsent:
            statements, self._unsent = b"; ".join(self._unsent), []
            with self._translating():
                self.connection.execute(statements, prepare=False)

    @staticmethod
    def _copy(cursor: psycopg.Cursor[tuple[Any, ...]], rows: Iterable[Sequence[Any]], to: Copied) -> None:
        with cursor.copy(f"COPY {to.table} ({', '.join(to.columns)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def commit(self) -> None:
        self._doubtful = False
        self.is_undone = True
        connection = self._connection
        with self._translating():
            # A new connection would have nothing to commit, and report success; so would one whose batch has failed.
            if connection is None or connection.info.transaction_status != pq.TransactionStatus.INTRANS:
                raise psycopg.OperationalError("the connection was lost before the commit")
            statements, self._unsent = b"; ".join([*self._unsent, *map(str.encode, self._before_commit), b"COMMIT"]), []
            try:
                connection.execute(statements, prepare=False)
            finally:
                # A refused statement: the server has answered, and did not come to the COMMIT.
                self.is_undone = connection.pgconn.transaction_status == pq.TransactionStatus.INERROR
        self._in_batch = self._in_turn = False
        if self._facts is None:  # this batch has set them
            self.forget_facts()
        if self._doubtful:
            raise Unreachable("the standby has not confirmed the commit", hint="send it again with the same key")

    def rollback(self) -> None:
        self._in_batch = self._in_turn = False
        self._unsent = []
        connection = self._connection
        if connection is None or connection.closed:
            return
        if connection.info.transaction_status != pq.TransactionStatus.IDLE:
            # Not as a plain statement: this way the driver forgets its prepared statements, some of which may not
            # exist.
            connection.has_had_turns = connection.is_prepared = False
            with suppress(StorageError, Busy), self._translating():  # a broken connection has nothing to roll back
                connection.rollback()

    def confirm_replicated(self) -> bool:
        """Make a commit: it waits until the standby has it, and so all earlier commits.

        Rows that are visible here may not be on the standby yet: a server shows what it committed without its standby
        if somebody cancelled the wait, or after a crash.
        """
        self._run(session.IN_THE_LOG)
        return True

    def contains(self, change: Change) -> bool:
        """Whether a row of a batch whose commit failed is there. No other transaction can still be writing it then.

        Raises StorageError while that cannot be known.
        """
        wallet_id = _wallet_of(change)
        self.begin()
        try:
            # Also the lock for creating: a wallet that the batch has created has no row to lock yet.
            self.lock([] if wallet_id is None else [wallet_id], 0, creating=True, settling=True)
            there = self._is_there(change)
            if there:
                self.confirm_replicated()
                self.commit()
        finally:
            self.rollback()
        return there

    # Moving (storage/bulk_copy.py).

    @property
    def address(self) -> str:
        return self.name

    @property
    def _wait_ms(self) -> int:
        """How long to wait for a lock."""
        return max(1, int(self._lock_timeout_s * 1000))

    def identity(self) -> tuple[Any, ...]:
        found = self._one(
            "SELECT system_identifier, (SELECT oid FROM pg_database WHERE datname = current_database()),"
            " 'ledger'::regclass::oid FROM pg_control_system()",
            {},
            tuple,
        )
        assert found is not None
        return found

    def _begin_alone(self) -> None:
        self.begin()
        parts = (
            *self._begun("BEGIN"),
            f"SET LOCAL lock_timeout = {self._wait_ms}",
            f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_IN_TURN_S}s'",
            "LOCK TABLE ledger IN EXCLUSIVE MODE",
            VERSION,
        )
        with self._translating():
            cursor = self._first(lambda _: parts)
            self._in_batch = True
            while cursor.nextset():
                pass
            self._heed_version(cursor.fetchall())

    def _change(self, statement: str, values: Values) -> None:
        with self._translating():
            self.connection.execute(translated(statement), values)

    def add_rows(self, copied: Copied, rows: Rows) -> None:
        with self._translating(), self.connection.cursor() as cursor:
            self._copy(cursor, rows, copied)

    def settle(self) -> None:
        for copied in sql.COPIED:
            self._run("; ".join([*self._pins, f"ANALYZE {copied.table}"]))

    # Running statements.

    def _run(self, statement: str) -> None:
        self._send_unsent()
        with self._translating():
            self.connection.execute(statement.encode())

    def _one(self, statement: str, values: Values, make: Callable[[Sequence[Any]], T]) -> T | None:
        row = self._read(statement, values).fetchone()
        return None if row is None else make(row)

    def _each(self, statement: str, values: Values, make: Callable[[Sequence[Any]], T]) -> Generator[T, None, None]:
        if self._in_snapshot and sql.reads_much(statement, values):
            with self._translating(), self.connection.cursor(name=_cursor_name()) as walk:
                walk.itersize = 2000
                for row in walk.execute(translated(statement), bound(values)):
                    yield make(row)
            return
        for row in self._read(statement, values).fetchall():
            yield make(row)

    def _read(self, statement: str, values: Values) -> psycopg.Cursor[tuple[Any, ...]]:
        """Run a statement that reads. If it is a transaction by itself and collides, it runs again."""
        self._send_unsent()
        tries = 1 if self._in_batch or self._in_snapshot else MAX_READ_TRIES
        while True:
            try:
                with self._translating():
                    return self._executed(translated(statement), bound(values))
            except Collision:
                tries -= 1
                if not tries:
                    raise

    def _executed(self, statement: bytes, values: Any) -> psycopg.Cursor[tuple[Any, ...]]:
        connection = self.connection
        if not self._pins or self._in_batch or self._in_snapshot:
            return connection.execute(statement, values)
        # Several statements at once cannot have parameters, so the values are written out.
        cursor = psycopg.ClientCursor(connection)
        cursor.execute("; ".join([*self._pins, ""]).encode().replace(b"%", b"%%") + statement, values)
        for _ in self._pins:
            cursor.nextset()
        return cursor

    def _begun(self, begin: str) -> list[str]:
        """The statements that begin a transaction."""
        return [begin, *self._pins]

    @contextmanager
    def _translating(self) -> Iterator[None]:
        """Turns the driver's exceptions into errors of wallet_cli.errors."""
        try:
            yield
        except psycopg.Error as error:
            raise self._translated_error(error) from error

    def _translated_error(self, error: psycopg.Error) -> WalletError:
        retry = "try again, with the same key"
        if isinstance(error, errors.SerializationFailure | errors.DeadlockDetected | errors.UniqueViolation):
            return Collision("others wrote to the same wallets at the same time", hint=retry)
        if isinstance(error, errors.InvalidSqlStatementName):
            return Collision("the session has lost its prepared statement", hint=retry)
        if isinstance(error, errors.LockNotAvailable):
            return Busy(
                f"no turn to write within {self._lock_timeout_s:g} s: others have the turn", hint=retry, holder=None
            )
        reason = _reason(error)
        # A turn, and a read of a server, have time-outs of this program's own; others, what the role or database has.
        is_ours = self._in_turn or self._ends_reads or "statement timeout" not in reason
        if isinstance(error, errors.QueryCanceled) and is_ours:
            return Busy("the database took too long", hint=retry, holder=None)
        if isinstance(error, errors.UndefinedTable):
            return NoSuchTable(f"there is no ledger in this database: {self.name}", hint="check --db")
        if isinstance(error, errors.DuplicateTable):
            return StorageError(f"{OTHERS_TABLES}: {self.name}", hint=SEPARATE_DATABASE)
        if "statement pooling" in reason:
            return StorageError(
                f"this pool uses another session for each statement, but a ledger needs transactions: {self.name}",
                hint="pool_mode = transaction, or session",
            )
        if error.sqlstate is None and WRONG_OPTION.match(reason):
            return InvalidInput(f"not a PostgreSQL URL: {reason}", hint=URL_HINT)
        message = f"{reason}: {self.name}"
        hint = next((hint for words, hint in HINTS.items() if re.search(words, reason)), None)
        if isinstance(error, errors.DiskFull | errors.InsufficientPrivilege | errors.QueryCanceled):
            return StorageError(message, hint=hint)
        if isinstance(error, psycopg.OperationalError | errors.ReadOnlySqlTransaction | psycopg.InterfaceError):
            if self._connection is not None:
                self._connection.close()
            return Unreachable(message, hint=hint or f"is the server running? {retry}")
        kind = Undefined if isinstance(error, errors.UndefinedColumn) else StorageError
        return kind(message, hint=hint or "for details: WALLET_DEBUG=1")


def _last_row(connection: Connection, *statements: str) -> Sequence[Any]:
    """The row of the last of these statements, all sent in one message."""
    cursor = connection.execute("; ".join(statements).encode())
    while cursor.nextset():
        pass
    row = cursor.fetchone()
    assert row is not None
    return row


def _of_wallets(connection: Connection, wallet_ids: Sequence[int], now_us: int) -> str:
    """The statement that reads accounts in a turn: the prepared one, in a session that has it."""
    if connection.is_prepared:
        return f"EXECUTE {PREPARED}('{{{', '.join(map(str, wallet_ids))}}}', {now_us})"
    return with_numbers(sql.accounts_by_ids(len(wallet_ids)), [*wallet_ids, now_us])


class NoSuchTable(Undefined):
    """The database has no ledger."""


def _reason(error: psycopg.Error) -> str:
    """The server's or the driver's message, in one line."""
    if error.diag.message_primary:
        return error.diag.message_primary
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    # With several hosts, a server's own message counts more than that another was not reached.
    line = next((line for line in reversed(lines) if "FATAL:" in line), lines[0])
    # The URL already says where it tried to connect.
    return re.sub(
        r"^(connection (failed|is bad): )?(connection to server .*? failed: )?(FATAL: *|fe_sendauth: )?", "", line
    )


def _wallet_of(change: Change) -> int | None:
    if isinstance(change, Transaction | Hold):
        return change.wallet_id
    if isinstance(change, Event):
        return change.subject_id if change.kind == WALLET else None
    return change.id if isinstance(change, Wallet) else None


_cursors = threading.local()


def _cursor_name() -> str:
    """A cursor name that no other open cursor of this thread has."""
    _cursors.count = getattr(_cursors, "count", 0) + 1
    return f"walk_{_cursors.count}"
