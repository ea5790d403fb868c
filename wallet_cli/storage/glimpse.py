"""A quick read of a ledger, for completion while typing: its present content, or nothing.

An unused ledger is read as one file, without a lock and without other files; a ledger in use, with its log. What is
read while somebody writes may be out of date. Do not use it for answers.
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
"""The time limit; rows found by then are the result."""

STEPS = 1000
"""How many steps SQLite runs between two checks of the clock."""

Rows = list[tuple[Any, ...]]


def rows_of_file(name: str, statement: str, values: Sequence[Any]) -> Rows:
    """The rows of a statement, on a ledger in a file. Raises apsw.Error if it is not a ledger of this version."""
    path = Path(os.path.realpath(Path(name).expanduser()))
    in_use = all(has_something(beside(path, ending)) for ending in BESIDE)
    uri = f"file:{quote(os.fsencode(path))}?{'mode=ro' if in_use else 'immutable=1'}"
    connection = apsw.Connection(uri, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        until_s = time.monotonic() + LONGEST_S
        connection.set_progress_handler(lambda: time.monotonic() > until_s, STEPS)
        found: Rows = []
        with suppress(apsw.InterruptError):  # time is up: return the rows so far
            found.extend(connection.execute(statement, tuple(values)))
        return found
    finally:
        connection.close()


def rows_of_server(url: str, statement: str, values: Sequence[Any]) -> Rows:
    """The same, on a ledger in PostgreSQL. Raises any error."""
    from wallet_cli.storage.pg_connection import translated
    from wallet_cli.storage.postgres import PostgresStore

    store = PostgresStore(url, 1.0)
    try:
        return store.connection.execute(translated(statement), tuple(values)).fetchall()
    finally:
        store.close()
