"""Whether the schema of a ledger is the one that the migrations make: a table, column, index, check or trigger more or
less is somebody else's work.

What it is compared with is written by scripts/schema.py, so that no migration has to be run to verify a ledger.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("schema.json")

OF_SQLITE = "SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
"""What SQLite makes by itself has no statement, or, like the tables of ANALYZE, a name that begins with `sqlite_`."""

OF_POSTGRES = """
WITH known AS (SELECT to_regclass(name) AS id, name FROM unnest(%s::text[]) AS given (name))
SELECT name, attname::text FROM known JOIN pg_attribute ON attrelid = id AND attnum > 0 AND NOT attisdropped
UNION SELECT name, conname::text FROM known JOIN pg_constraint ON conrelid = id AND contype IN ('c', 'f', 'p', 'u', 'x')
UNION SELECT name, relname::text FROM known JOIN pg_index ON indrelid = id JOIN pg_class c ON c.oid = indexrelid
UNION SELECT name, 'trigger ' || tgname FROM known JOIN pg_trigger ON tgrelid = id AND NOT tgisinternal
UNION SELECT name, 'rule ' || rulename FROM known JOIN pg_rewrite ON ev_class = id
UNION SELECT name, 'policy ' || polname FROM known JOIN pg_policy ON polrelid = id
"""


def expected() -> Mapping[str, Any]:
    """By engine; of SQLite, statements by what they make, and of PostgreSQL, names by table."""
    found: Mapping[str, Any] = json.loads(FILE.read_text("utf-8"))
    return found


def strange_in_sqlite(rows: Iterable[tuple[str, str]]) -> str | None:
    """The first difference, in words, of the rows of OF_SQLITE; None where there is none."""
    known: Mapping[str, str] = expected()["sqlite"]
    found = {what: statement for what, statement in rows if not what.partition(" ")[2].startswith("sqlite_")}
    return _difference(found.keys(), known.keys()) or next(
        (f"{what} is not as the migrations make it" for what in sorted(known) if found[what] != known[what]), None
    )


def strange_in_postgres(rows: Iterable[tuple[str, str]]) -> str | None:
    """The first difference, in words, of the rows of OF_POSTGRES; None where there is none."""
    known = {f"{name} of table {table}" for table, names in expected()["postgres"].items() for name in names}
    return _difference({f"{name} of table {table}" for table, name in rows}, known)


def _difference(found: Iterable[str], known: Iterable[str]) -> str | None:
    there, wanted = set(found), set(known)
    for what in sorted(wanted - there):
        return f"{what} is missing"
    for what in sorted(there - wanted):
        return f"{what} is not of this program"
    return None
