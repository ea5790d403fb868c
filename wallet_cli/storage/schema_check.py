"""Whether the schema of a ledger is the one that the migrations make: another program added or removed any other
table, column, index, constraint or trigger, or replaced one.

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
"""The index of a key has no statement: it is a part of its table."""

OF_OTHERS = {
    "table sqlite_stat1": "CREATE TABLE sqlite_stat1(tbl,idx,stat)",
    "table sqlite_stat4": "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)",
    "table _litestream_seq": "CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)",
    "table _litestream_lock": "CREATE TABLE _litestream_lock (id INTEGER)",
}
"""Tables that ANALYZE makes, and those that Litestream adds to each database that it copies; nothing here reads them.

Nothing else may be there, whatever its name.
"""

OF_POSTGRES = """
WITH known AS (
    SELECT name, c.oid AS id, relkind, relkind = 'p' AS divided
    FROM unnest(%s::text[]) AS given (name) JOIN pg_class c ON c.oid = to_regclass(name)
), parts AS (
    SELECT name, id FROM known UNION SELECT name, relid FROM known CROSS JOIN pg_partition_tree(id)
), enforcing AS (
    SELECT t.oid AS id, tgconstraint FROM pg_trigger t JOIN pg_proc p ON p.oid = tgfoid
    JOIN pg_constraint c ON c.oid = tgconstraint
    WHERE tgisinternal AND tgenabled = 'O' AND contype = 'f'
        AND proname LIKE 'RI#_FKey#_%%' ESCAPE '#' AND pronamespace = 'pg_catalog'::regnamespace
)
SELECT name, attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' not null' ELSE '' END
    || coalesce(' default ' || pg_get_expr(adbin, adrelid), '')
    || CASE WHEN attgenerated <> '' OR attidentity <> '' THEN ' generated' ELSE '' END
    || CASE WHEN attcollation <> typcollation THEN ' collate ' || attcollation::regcollation::text ELSE '' END
    FROM known JOIN pg_attribute ON attrelid = id AND attnum > 0 AND NOT attisdropped
    JOIN pg_type t ON t.oid = atttypid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
UNION SELECT name, conname || ' ' || CASE contype
        WHEN 'c' THEN 'CHECK (' || coalesce((SELECT string_agg(attname, ', ' ORDER BY attname COLLATE "C")
            FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey)), '') || ')'
        ELSE regexp_replace(pg_get_constraintdef(c.oid), ' NOT VALID$', '') END
    || CASE WHEN contype = 'f' AND (SELECT count(*) FROM enforcing WHERE tgconstraint = c.oid) <> 4
            OR contype = 'c' AND to_jsonb(c) ->> 'conenforced' = 'false'
        THEN ' not enforced' ELSE '' END
    FROM known JOIN pg_constraint c ON conrelid = id AND NOT divided AND contype IN ('c', 'f', 'p', 'u', 'x')
UNION SELECT name, relname || CASE WHEN indisunique THEN ' unique ' ELSE ' ' END
    || regexp_replace(split_part(pg_get_indexdef(indexrelid), ' USING ', 2), ' (WITH|WHERE) .*', '')
    || CASE WHEN indpred IS NULL THEN '' ELSE ' partial' END
    || CASE WHEN indisvalid AND indisready AND indislive THEN '' ELSE ' invalid' END
    FROM known JOIN pg_index ON indrelid = id AND NOT divided JOIN pg_class c ON c.oid = indexrelid
UNION SELECT name, 'trigger ' || tgname || CASE tgenabled WHEN 'D' THEN ' disabled' ELSE '' END
    FROM parts JOIN pg_trigger t ON tgrelid = parts.id
    WHERE NOT tgisinternal OR (tgtype & 28 <> 0 AND t.oid NOT IN (SELECT enforcing.id FROM enforcing))
UNION SELECT name, 'rule ' || rulename FROM parts JOIN pg_rewrite ON ev_class = id
UNION SELECT name, 'policy ' || polname FROM parts JOIN pg_policy ON polrelid = id
UNION SELECT name, 'row security' FROM parts JOIN pg_class c ON c.oid = id
    WHERE relrowsecurity OR relforcerowsecurity
UNION SELECT name, 'child ' || inhrelid::regclass::text FROM known JOIN pg_inherits ON inhparent = id AND NOT divided
UNION SELECT name, 'parent ' || inhparent::regclass::text FROM known JOIN pg_inherits ON inhrelid = id
UNION SELECT name, 'kind ' || relkind::text FROM known WHERE relkind NOT IN ('r', 'p')
UNION SELECT name, NULL FROM known WHERE divided
"""
"""By table: columns, constraints and indexes with their definitions, and the names of what runs with a write, or
decides which rows there are. An internal trigger must be one that enforces a foreign key, which has four, or run with
no write but TRUNCATE. Whether a check is enforced is asked by way of JSON: servers before 18 have no such column.

Of a check, there are the columns and not the condition, and of an index not either: versions of PostgreSQL write
conditions in other ways. A constraint that is NOT VALID holds for what is written from then on; for other rows, see
UNCHECKED. A table that is divided into partitions (docs/scale.md) has other indexes and constraints: a row with NULL
stands for them.
"""


RUNS = ("trigger ", "rule ", "policy ", "row security", "child ", "parent ", "kind ")


FOR_SHARDS = {
    ("wallets", "ix_wallets_user_id_type btree (user_id, type)"): [
        ("wallets", "uq_wallets_user_id_type UNIQUE (user_id, type)"),
        ("wallets", "uq_wallets_user_id_type unique btree (user_id, type)"),
    ],
    ("wallets", "ix_wallets_user_id_key btree (user_id, key) partial"): [
        ("wallets", "uq_wallets_user_id_key unique btree (user_id, key) partial"),
    ],
}
"""What docs/scale.md puts in the place of what, for shards by wallet: the rules keep both promises."""


UNCHECKED = """
SELECT conname, conrelid::regclass::text, CASE contype WHEN 'c' THEN pg_get_expr(conbin, conrelid) ELSE (
        SELECT format('EXISTS (SELECT FROM %%s AS of WHERE of.%%I = %%s.%%I)', confrelid::regclass, there.attname,
            conrelid::regclass, here.attname)
        FROM pg_attribute here, pg_attribute there
        WHERE here.attrelid = conrelid AND here.attnum = conkey[1]
            AND there.attrelid = confrelid AND there.attnum = confkey[1]) END
FROM pg_constraint
WHERE contype IN ('c', 'f') AND NOT convalidated
    AND conrelid IN (SELECT to_regclass(name) FROM unnest(%s::text[]) AS given (name))
"""
"""PostgreSQL's checks and foreign keys that older rows need not keep, with what each row must keep: somebody dropped
and added them again. SQLite checks its rows.
"""


@cache
def expected() -> Mapping[str, Any]:
    """The expected schema by engine: for SQLite, statements by what they create; for PostgreSQL, as OF_POSTGRES."""
    found: Mapping[str, Any] = json.loads(FILE.read_text("utf-8"))
    return found


def strange_in_sqlite(rows: Iterable[tuple[str, str]]) -> str | None:
    """The first difference in the rows of OF_SQLITE, in words; None if there is none."""
    known: Mapping[str, str] = expected()["sqlite"]
    found = {what: statement for what, statement in rows if OF_OTHERS.get(what) != statement}
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
        there = {each for each in there if each in known or each[1].startswith(RUNS)}
    else:
        known |= {(table, name) for table, names in tables.items() for name in names["more"]}
        there = {wanted for each in there for wanted in FOR_SHARDS.get(each, [each])}
    return _difference(*({f"{name} of table {table}" for table, name in each} for each in (there, known)))


def _difference(found: Iterable[str], known: Iterable[str]) -> str | None:
    there, wanted = set(found), set(known)
    for what in sorted(wanted - there, reverse=True):  # a table before its indexes
        return f"{what} is missing"
    for what in sorted(there - wanted):
        return f"{what} does not belong to this program"
    return None
