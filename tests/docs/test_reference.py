"""docs/reference.md says what the commands say, and docs/http.md what the server says of itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from wallet_cli.cli.tree import TREE
from wallet_cli.web.app import PAGES
from wallet_cli.web.operations import OPERATIONS

ROOT = Path(__file__).parent.parent.parent


def test_neither_reference_is_stale() -> None:
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


def test_the_http_reference_has_every_operation_and_page() -> None:
    text = (ROOT / "docs" / "http.md").read_text("utf-8")
    for operation in OPERATIONS:
        assert f"\n### {operation.method} /api/v1{operation.path}\n" in text
    for page in PAGES:
        assert f"\n| `GET {page}` |" in text
