"""Write wallet_cli/storage/schema.json from the migrations: what `wallet verify` compares the schema of a ledger with.

python scripts/schema.py            writes it
python scripts/schema.py --check    exits 1 if it is not what would be written
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import apsw
from sqlalchemy import Column, Index
from sqlalchemy.dialects import postgresql

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
    """By table, its columns with their types, and more: its indexes with their columns, and its constraints."""
    found = {}
    for table in tables.SQLModel.metadata.sorted_tables:
        checks = [each for column in table.columns for each in column.constraints]
        made = [each for each in table.constraints if each not in checks]
        names = {str(each.name) for each in made if each.name is not None}
        names |= {_index(each) for each in table.indexes if not str(each.name).endswith("_again")}
        names |= {f"ck_{table.name}_{each.name}".replace(f"ck_{table.name}_ck_", "ck_") for each in checks}
        found[table.name] = {"columns": sorted(map(_column, table.columns)), "more": sorted(names)}
    return found


def _column(column: Column[Any]) -> str:
    kind = column.type.compile(dialect=postgresql.dialect()).lower()
    return f"{column.name} {kind}{'' if column.nullable else ' not null'}"


def _index(index: Index) -> str:
    columns = ", ".join(column.name for column in index.columns)
    is_partial = index.dialect_options["postgresql"]["where"] is not None
    return f"{index.name}{' unique' if index.unique else ''} ({columns}){' partial' if is_partial else ''}"


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
