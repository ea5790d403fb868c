"""Whether the schema of a ledger is the one that the migrations make: another program added or removed any other
table, column, index, check or trigger.

scripts/schema.py writes the expected schema, so that verifying a ledger needs no migration.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("schema.json")

OF_SQLITE = "SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
"""SQLite's internal objects have no statement or, like the tables of ANALYZE, a name that begins with `sqlite_`."""

OF_LITESTREAM = {
    "table _litestream_seq": "CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)",
    "table _litestream_lock": "CREATE TABLE _litestream_lock (id INTEGER)",
}
"""Tables that Litestream adds to each database that it copies; nothing here reads them."""

OF_POSTGRES = """
WITH known AS (
    SELECT name, c.oid AS id, c.relkind = 'p' AS divided
    FROM unnest(%s::text[]) AS given (name) JOIN pg_class c ON c.oid = to_regclass(name)
)
SELECT name, attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' not null' ELSE '' END
    FROM known JOIN pg_attribute ON attrelid = id AND attnum > 0 AND NOT attisdropped
UNION SELECT name, conname::text FROM known JOIN pg_constraint ON conrelid = id AND NOT divided
    AND contype IN ('c', 'f', 'p', 'u', 'x')
UNION SELECT name, relname || CASE WHEN indisunique THEN ' unique (' ELSE ' (' END
    || (SELECT string_agg(pg_get_indexdef(indexrelid, place, true), ', ' ORDER BY place)
        FROM generate_series(1, indnkeyatts) AS place)
    || CASE WHEN indpred IS NULL THEN ')' ELSE ') partial' END || CASE WHEN indisvalid THEN '' ELSE ' invalid' END
    FROM known JOIN pg_index ON indrelid = id AND NOT divided JOIN pg_class c ON c.oid = indexrelid
    WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u'))
UNION SELECT name, 'trigger ' || tgname FROM known JOIN pg_trigger ON tgrelid = id AND NOT tgisinternal
UNION SELECT name, 'rule ' || rulename FROM known JOIN pg_rewrite ON ev_class = id
UNION SELECT name, 'policy ' || polname FROM known JOIN pg_policy ON polrelid = id
UNION SELECT name, NULL FROM known WHERE divided
"""
"""By table: columns with their types, indexes with their columns, and names.

A table that is divided into partitions (docs/scale.md) has other indexes and constraints: a row with NULL stands for
them.
"""


FOR_SHARDS = {
    ("wallets", "uq_wallets_user_id_type"): ("wallets", "ix_wallets_user_id_type (user_id, type)"),
    ("wallets", "uq_wallets_user_id_key unique (user_id, key) partial"): (
        "wallets",
        "ix_wallets_user_id_key (user_id, key) partial",
    ),
}
"""What docs/scale.md puts in the place of what, for shards by wallet: the rules keep both promises."""


UNCHECKED = """
SELECT conname, conrelid::regclass::text, pg_get_expr(conbin, conrelid) FROM pg_constraint
WHERE contype = 'c' AND NOT convalidated
    AND conrelid IN (SELECT to_regclass(name) FROM unnest(%s::text[]) AS given (name))
"""
"""PostgreSQL's checks that older rows need not keep: somebody dropped and added them again. SQLite checks its rows."""


@cache
def expected() -> Mapping[str, Any]:
    """The expected schema by engine: for SQLite, statements by what they create; for PostgreSQL, as OF_POSTGRES."""
    found: Mapping[str, Any] = json.loads(FILE.read_text("utf-8"))
    return found


def strange_in_sqlite(rows: Iterable[tuple[str, str]]) -> str | None:
    """The first difference in the rows of OF_SQLITE, in words; None if there is none."""
    known: Mapping[str, str] = expected()["sqlite"]
    found = {
        what: statement
        for what, statement in rows
        if not what.partition(" ")[2].startswith("sqlite_") and OF_LITESTREAM.get(what) != statement
    }
    return _difference(found.keys(), known.keys()) or next(
        (f"{what} differs from the migrations" for what in sorted(known) if found[what] != known[what]), None
    )


def strange_in_postgres(rows: Iterable[tuple[str, str | None]]) -> str | None:
    """The first difference in the rows of OF_POSTGRES, in words; None if there is none."""
    # A database may be set to quote all names that it writes.
    found = [(table, None if text is None else text.replace('"', "")) for table, text in rows]
    tables: Mapping[str, Mapping[str, list[str]]] = expected()["postgres"]
    is_divided = any(name is None for _, name in found)
    known = {(table, name) for table, names in tables.items() for name in names["columns"]}
    there = {(table, name) for table, name in found if name is not None}
    if is_divided:
        # Indexes and constraints of the tables beside it had to change too; what runs with each write has not.
        there = {each for each in there if each in known or each[1].startswith(("trigger ", "rule ", "policy "))}
    else:
        known |= {(table, name) for table, names in tables.items() for name in names["more"]}
        there = {next((wanted for wanted, given in FOR_SHARDS.items() if given == each), each) for each in there}
    return _difference(*({f"{name} of table {table}" for table, name in each} for each in (there, known)))


def _difference(found: Iterable[str], known: Iterable[str]) -> str | None:
    there, wanted = set(found), set(known)
    for what in sorted(wanted - there):
        return f"{what} is missing"
    for what in sorted(there - wanted):
        return f"{what} does not belong to this program"
    return None
