"""What a one-shot command may import: the libraries that are slow to load wait until something needs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.cli import Outcome
from support.engines import Engine

SLOW = [
    "sqlmodel",
    "sqlalchemy",
    "pydantic",
    "pydantic_core",
    "rich",
    "babel",
    "wcwidth",
    "alembic",
    "phonenumbers",
    "hashlib",
    "_hashlib",
    "tomllib",
    "dotenv",
    "zoneinfo",
    "unicodedata",
    "decimal",
    "asyncio",
    "logging",
    "platformdirs",
    "wallet_cli.cli.help_text",
    "wallet_cli.cli.completing",
]

DRIVER = ["zoneinfo", "asyncio", "logging", "decimal"]
"""What the driver of PostgreSQL imports by itself."""

# In a process of its own, because this one has imported everything. What Python loads by itself does not count.
PROGRAM = """
import sys
before = set(sys.modules)
from wallet_cli.cli.app import main
code = main(sys.argv[1:])
import json
print(json.dumps({"code": code, "modules": sorted(set(sys.modules) - before)}), file=sys.stderr)
"""

PHONE = "98869 77544"
COMMANDS = {
    "balance": ["balance", "1", "--json"],
    "balance by phone": ["balance", PHONE, "--json"],
    "balance by phone in full": ["balance", "+91 98869 77544", "--json"],
    "balance at a time": ["balance", "1", "--at", "2026-01-01T00:00:00Z", "--json"],
    "add": ["tx", "add", "1", "1", "--credit", "--json"],
    "add by phone with a key": ["tx", "add", PHONE, "1", "--credit", "--key", "k", "--note", "plain", "--json"],
    "list": ["tx", "list", "1", "--json"],
    "total": ["tx", "total", "1", "--json"],
    "balance alone": ["balance", "1", "-q"],
}


@pytest.fixture
def known(wallet: Callable[[str], Outcome]) -> None:
    for line in (f"register '{PHONE}'", "create 1", "tx add 1 100 --credit"):
        assert wallet(line).code == 0


def modules_of(arguments: list[str], folder: Path) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    said = json.loads(done.stderr.splitlines()[-1])
    return said["code"], said["modules"]


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.usefixtures("known")
def test_a_command_on_the_hot_path_imports_nothing_slow(arguments: list[str], tmp_path: Path, engine: Engine) -> None:
    code, modules = modules_of(arguments, tmp_path)
    assert code == 0
    storage, more = ("sqlite", []) if engine.name == "file" else ("postgres", DRIVER)
    assert f"wallet_cli.storage.{storage}" in modules  # it is the real path that was watched
    assert [name for name in SLOW if name in modules and name not in more] == []


@pytest.mark.usefixtures("known")
def test_the_watch_sees_what_a_table_imports(tmp_path: Path) -> None:
    code, modules = modules_of(["balance", "1"], tmp_path)
    assert code == 0
    assert "babel" in modules


@pytest.mark.parametrize(
    ("fault", "told"),
    [("MemoryError", "there is not enough memory"), ("ValueError", "ValueError"), ("OSError('no file')", "no file")],
)
def test_what_cannot_be_imported_is_told_in_words(tmp_path: Path, fault: str, told: str) -> None:
    (tmp_path / "typer.py").write_text(f"raise {fault}")
    environ = os.environ | {"PYTHONPATH": str(tmp_path)}
    line = [sys.executable, "-m", "wallet_cli", "list"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=environ)
    assert done.stderr == f"error: wallet cannot start: {told}\n"
