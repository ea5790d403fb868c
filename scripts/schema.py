"""Write wallet_cli/storage/schema.json from the migrations: what `wallet verify` compares the schema of a ledger with.

python scripts/schema.py            writes it
python scripts/schema.py --check    exits 1 if it is not what would be written
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import apsw
from sqlalchemy import (
    CheckConstraint,
    Column,
    Constraint,
    DefaultClause,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import ColumnCollectionConstraint

from wallet_cli.storage import tables
from wallet_cli.storage.sqlite import upgrade

FILE = Path(tables.__file__).with_name("schema.json")


def of_sqlite() -> dict[str, str]:
    """`table users` and the like: the statement that makes it, as SQLite keeps it."""
    connection = apsw.Connection("")
    upgrade(connection)
    found = connection.execute("SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY 1")
    return dict(found.fetchall())


def of_postgres() -> dict[str, dict[str, list[str]]]:
    """By table, its columns, and more: its constraints and its indexes, as schema_check.OF_POSTGRES writes them."""
    found = {
        "alembic_version": {  # as Alembic makes it
            "columns": ["version_num character varying(32) not null"],
            "more": [f"alembic_version_pkc {key} (version_num)" for key in ("PRIMARY KEY", "unique btree")],
        }
    }
    for table in tables.SQLModel.metadata.sorted_tables:
        constraints = table.constraints.union(*(column.constraints for column in table.columns))
        more = [text for each in constraints for text in _constraint(each, table)]
        more += [_index(each) for each in table.indexes if not str(each.name).endswith("_again")]
        found[table.name] = {"columns": sorted(map(_column, table.columns)), "more": sorted(more)}
    return found


def _column(column: Column[Any]) -> str:
    kind = column.type.compile(dialect=postgresql.dialect()).lower()
    default = column.server_default
    value = f" default {default.arg}" if isinstance(default, DefaultClause) else ""
    return f"{column.name} {kind}{'' if column.nullable else ' not null'}{value}"


def _constraint(constraint: Constraint, table: Table) -> list[str]:
    """A constraint, and the index that enforces it, if any."""
    if isinstance(constraint, CheckConstraint):
        words = set(re.findall(r"\w+", re.sub("'[^']*'", "", str(constraint.sqltext))))
        name = f"ck_{table.name}_{constraint.name}".replace(f"ck_{table.name}_ck_", "ck_")
        return [f"{name} CHECK ({', '.join(sorted(words & set(table.columns.keys())))})"]
    assert isinstance(constraint, ColumnCollectionConstraint)
    columns = f"({', '.join(column.name for column in constraint.columns)})"
    if isinstance(constraint, ForeignKeyConstraint):
        there = ", ".join(key.column.name for key in constraint.elements)
        return [f"{constraint.name} FOREIGN KEY {columns} REFERENCES {constraint.referred_table.name}({there})"]
    kind = "PRIMARY KEY" if isinstance(constraint, PrimaryKeyConstraint) else "UNIQUE"
    return [f"{constraint.name} {kind} {columns}", f"{constraint.name} unique btree {columns}"]


def _index(index: Index) -> str:
    columns = ", ".join(column.name for column in index.columns)
    is_partial = index.dialect_options["postgresql"]["where"] is not None
    return f"{index.name}{' unique' if index.unique else ''} btree ({columns}){' partial' if is_partial else ''}"


def main() -> int:
    text = json.dumps({"sqlite": of_sqlite(), "postgres": of_postgres()}, indent=1, sort_keys=True) + "\n"
    if sys.argv[1:] == ["--check"]:
        if FILE.read_text("utf-8") == text:
            return 0
        print(f"stale, run python scripts/schema.py: {FILE.name}", file=sys.stderr)
        return 1
    FILE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
