"""The engines that a ledger may be kept in: tests that are about no engine are run on each of them.

A test that asks for the fixture `engine`, itself or by way of `db`, `wallet` or `ledger`, is run once an engine. While
it runs, `ledger_in(folder)` says where the ledger of a folder is: in the folder, or in a database that only it knows.
It is an empty ledger, copied from one made before, unless the test said that the folder has `nothing`: making one takes
half a second of a processor.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import apsw
import psycopg

from support import cli, postgres, processes, sessions
from support.sizes import WHOLE
from wallet_cli import settings
from wallet_cli.domain import events
from wallet_cli.domain.metadata import canonical_json
from wallet_cli.domain.purpose import Purpose
from wallet_cli.engine.write_lock import WriteLock
from wallet_cli.operations.context import Ledger, open_ledger
from wallet_cli.storage.pg_connection import translated
from wallet_cli.storage.postgres import CREATING_LOCK, PostgresStore
from wallet_cli.storage.sqlite import SqliteStore

NAMES = ("file", "postgres")

Address = Path | str
"""What WALLET_DB is set to: a path, or a URL."""


class Engine(ABC):
    """Where ledgers are kept; `name` is one of NAMES."""

    name: str

    @abstractmethod
    def fewer(self, examples: int) -> int:
        """How many of so many random examples are enough: most faults are in the rules, and found on a file sooner."""

    @abstractmethod
    def ledger_in(self, folder: Path) -> Address:
        """Where the ledger of a folder is: an empty one is there for the first who asks."""

    @abstractmethod
    def new(self, folder: Path) -> Address:
        """A new, empty ledger, which is that of the folder."""

    @abstractmethod
    def nothing(self, folder: Path) -> Address:
        """The ledger of a folder, in which there is none yet."""

    @abstractmethod
    def lent(self, name: str = "", lines: Sequence[str] = ()) -> AbstractContextManager[Address]:
        """A ledger for the length of a `with` block, in which its tables stay as they are: for very many.

        It is a copy of one in which those commands were run, once a run of tests: `name`.
        """

    @abstractmethod
    def copy(self, name: str, lines: Sequence[str], folder: Path) -> Address:
        """The ledger of the folder is a copy of one in which those commands were run, once a run of tests: `name`."""

    @abstractmethod
    def forget(self, folder: Path) -> None:
        """The ledger of a folder is not needed any more."""

    @abstractmethod
    def end(self) -> None:
        """No ledger is."""


class Files(Engine):
    name = "file"

    def __init__(self) -> None:
        self._known: set[Path] = set()

    def fewer(self, examples: int) -> int:
        return examples

    def ledger_in(self, folder: Path) -> Path:
        path = folder / "wallet.db"
        return path if folder in self._known or path.exists() else self.new(folder)

    def new(self, folder: Path) -> Path:
        path = self.nothing(folder)
        shutil.copyfile(empty_file(), path)
        path.chmod(0o600)
        return path

    @contextmanager
    def lent(self, name: str = "", lines: Sequence[str] = ()) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="wallet-lent-") as folder:
            yield self.copy(name, lines, Path(folder)) if name else self.new(Path(folder))

    def nothing(self, folder: Path) -> Path:
        self._known.add(folder)
        return folder / "wallet.db"

    def copy(self, name: str, lines: Sequence[str], folder: Path) -> Path:
        made = postgres.run_folder() / f"{name}.db"
        with postgres.one_at_a_time(name):
            if not made.exists():
                shutil.copyfile(empty_file(), made)
                tell(made, lines)
        return Path(shutil.copyfile(made, self.nothing(folder)))

    def forget(self, folder: Path) -> None:
        """The file goes with the folder."""
        self._known.discard(folder)

    def end(self) -> None:
        """They go with their folders."""
        self._known.clear()


class Databases(Engine):
    name = "postgres"

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}
        self._spare: dict[str, list[str]] = {}
        """By name."""
        self._as_made: dict[str, dict[str, bytes]] = {}
        """By URL: the rows of each table of what is lent."""
        self._keeping = sessions.keeping()
        self._keeping.start()

    def fewer(self, examples: int) -> int:
        return examples if WHOLE else max(5, examples // 4)

    def ledger_in(self, folder: Path) -> str:
        folder = folder.resolve()
        if folder not in self._known:
            self._known[folder] = postgres.databases().new()
        return self._known[folder]

    def new(self, folder: Path) -> str:
        return self.ledger_in(folder)

    def copy(self, name: str, lines: Sequence[str], folder: Path) -> str:
        return self._now(folder, self._copied(name, lines))

    @staticmethod
    def _copied(name: str, lines: Sequence[str]) -> str:
        return postgres.databases().new(of=postgres.made_once(name, lambda url: tell(url, lines)))

    @contextmanager
    def lent(self, name: str = "", lines: Sequence[str] = ()) -> Iterator[str]:
        spare = self._spare.setdefault(name, [])
        url = spare.pop() if spare else self._copied(name, lines) if name else postgres.databases().new()
        tables = (*postgres.TABLES, "ledger")
        if url not in self._as_made:
            with sessions.connect(url) as server:
                self._as_made[url] = {table: _rows_of(server, table) for table in tables}
        yield url
        with sessions.connect(url) as server, server.transaction():
            server.execute("; ".join(f"DELETE FROM {table}" for table in tables).encode())
            for table in reversed(tables):
                if rows := self._as_made[url][table]:
                    with server.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
                        copy.write(rows)
        spare.append(url)

    def nothing(self, folder: Path) -> str:
        return self._now(folder, postgres.databases().new(empty=True))

    def _now(self, folder: Path, url: str) -> str:
        self.forget(folder)
        self._known[folder.resolve()] = url
        return url

    def forget(self, folder: Path) -> None:
        known = self._known.pop(folder.resolve(), None)
        if known is not None:
            postgres.databases().forget(known)

    def end(self) -> None:
        for folder in list(self._known):
            self.forget(folder)
        for url in self._as_made:
            postgres.databases().forget(url)
        self._spare.clear()
        self._as_made.clear()
        self._keeping.stop()


def _rows_of(server: psycopg.Connection[Any], table: str) -> bytes:
    with server.cursor().copy(f"COPY {table} TO STDOUT".encode()) as copy:
        return b"".join(map(bytes, copy))


@contextmanager
def opened(address: Address) -> Iterator[Ledger]:
    """The ledger at an address, for the length of a `with` block; whoever opens it is told nothing."""
    with open_ledger(settings.load({"db": str(address)}), lambda _: None) as ledger:
        yield ledger


@cache
def empty_file() -> Path:
    """A ledger just made, to copy from: making one takes half a second, for the migrations."""
    path = Path(postgres.run_folder()) / "wallet.db"
    with postgres.one_at_a_time("making"):
        if not path.exists():
            with open_ledger(settings.load({"db": str(path)}, {}), lambda _: None, purpose=Purpose.MAKE):
                pass
    return path


OF_ANY_SCHEMA = (
    "register 9886977544",
    "create 1 --minimum-balance 20",
    "create 1/empty",
    "tx add 1 500 --credit --key salary",
    "tx add 1 120.50 --debit",
    "freeze 1/empty",
)
"""Commands whose outcome a ledger of every schema can hold: what a migration is tried with."""


def tell(address: Address, lines: Sequence[str]) -> None:
    """Run some commands on a ledger, each of which has to succeed."""
    for line in lines:
        done = cli.run(["--db", str(address), *shlex.split(line)])
        assert done.code == 0, (line, done.err)


_current: list[Engine] = [Files()]


def begin(name: str) -> Engine:
    """Let tests have their ledgers on this engine, until `end`."""
    _current.append(Databases() if name == "postgres" else Files())
    return _current[-1]


def end(engine: Engine) -> None:
    _current.remove(engine)
    engine.end()


def ledger_in(folder: Path) -> Address:
    """Where the ledger of a folder is, on the engine of the test that runs."""
    return _current[-1].ledger_in(folder)


def lent() -> AbstractContextManager[Address]:
    """An empty ledger, on the engine of the test that runs, for the length of a `with` block."""
    return _current[-1].lent()


@contextmanager
def turn_held(address: Address) -> Iterator[Callable[[], object]]:
    """Another has the turn of all wallets that there are; it gives it up when told to, or at the end of the block."""
    if isinstance(address, str):
        with psycopg.connect(address) as other:
            other.execute(f"SELECT pg_advisory_xact_lock({CREATING_LOCK})")
            other.execute("SELECT FROM wallets ORDER BY id FOR UPDATE")
            yield other.rollback
    else:
        with processes.held(WriteLock, address.with_name(address.name + ".lock")) as holder:
            assert holder.stdin is not None
            yield holder.stdin.close


Store = SqliteStore | PostgresStore


def store_class() -> type[Store]:
    """What keeps the ledger that WALLET_DB names: where deliberate faults are put."""
    return PostgresStore if "://" in os.environ["WALLET_DB"] else SqliteStore


def begin_by_itself(store: Store) -> None:
    """Begin a transaction as a batch does, with no locks of it: on PostgreSQL it is the locks that begin one."""
    store.begin()
    if isinstance(store, PostgresStore):
        store.lock([], 0, creating=False)


def in_transaction(ledger: Ledger) -> bool:
    """Whether a transaction of the database was left open."""
    connection: Any = ledger.store.connection
    return bool(connection.in_transaction if ledger.store.is_local else connection.info.transaction_status)  # IDLE: 0


# As other programs see a ledger


def dump(address: Address, server: psycopg.Connection[Any] | None = None) -> list[object]:
    """Every row of every table of a ledger, and its schema; of a database by a connection, where one is there."""
    if isinstance(address, str):
        if server is None:
            with sessions.connect(address) as server:
                return dump(address, server)
        schema = server.execute(POSTGRES_SCHEMA).fetchall()
        tables = sorted({row[0] for row in schema})
        read = 'SELECT * FROM "{0}" ORDER BY "{0}"::text'
        return [schema, *(server.execute(read.format(name).encode()).fetchall() for name in tables)]
    if not address.is_file():
        return []
    connection: Any = apsw.Connection(str(address))
    try:
        schema = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
        tables = [name for kind, name, _ in schema if kind == "table"]
        return [schema, *(connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in tables)]
    finally:
        connection.close()


POSTGRES_SCHEMA = """
SELECT c.relname, attname, atttypid::regtype::text FROM pg_class c JOIN pg_attribute ON attrelid = c.oid
WHERE relnamespace = current_schema::regnamespace AND relkind IN ('r', 'p', 'v') AND attnum > 0 AND NOT attisdropped
ORDER BY c.relname, attnum
"""


def rows(address: Address, *statements: str) -> list[tuple[Any, ...]]:
    """What another program reads in a ledger, by one statement after the other."""
    if isinstance(address, str):
        with sessions.connect(address) as server:
            return [row for each in statements for row in server.execute(each.encode()).fetchall()]
    connection: Any = apsw.Connection(str(address), apsw.SQLITE_OPEN_READONLY)
    try:
        return [row for each in statements for row in connection.execute(each).fetchall()]
    finally:
        connection.close()


def execute(address: Address, script: str) -> None:
    """Let another program run some statements on a ledger; to break foreign keys, it asks as it would ask SQLite."""
    if isinstance(address, str):
        with sessions.connect(address) as server:
            for statement in script.split(";"):
                server.execute((UNCHECKED if "PRAGMA foreign_keys" in statement else statement).encode())
        return
    connection: Any = apsw.Connection(str(address))
    try:
        connection.execute(script)
    finally:
        connection.close()


def give_id(address: Address, uuid: str) -> None:
    """Give another id to a ledger in which nothing has been done yet; its first event says it, too."""
    execute(address, f"UPDATE ledger SET uuid = '{uuid}'")
    with opened(address) as ledger:
        made = ledger.store.event(*events.OF_LEDGER, 1)
    assert made is not None
    details = json.loads(made.details)
    details["ledger"]["uuid"] = uuid
    made = events.hashed(made._replace(details=canonical_json(details)), None)
    hash_ = f"'\\x{made.hash.hex()}'" if isinstance(address, str) else f"X'{made.hash.hex()}'"
    execute(address, f"UPDATE events SET details = '{made.details}', hash = {hash_}")


UNCHECKED = """
DO $$
DECLARE known record;
BEGIN
    FOR known IN SELECT conrelid::regclass AS relation, conname FROM pg_constraint
        WHERE contype IN ('c', 'f') AND connamespace = current_schema::regnamespace LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', known.relation, known.conname);
    END LOOP;
END
$$
"""
"""Lets nothing but keys stand in the way of a change, for good."""

CONSTRAINTS = """
SELECT string_agg(format('ALTER TABLE %s %s', relation, dropped), '; '),
    string_agg(format('ALTER TABLE %s %s', relation, added), '; ')
FROM (
    SELECT conrelid::regclass AS relation,
        string_agg(format('DROP CONSTRAINT %I', conname), ', ') AS dropped,
        string_agg(format('ADD CONSTRAINT %I %s NOT VALID', conname,
            regexp_replace(pg_get_constraintdef(oid), ' NOT VALID$', '')), ', ') AS added
    FROM pg_constraint WHERE contype IN ('c', 'f') AND connamespace = current_schema::regnamespace GROUP BY conrelid
) AS known
"""
"""Statements that drop what stands in the way of a change, but for keys; and that make it again.

What is there by then need not keep to it.
"""


class Raw:
    """A ledger as another program sees it, which keeps to no constraint; statements are SQLite's, with `?` or names."""

    def __init__(self, connection: Any, is_server: bool) -> None:
        self._connection = connection
        self._is_server = is_server

    def execute(self, statement: str, values: Any = ()) -> list[Any]:
        if self._is_server:
            statement = statement.replace("zeroblob(32)", "decode(repeat('00', 32), 'hex')")
            cursor = self._connection.execute(translated(statement), values)
            return list(cursor.fetchall()) if cursor.description else []
        return list(self._connection.execute(statement, values).fetchall())


@contextmanager
def unchecked(address: Address) -> Iterator[Raw]:
    """Change a ledger with plain SQL, and none of the constraints that the program would set."""
    if isinstance(address, str):
        with psycopg.connect(address, autocommit=True) as server:
            dropped, added = server.execute(CONSTRAINTS).fetchall()[0]
            server.execute(dropped.encode())
            yield Raw(server, True)
            server.execute(added.encode())
        return
    connection: Any = apsw.Connection(str(address))
    try:
        connection.execute("PRAGMA ignore_check_constraints=ON")
        yield Raw(connection, False)
    finally:
        connection.close()
