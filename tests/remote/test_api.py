"""A ledger here and one on another machine answer all that may be asked; the local path loads nothing for afar.

That each answer takes and gives the same is for the type checker to say (tests/checks): it sees both as a LedgerApi.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from wallet_cli import settings
from wallet_cli.api import LedgerApi
from wallet_cli.domain.purpose import Purpose
from wallet_cli.local import LocalLedger
from wallet_cli.operations.context import open_ledger
from wallet_cli.remote import is_remote
from wallet_cli.remote.ledger import RemoteLedger

PROGRAM = """
import sys
from wallet_cli.cli.app import main
code = main(sys.argv[1:])
import json
print(json.dumps([code, sorted(name for name in sys.modules if name in ("httpx", "ssl") or "remote" in name)]))
"""

pytestmark = pytest.mark.on_file("what is asked of ledgers here and of those afar")

ASKED = sorted(name for name in vars(LedgerApi) if not name.startswith("_"))


@pytest.mark.parametrize("place", [LocalLedger, RemoteLedger])
def test_each_answers_all_of_the_list(place: type[LedgerApi]) -> None:
    """As one who implements it, or the type checker would look at neither."""
    assert LedgerApi in place.__mro__
    assert "add" in ASKED
    assert [name for name in ASKED if getattr(place, name) is getattr(LedgerApi, name)] == []


@pytest.mark.parametrize(
    ("db", "remote"),
    [
        ("http://localhost", True),
        ("https://example.org", True),
        ("HTTPS://example.org", True),
        ("postgresql://localhost/x", False),
        ("wallet.db", False),
        ("http:/x", False),
        ("/srv/https/wallet.db", False),
    ],
)
def test_what_is_afar(db: str, remote: bool) -> None:
    assert is_remote(db) is remote


def test_a_command_on_a_file_loads_nothing_for_afar(tmp_path: Path) -> None:
    with open_ledger(settings.load({"db": str(tmp_path / "wallet.db")}), lambda _: None, purpose=Purpose.MAKE):
        pass  # to make one takes what no other command needs
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "--db", str(tmp_path / "wallet.db"), "balance", "1", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout) == [3, []]
