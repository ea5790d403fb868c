"""The settings of a PostgreSQL session that keep answers true, also after a crash.

Settings come from postgresql.conf, the database, the role and the URL, and behind a pool also from the previous user of
the session. This program sets what a session may set. Other wrong settings are an error if an answer could be false,
and a warning if the data is at risk only when the whole machine fails.
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
"""The process that serves a connection, and the fixed search path that finds its ledger: the first schema of the path
that the role, the database or the URL has set. A schema that is in it only because it has the role's name (`$user`)
counts only if its owner is trusted; a stranger could put other tables in front of the ledger's. Temporary tables come
last; PostgreSQL's own tables come first unless a path says otherwise. BY_DEFAULT goes before it: another program may
have left its path in a session of a pool.
"""


def settings_of(path: str | None) -> list[str]:
    """The settings of each session, or of each transaction of a pool: the search path, and that no policy hides a row.

    With `row_security = off`, a statement with hidden rows is an error, not a smaller balance.
    """
    return [*([f"search_path = {path}"] if path else []), "row_security = off"]


COMMITS_BY = "current_setting('synchronous_commit')"


def before_commit(commits_by: str) -> tuple[str, ...]:
    """The statements before COMMIT, in the same message, so that nothing changes the settings in between.

    `commits_by` is the value of COMMITS_BY in the transaction. With `off`, a crash would lose an answered commit. Any
    other value has it on this server's disk. Which standby confirms it is the server keeper's choice; the warning that
    it did not is read.
    """
    durable = "on" if commits_by == "off" else commits_by
    return f"SET LOCAL synchronous_commit = {durable}", "SET LOCAL client_min_messages = warning"


IN_THE_LOG = "SELECT pg_logical_emit_message(true, 'wallet', '')"
"""Writes to the log: a commit without a log entry waits for neither the disk nor the standby."""

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
"""Settings of the server that are a risk only when the machine fails."""

_NAMES = tuple(name for name, _ in (*FALSE, *RISKY))
_TABLES = ("alembic_version", *sql.TABLES)

WHAT_IS_SET = f"""
SELECT {", ".join(f"current_setting('{name}')" for name in _NAMES)}, (
    SELECT min(c.oid::regclass::text || ' ' || c.relpersistence::text)
    FROM unnest(ARRAY[{", ".join(f"to_regclass('{table}')" for table in _TABLES)}]) AS known (id),
        LATERAL (SELECT known.id UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = known.id) AS part (id)
        JOIN pg_class c ON c.oid = part.id
    WHERE c.relpersistence <> 'p'
)
"""
"""The settings of FALSE and RISKY, and any table or partition of the ledger that a crash empties."""


def check(found: Sequence[Any], address: str) -> list[str]:
    """Warnings about the result of WHAT_IS_SET. Raises StorageError if an answer could be false or lost."""
    *values, lost = found
    settings = list(zip(_NAMES, values, strict=True))
    for name, value in settings:
        if (name, value) in FALSE:
            raise StorageError(
                f"with {name} = {value}, {FALSE[name, value]}: {address}",
                hint=f"ALTER ROLE … RESET {name}, or of the database or the server, depending on where it is set",
            )
    if lost is not None:
        table, _, how = lost.rpartition(" ")
        if how == "u":
            raise StorageError(
                f"the table {table} is unlogged: a crash empties it: {address}",
                hint=f"ALTER TABLE {table} SET LOGGED",
            )
        raise StorageError(f"the table {table} is temporary: {address}", hint="check --db")
    return [
        f"the database has {name} = {value}: {RISKY[name, value]}" for name, value in settings if (name, value) in RISKY
    ]
