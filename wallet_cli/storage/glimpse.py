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

MOST = 100

A_FEW = 5
"""How many transactions of each wallet are offered where no wallet is named yet."""

Rows = list[tuple[Any, ...]]

Question = tuple[str, Sequence[Any]]
"""A statement, and its values."""


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


def users(begins: str, region: str | None) -> Question:
    """Users whose number, id or name begins with this text; numbers as they are typed in a region."""
    where, values = _whose(begins)
    return f"SELECT {OWNER} FROM users u WHERE {where} ORDER BY u.id LIMIT {MOST}", (region, *values)


def wallets(begins: str, region: str | None) -> Question:
    """Wallets with their owners, by what `users` takes, before a slash; or by `w` and the beginning of the id."""
    where, values = _whose(begins.partition("/")[0])
    if begins == "w":
        where, values = _whose("")
    elif begins[:1] == "w" and begins[1:].isdigit():
        number = int(begins[1:18])
        where, values = "w.id = ? OR w.id BETWEEN ? AND ?", (number, number * 10, number * 10 + 9)
    return (
        f"SELECT {OWNER}, w.id, w.type, w.currency FROM users u JOIN wallets w ON w.user_id = u.id"
        f" WHERE {where} ORDER BY u.id, w.id LIMIT {MOST}",
        (region, *values),
    )


def open_holds(wallet: str) -> Question:
    """Those of a wallet, or of all if it is no id."""
    of_one = "wallet_id = ? AND" if wallet.isdigit() else ""
    return (
        f"SELECT wallet_id, number, note FROM holds WHERE {of_one} status = 'open'"
        f" ORDER BY wallet_id, number DESC LIMIT {MOST}",
        (int(wallet[:18]),) if of_one else (),
    )


def transactions(wallet: str, is_whole: bool) -> Question:
    """The newest of a wallet; A_FEW of each whose id begins with that, unless it is the whole id."""
    value: int | str
    if is_whole and wallet.isdigit():
        where, value = "t.wallet_id = ?", int(wallet[:18])
    else:
        newest = "(SELECT max(seq) FROM transactions WHERE wallet_id = t.wallet_id)"
        wallets = f"SELECT id FROM wallets WHERE CAST(id AS TEXT) LIKE ? ORDER BY id LIMIT {MOST}"
        where, value = f"t.wallet_id IN ({wallets}) AND t.seq > {newest} - {A_FEW}", f"{wallet}%"
    return (
        f"SELECT t.wallet_id, t.seq, t.note FROM transactions t WHERE {where} ORDER BY t.wallet_id, t.seq DESC"
        f" LIMIT {MOST}",
        (value,),
    )


def operators() -> Question:
    return "SELECT name FROM operators WHERE revoked_at_us IS NULL ORDER BY name", ()


def keys(wallet_id: int, begins: str) -> Question:
    return (
        f"SELECT key FROM transactions WHERE wallet_id = ? AND key >= ? AND key < ? ORDER BY key LIMIT {MOST}",
        (wallet_id, begins, begins + LAST),
    )


def currencies() -> Question:
    return (
        "SELECT currency FROM (SELECT currency FROM wallets LIMIT 1000) w"
        " UNION SELECT currency FROM ledger WHERE currency IS NOT NULL ORDER BY currency",
        (),
    )


OWNER = (
    "u.id, CASE WHEN u.phone_region = COALESCE(?, (SELECT phone_region FROM ledger), 'IN') THEN u.phone_national"
    " ELSE u.phone_e164 END, u.phone_e164, u.name"
)
LAST = "\U0010ffff"
"""No character of a text comes after it."""

AFTER_DIGITS = ":"
"""No character of a number comes after it."""


def _whose(begins: str) -> Question:
    """The condition on users whose number, id or name begins with this text."""
    end = begins + AFTER_DIGITS
    if not begins:
        return "1 = 1", ()
    if begins.startswith("+"):
        return "u.phone_e164 >= ? AND u.phone_e164 < ?", (begins, end)
    if begins.startswith("id:"):
        return "u.id = ?", (int(begins[3:21]) if begins[3:].isdigit() else -1,)
    if begins.isdigit():
        return "(u.phone_national >= ? AND u.phone_national < ?) OR u.id = ?", (begins, end, int(begins[:18]))
    return "lower(substr(u.name, 1, ?)) = lower(?)", (len(begins), begins)
