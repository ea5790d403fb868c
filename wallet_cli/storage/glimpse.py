"""A quick look at a ledger, for somebody who is typing: what is there when it is looked at, or nothing.

A ledger at rest is read as the one file that it is, with no lock and no file made beside it; one that is in use, by the
log that is there. What is read while somebody writes may be of before. Nothing here is for an answer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apsw

from wallet_cli.storage.in_place import BESIDE, beside, has_something

LONGEST_S = 0.06
"""After that, what was found until then is all."""

STEPS = 1000
"""How many steps of SQLite's machine there are between two looks at the clock."""

Rows = list[tuple[Any, ...]]


def rows_of_file(name: str, statement: str, values: Sequence[Any]) -> Rows:
    """The rows of a statement, on the ledger in a file. Raises apsw.Error for what is no ledger of this version."""
    path = Path(os.path.realpath(Path(name).expanduser()))
    in_use = all(has_something(beside(path, ending)) for ending in BESIDE)
    uri = f"file:{quote(os.fsencode(path))}?{'mode=ro' if in_use else 'immutable=1'}"
    connection = apsw.Connection(uri, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        until_s = time.monotonic() + LONGEST_S
        connection.set_progress_handler(lambda: time.monotonic() > until_s, STEPS)
        found: Rows = []
        with suppress(apsw.InterruptError):  # time is up: what there is will do
            found.extend(connection.execute(statement, tuple(values)))
        return found
    finally:
        connection.close()


def rows_of_server(url: str, statement: str, values: Sequence[Any]) -> Rows:
    """The same, on the ledger in PostgreSQL. Raises whatever goes wrong."""
    from wallet_cli.storage.pg_connection import translated
    from wallet_cli.storage.postgres import PostgresStore

    store = PostgresStore(url, 1.0)
    try:
        return store.connection.execute(translated(statement), tuple(values)).fetchall()
    finally:
        store.close()
