"""What has to be set in a session of PostgreSQL, so that an answer is true, and stays true after a crash.

Settings come from postgresql.conf, the database, the role and the address, and behind a pool also from whoever had the
session before. What a session may set, this program sets. What it may not set is refused where an answer could be
false, and a warning where it takes the whole machine to fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wallet_cli.errors import StorageError
from wallet_cli.storage import sql

BY_DEFAULT = "SET LOCAL search_path TO DEFAULT"
WHICH_SCHEMA = """
SELECT pg_catalog.pg_backend_pid(), (
    SELECT pg_catalog.quote_ident(n.nspname) || ', pg_temp'
    FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS listed (name, place)
    JOIN pg_catalog.pg_namespace n ON n.nspname = listed.name
    JOIN pg_catalog.pg_roles owner ON owner.oid = n.nspowner
    WHERE n.nspname <> current_user
        OR pg_catalog.strpos(pg_catalog.current_setting('search_path'), '$user') = 0
        OR owner.rolname IN (current_user, 'pg_database_owner')
        OR owner.rolsuper
        OR owner.oid = (SELECT d.datdba FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
    ORDER BY listed.place LIMIT 1
)
"""
"""The process that serves a connection, and the search path that its ledger is found by, to stay for good: the first
schema of the path that the role, the database or the URL has set. One that is there only because it has the role's name
(`$user`) counts if it is not a stranger's, who would put other tables in front of the ledger's. Temporary tables come
last; what PostgreSQL itself has comes first, as long as no path says otherwise. BY_DEFAULT goes before it: another
program may have left a path of its own in a session of a pool.
"""


def settings_of(path: str | None) -> list[str]:
    """What each session, or each transaction of a pool, sets: the search path, and that no policy hides a row.

    With `row_security = off`, a statement from which rows would be hidden is an error, not a smaller balance.
    """
    return [*([f"search_path = {path}"] if path else []), "row_security = off"]


COMMITS_BY = "current_setting('synchronous_commit')"


def before_commit(commits_by: str) -> tuple[str, ...]:
    """What goes before COMMIT, in the same message, so that nothing changes it in between.

    `commits_by` is what COMMITS_BY was in the transaction. With `off`, a crash would lose a commit that was answered.
    Any other value has it on this server's disk; what a standby confirms is for whoever runs the server to say, and the
    warning that it has not is heard.
    """
    durable = "on" if commits_by == "off" else commits_by
    return f"SET LOCAL synchronous_commit = {durable}", "SET LOCAL client_min_messages = warning"


IN_THE_LOG = "SELECT pg_logical_emit_message(true, 'wallet', '')"
"""Writes to the log: the commit of a transaction that has not, waits for neither the disk nor the standby."""

FALSE = {
    ("session_replication_role", "replica"): "foreign keys are not checked",
    ("zero_damaged_pages", "on"): "a damaged page is read as an empty one",
    ("ignore_checksum_failure", "on"): "a damaged page is read as a good one",
}
"""Settings with which an answer could be false."""

RISKY = {
    ("fsync", "off"): "a power cut loses transactions that were answered, or the whole ledger",
    ("full_page_writes", "off"): "a power cut damages the ledger, unless the file system writes each page whole",
}
"""Settings of the server, with which all is well until the machine fails."""

_NAMES = tuple(name for name, _ in (*FALSE, *RISKY))
_TABLES = ("alembic_version", "ledger", "operators", "witnesses", *(copied.table for copied in sql.COPIED))

WHAT_IS_SET = f"""
SELECT {", ".join(f"current_setting('{name}')" for name in _NAMES)}, (
    SELECT min(c.oid::regclass::text || ' ' || c.relpersistence::text)
    FROM unnest(ARRAY[{", ".join(f"to_regclass('{table}')" for table in _TABLES)}]) AS known (id),
        LATERAL (SELECT known.id UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = known.id) AS part (id)
        JOIN pg_class c ON c.oid = part.id
    WHERE c.relpersistence <> 'p'
)
"""
"""The settings of FALSE and RISKY, and a table of the ledger, or a partition of one, that a crash empties."""


def check(found: Sequence[Any], address: str) -> list[str]:
    """Warnings of what WHAT_IS_SET has found. Raises StorageError where an answer could be false, or would be lost."""
    *values, lost = found
    settings = list(zip(_NAMES, values, strict=True))
    for name, value in settings:
        if (name, value) in FALSE:
            raise StorageError(
                f"with {name} = {value}, {FALSE[name, value]}: {address}",
                hint=f"ALTER ROLE … RESET {name}, or of the database or the server, whichever has set it",
            )
    if lost is not None:
        table, _, how = lost.rpartition(" ")
        if how == "u":
            raise StorageError(
                f"the table {table} is unlogged, and is emptied by a crash: {address}",
                hint=f"ALTER TABLE {table} SET LOGGED",
            )
        raise StorageError(f"the table {table} is temporary: {address}", hint="check --db")
    return [
        f"the database has {name} = {value}: {RISKY[name, value]}" for name, value in settings if (name, value) in RISKY
    ]
