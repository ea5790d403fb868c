"""docs/reference.md says what the commands say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from wallet_cli.cli.app import TREE

ROOT = Path(__file__).parent.parent.parent


def test_the_reference_is_not_stale() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "reference.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_reference_has_every_command() -> None:
    text = (ROOT / "docs" / "reference.md").read_text("utf-8")
    for name in TREE:
        assert f"\n## wallet {name}" in text
