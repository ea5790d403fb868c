"""Style, types and the direction of imports hold, on the tree that these tests stand in."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sysconfig.get_path("scripts"))
TIMEOUT_S = 300

pytestmark = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").is_file() or not (ROOT / "wallet_cli" / "__init__.py").is_file(),
    reason="the source tree is not there: these check it, not the installed package",
)


def check(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_finds_nothing() -> None:
    check(sys.executable, "-m", "ruff", "check", ".")


def test_every_file_is_formatted() -> None:
    check(sys.executable, "-m", "ruff", "format", "--check", ".")


def test_types_are_strict() -> None:
    check(sys.executable, "-m", "mypy")


def test_imports_point_downward() -> None:
    # The linter imports the package by name: from the source tree, not from wherever it may be installed.
    check(str(SCRIPTS / "lint-imports"), "--no-cache")
