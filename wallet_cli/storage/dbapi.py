"""The part of Python's DB-API that SQLAlchemy needs to migrate a ledger, over an `apsw` connection.

Alembic reads a table's definition from the database before it rebuilds the table, so SQL made offline is not enough.
Python's `sqlite3` cannot be used either: if two copies of SQLite in a process have the same file open, closing one
drops the locks of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import apsw
import sqlalchemy


class _Cursor:
    """Reads all rows when it runs a statement: no statement stays open in a transaction."""

    arraysize = 1
    lastrowid = None
    description: Any = None
    rowcount = -1

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._rows: list[Any] = []

    def execute(self, statement: str, values: Sequence[Any] = ()) -> None:
        cursor = self._connection.cursor()
        self.description = None

        def describe(cursor: apsw.Cursor, _statement: str, _values: Any) -> bool:
            # Read here, before the first row: a cursor without rows has no description after it has run.
            columns = cursor.get_description()
            self.description = [(column[0], *[None] * 6) for column in columns] or None
            return True

        cursor.exec_trace = describe
        before = self._connection.total_changes()
        self._rows = cursor.execute(statement, values).fetchall()
        self.rowcount = self._connection.total_changes() - before

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        self._connection.executemany(statement, rows)

    def fetchone(self) -> Any:
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int = arraysize) -> list[Any]:
        found, self._rows = self._rows[:size], self._rows[size:]
        return found

    def fetchall(self) -> list[Any]:
        found, self._rows = self._rows, []
        return found

    def close(self) -> None:
        self._rows = []


class _Connection:
    """Commits and rolls back transactions that were started by hand."""

    isolation_level = None

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def cursor(self) -> _Cursor:
        return _Cursor(self._connection)

    def commit(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")

    def rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def create_function(self, name: str, arguments: int, function: Callable[..., Any], *, deterministic: bool) -> None:
        self._connection.create_scalar_function(name, function, arguments, deterministic=deterministic)

    def close(self) -> None:
        """Does nothing: the code that opened it closes it."""


_MODULE: Any = SimpleNamespace(
    __name__="apsw",
    paramstyle="qmark",
    sqlite_version_info=tuple(map(int, apsw.sqlite_lib_version().split("."))),
    Error=apsw.Error,
    ProgrammingError=apsw.MisuseError,
    Binary=bytes,
)


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[sqlalchemy.Connection]:
    """A SQLAlchemy transaction on this connection: committed at the end of the block, or rolled back."""
    engine = sqlalchemy.create_engine(
        "sqlite://", module=_MODULE, creator=lambda: _Connection(connection), poolclass=sqlalchemy.StaticPool
    )
    try:
        with engine.begin() as wrapped:
            # Started by hand, and only here: SQLAlchemy's first connect rolls back anything started before it.
            connection.execute("BEGIN IMMEDIATE")
            yield wrapped
    except sqlalchemy.exc.DBAPIError as error:
        raise error.orig or error from error
