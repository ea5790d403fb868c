"""The recipe of CONTRIBUTING for a field of a transaction, done on a copy: four files, and it is there everywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

META = '    """Canonical JSON of an object (see metadata.py)."""\n'
TEXTS = 'TEXTS = {"note": Text(MAX_NOTE_CHARS)'
ANSWER = '    meta: NotRequired[Annotated[Metadata, "The metadata given with it."]]\n'
COLUMN = '    actor: str | None = Field(sa_column=_added("actor",'
EDITS = {
    "domain/remarks.py": {
        META: f"{META}    channel: str | None = None\n",
        TEXTS: f'{TEXTS}, "channel": Text(32, "By which way it came")',
    },
    "operations/fields.py": {ANSWER: f'{ANSWER}    channel: NotRequired[Annotated[str, "By which way it came."]]\n'},
    "storage/tables.py": {
        COLUMN: f'    channel: str | None = Field(sa_column=_added("channel", Text, "length(channel) <= 32"))\n{COLUMN}'
    },
    "storage/sql.py": {"SCHEMA_VERSION = 8\n": "SCHEMA_VERSION = 9\n"},
}
"""By file: what is put in the place of what."""

MIGRATION = """
from alembic import op

revision, down_revision = "0009", "0008"


def upgrade() -> None:
    op.execute(
        "ALTER TABLE transactions ADD COLUMN channel TEXT"
        " CONSTRAINT ck_transactions_channel CHECK (length(channel) <= 32)"
    )
"""

FACES = """
import json
from wallet_cli.cli.mcp_tools import TOOLS
from wallet_cli.domain.remarks import Remarks
from wallet_cli.web import requests
ids = {"user_id": 1, "wallet_id": 1}
body = json.dumps(ids | {"amount": "5", "is_credit": True, "channel": "web", "meta": {"a": 1}})
said = requests.remarks_of(requests.decode(body.encode(), requests.NewTransaction))
tool = next(each for each in TOOLS if each.name == "credit").may["channel"]
print(json.dumps([said.told(), tool.about]))
"""

Run = Callable[[str], str]

REGISTERED = ("register 9886977544", "create 1", "create 1/savings")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a package that has the field."""
    folder = tmp_path_factory.mktemp("field")
    package = folder / "wallet_cli"
    shutil.copytree(ROOT / "wallet_cli", package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    for name, replaced in EDITS.items():
        text = (package / name).read_text("utf-8")
        for old, new in replaced.items():
            assert text.count(old) == 1, (name, old)
            text = text.replace(old, new)
        (package / name).write_text(text, "utf-8")
    (package / "storage/migrations/versions/0009_channel.py").write_text(MIGRATION)
    python(folder, "scripts/schema.py")
    return folder


def python(folder: Path, *arguments: str) -> str:
    env = os.environ | {"PYTHONPATH": str(folder), "WALLET_DB": str(folder / "wallet.db")}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=folder, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def run(copy: Path) -> Run:
    """Runs a command of the copy, on a ledger that has one credit."""

    def run(line: str) -> str:
        return python(copy, "-m", "wallet_cli", *line.split())

    for line in (*REGISTERED, "credit 1 500 --note hi --meta a=b --channel web"):
        run(line)
    return run


def test_a_field_of_a_transaction_changes_four_files() -> None:
    assert len(EDITS) == 4


def test_it_is_taken_told_and_compared(run: Run) -> None:
    made = json.loads(run("transfer 1 1/savings 5 --key k --channel app --json"))
    assert (made["debit"]["channel"], made["credit"]["channel"]) == ("app", "app")
    assert json.loads(run("transfer 1 1/savings 5 --key k --channel app --json"))["replayed"]
    assert "channel  web" in run("tx show 1-1")


def test_it_is_taken_from_bodies_and_by_tools(copy: Path) -> None:
    about = "By which way it came, up to 32 characters"
    assert json.loads(python(copy, "-c", FACES)) == [{"meta": {"a": 1}, "channel": "web"}, about]


def test_it_is_hashed_and_comes_back_from_an_export(run: Run, tmp_path: Path) -> None:
    lines, table = tmp_path / "export.jsonl", tmp_path / "export.csv"
    lines.write_text(run("export"))
    table.write_text(run("export --format csv"))
    assert '"channel":"web"' in lines.read_text()
    assert table.read_text().startswith("wallet,amount,kind,at,note,key,meta,channel,id,")
    run("verify")
    run(f"--db {tmp_path}/other.db import {lines}")
    assert run(f"--db {tmp_path}/other.db export") == lines.read_text()
    assert json.loads(run(f"import {table} --json"))["replayed"] == 3
    table.write_text("wallet,amount,kind,channel\n1,1.00,credit,till\n")
    run(f"import {table}")
    assert "till" in run("export --format csv")
