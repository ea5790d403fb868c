"""The most extreme values in each column of each table, written behind the program's back: no command ends in an error
of the program's own, `verify` names what is not within its range, and no file is named by it.

Whoever may write to the ledger may have written anything. What an edit changes within its range is the subject of
test_tampering_edits.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest
from sqlalchemy import Column
from support import forging
from support.cli import run
from support.engines import Engine, unchecked
from support.sizes import size

from wallet_cli.settings import platform_folder
from wallet_cli.storage import sql

BUSY = (
    "register 9886977544 --name Asha",
    "register 9886977545",
    "create 1",
    "create 2",
    "tx add 1 500 --credit --key salary --note May --meta order=1",
    "transfer 1 2 30 --key rent",
    "hold add 1 5 --note room --key room",
    "limits 1 --maximum-balance 10000",
    "key create till",
)

READING = {
    "users": ("users", "export"),
    "wallets": ("list", "statement 1"),
    "witnesses": ("balance 1",),
    "holds": ("hold list 1", "export"),
    "operators": ("key list",),
    "events": ("audit", "export", "balance 1 --at 2020-01-01"),
    "transactions": ("tx list", "statement 1"),
    "ledger": ("ledger show", "balance 1"),
}
WRITING = {
    "users": ("register 9886977546",),
    "wallets": ("freeze 1", "tx add 1 1 --credit"),
    "witnesses": ("tx add 1 1 --debit",),
    "holds": ("hold capture 1-h1 1",),
    "operators": ("key revoke till",),
    "events": ("limits 1 --daily-debit 5", "ledger set minimum_balance 1"),
    "transactions": ("tx add 1 500 --credit --key salary --note May --meta order=1", "tx reverse 1-1"),
    "ledger": ("register 9886977546", "tx add 1 1 --credit"),
}
"""Commands that read or write each table, most of all."""

OUTSIDE = "../" * 11 + "tmp"
"""As long as a UUID."""

LEAST, MOST = -(2**63), 2**63 - 1
VALUES: Mapping[type, Sequence[Any]] = {
    int: (MOST, LEAST, None),
    str: (OUTSIDE, "a\0" * 18, "", None),
    bytes: (b"", bytes(33), None),
}
TRIED = size(1, 4)
"""How many values of each kind; the first found most."""

FOUND = (5, 7, 9)
"""The exit codes of `verify` for damage, and for a ledger that says that an import or a move to it is not complete."""

UUID_CHARS = 36
AS_SCHEMA_7 = (
    "DROP TABLE events",
    "ALTER TABLE transactions DROP COLUMN actor",
    "UPDATE alembic_version SET version_num = '0007'",
    "PRAGMA user_version = 7",
)
"""Makes a ledger of schema 7 from one of today."""


def columns() -> list[Column[Any]]:
    return [column for name in forging.COLUMNS for column in forging.OF_SCHEMA[name].columns]


@pytest.mark.parametrize("column", columns(), ids=str)
def test_extremes_are_damage_and_no_fault(engine: Engine, monkeypatch: pytest.MonkeyPatch, column: Column[Any]) -> None:
    """Alone, and with the event that tells the row, whose hash is made to fit: then only a seal sees a name."""
    table, name = column.table.name, column.name
    for change in (forging.change, forging.change_with_its_event) if table in forging.ROW_OF else (forging.change,):
        is_plain = change is forging.change
        for value in VALUES[column.type.python_type][:TRIED]:
            with engine.lent("extreme", BUSY) as address:
                monkeypatch.setenv("WALLET_DB", str(address))
                with unchecked(address) as raw:
                    row = forging.read(raw, table)[0]
                    try:
                        change(raw, table, row, **{name: value})
                    except (apsw.Error, psycopg.Error):
                        continue  # the engine itself lets no such value in
                found = run("verify --json").code
                if row[name] != value and name != "damaged":  # a note, which `verify` corrects
                    assert found in FOUND or not (is_plain or name.endswith("_us")), value
                for line in (*READING[table], *WRITING[table]):
                    done = run(f"{line} --json")
                    assert done.code != 1, (value, line, done.err)


@pytest.mark.parametrize("schema", [sql.SCHEMA_VERSION, 7])
@pytest.mark.on_file("a file of another, which a command is pointed at")
def test_no_file_is_named_by_what_stands_in_the_place_of_an_id(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, schema: int
) -> None:
    address = Path(str(engine.copy("extreme", BUSY, tmp_path)))
    monkeypatch.setenv("WALLET_DB", str(address))
    outside = "../../elsewhere".ljust(UUID_CHARS, "x")
    with unchecked(address) as raw:
        raw.execute("UPDATE ledger SET uuid = ?", [outside])
        if schema < sql.SCHEMA_VERSION:
            for statement in AS_SCHEMA_7:
                raw.execute(statement)
    for line in ("verify", f"backup {tmp_path / 'b.db'}", f"seal {tmp_path / 'a.seal'}"):
        done = run(f"{line} --json")
        assert done.code == 7, (line, done.err)
        assert "its id is not a UUID" in done.error["message"]
    folders = platform_folder("state"), platform_folder("state").parent, tmp_path
    assert not [path for folder in folders for path in folder.rglob("*elsewhere*")]
