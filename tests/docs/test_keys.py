"""docs/keys.md: its table is what bench/keys.py prints, and every line of it does what it says."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from support import shell

ROOT = Path(__file__).parents[2]

# By its path: with the folder on sys.path, its web.py and transport.py would hide the tests' folders of these names.
SPEC = spec_from_file_location("keys_of_bench", ROOT / "bench" / "keys.py")
assert SPEC is not None
assert SPEC.loader is not None
bench: Any = module_from_spec(SPEC)
SPEC.loader.exec_module(bench)

SCHEMA = """
create table users(id integer primary key, phone text, name text);
create table wallets(id integer primary key, user integer);
create table tx(id integer primary key, w integer, a integer, at text default '2026-11-27');
insert into users(phone, name) values ('+919886977544', 'Asha'), ('+919886977545', 'Ravi');
insert into wallets(user) values (1), (2);
"""
FIRST = (
    *("register 9886977544 --name Asha", "register 9886977545 --name Ravi", "create 1", "create 2"),
    *("credit 1 500 --at 2026-11-01", "debit 1 20 --at 2026-11-02"),
)

pytestmark = pytest.mark.on_file("what is typed is the same on every engine")


def test_the_page_has_what_the_script_prints() -> None:
    page = (ROOT / "docs" / "keys.md").read_text("utf-8")
    assert page.endswith("\n".join(bench.report()) + "\n")


def test_keys_are_counted() -> None:
    assert bench.keys(("wallet tx add 1 500 --credit",)) == 29
    assert bench.keys(("ab", "", "^D")) == 5


@pytest.mark.parametrize(
    "lines", sorted({lines for act in bench.ACTS for lines in (act.now, act.before)}), ids=" ".join
)
def test_each_line_of_wallet_works(lines: bench.Lines, db: Path, tmp_path: Path) -> None:
    environ = {**os.environ, "PATH": os.pathsep.join([str(shell.folder()), os.environ["PATH"]])}
    for line in FIRST:
        subprocess.run(["wallet", *shlex.split(line)], env=environ, cwd=tmp_path, check=True, capture_output=True)
    for line in lines:
        done = subprocess.run(
            ["bash", "-c", line], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout or ">" in line


@pytest.mark.parametrize("act", bench.ACTS, ids=[act.name for act in bench.ACTS])
@pytest.mark.parametrize("tool", ["hledger", "sqlite3"])
def test_each_line_of_another_program_works(tool: str, act: bench.Act, tmp_path: Path) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    journal = tmp_path / "hledger.journal"
    journal.write_text("2026-11-01 Opening\n  asha  500\n  cash\n")
    if tool == "sqlite3":
        subprocess.run(["sqlite3", "w.db"], input=SCHEMA, text=True, cwd=tmp_path, check=True)
    lines = getattr(act, tool)
    if not lines:
        return
    first, *typed = lines
    done = subprocess.run(
        ["bash", "-c", first],
        input="".join(f"{line}\n" for line in typed if line != bench.CONTROL_D),
        env={**os.environ, "LEDGER_FILE": str(journal)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if typed:
        assert journal.read_text().count("asha") == 2
