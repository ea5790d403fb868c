"""Sessions of PostgreSQL that commands in the test's process use one after the other.

A new session costs the server 8 ms of a processor for one command, most of it for reading its catalogs again. So what
the program closes in good order is kept, with nothing left in it, for the next connection to the same database. A
process that a test starts connects afresh, and so do tests that are about PostgreSQL alone.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Generator
from contextlib import suppress
from typing import Any, Self
from unittest import mock

import psycopg
from psycopg import pq

from wallet_cli.storage import postgres as storage
from wallet_cli.storage.pg_connection import Connection, conninfo_of

MAX_KEPT = 12

_lock = threading.Lock()
_kept: list[tuple[str, pq.abc.PGconn]] = []
"""With what it was connected; the one that was used last comes last."""
_closed = pq.PGconn.connect_start(b"host=/nowhere")
_closed.finish()


class Kept(Connection):
    """A connection whose session is kept when it is closed, and that may have one that was kept."""

    _conninfo = ""

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> Generator[Any, Any, Self]:
        pgconn = _taken(conninfo)
        made: Self = cls(pgconn) if pgconn is not None else (yield from super()._connect_gen(conninfo))
        made._conninfo = conninfo
        return made

    def close(self) -> None:
        pgconn = self.pgconn
        if self.closed or not _is_clean(pgconn):
            super().close()
            return
        self._closed = True
        self.pgconn = _closed
        with _lock:
            _kept.append((self._conninfo, pgconn))
            spilled = _kept[:-MAX_KEPT]
            del _kept[:-MAX_KEPT]
        for _, old in spilled:
            old.finish()


def _is_clean(pgconn: pq.abc.PGconn) -> bool:
    """Whether nothing of a session is left after this: no setting, lock, temporary table or prepared statement."""
    if pgconn.status != pq.ConnStatus.OK or pgconn.transaction_status != pq.TransactionStatus.IDLE:
        return False
    return pgconn.exec_(b"DISCARD ALL").status == pq.ExecStatus.COMMAND_OK


def _taken(conninfo: str) -> pq.abc.PGconn | None:
    """A session that was kept, if it is still there."""
    while True:
        with _lock:
            place = next((place for place in range(len(_kept) - 1, -1, -1) if _kept[place][0] == conninfo), None)
            if place is None:
                return None
            pgconn = _kept.pop(place)[1]
        with suppress(psycopg.OperationalError):  # the server has ended it
            pgconn.consume_input()
        if pgconn.status == pq.ConnStatus.OK:
            return pgconn
        pgconn.finish()


def connect(url: str) -> Connection:
    """A session to a database, for the tests themselves."""
    return Kept.connect(conninfo_of(url), autocommit=True)


def processes() -> list[int]:
    """Those of the server whose sessions are kept here."""
    with _lock:
        return [pgconn.backend_pid for _, pgconn in _kept]


def end(databases: Collection[str]) -> None:
    """End what is kept of these databases."""
    with _lock:
        ended = [each for each in _kept if each[1].db.decode() in databases]
        _kept[:] = [each for each in _kept if each not in ended]
    for _, pgconn in ended:
        pgconn.finish()


def _forget() -> None:
    """In a child: the sessions are its parent's."""
    global _lock
    _lock = threading.Lock()
    _parents.extend(_kept)
    _kept.clear()


_parents: list[tuple[str, pq.abc.PGconn]] = []
"""In a child: if nothing had them any more, they would be closed, and its parent would lose them."""
os.register_at_fork(after_in_child=_forget)


def keeping() -> mock._patch[type[Kept]]:
    """The program keeps them from its `start` to its `stop`."""
    return mock.patch.object(storage, "Connection", Kept)
