"""Each service that a command calls has a mirror with the same arguments, and the local path loads nothing for it."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import wallet_cli.cli
from wallet_cli import settings
from wallet_cli.remote import is_remote, mirror_of
from wallet_cli.services.context import open_ledger
from wallet_cli.storage.purpose import Purpose

PROGRAM = """
import sys
from wallet_cli.cli.app import main
code = main(sys.argv[1:])
import json
print(json.dumps([code, sorted(name for name in sys.modules if name in ("httpx", "ssl") or "remote" in name)]))
"""

pytestmark = pytest.mark.on_file("the services, and what stands for them from afar")


def called() -> Iterator[tuple[str, str]]:
    """The module and the name of each service that stands in a `ledger.call(…)` of a command."""
    for path in sorted(Path(wallet_cli.cli.__path__[0]).glob("*.py")):
        module = import_module(f"wallet_cli.cli.{path.stem}")
        for subject, function in re.findall(r"ledger\.call\(\s*(\w+)\.(\w+)", path.read_text("utf-8")):
            names = dict(inspect.getmembers(module, inspect.ismodule))
            found = names.get(subject) or import_module(f"wallet_cli.services.{subject}")
            yield found.__name__, function


def arguments(function: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    """All but the ledger."""
    found = list(inspect.signature(inspect.unwrap(function)).parameters.values())[1:]
    return [(each.name, each.kind, each.default) for each in found if each.name != "_"]


@pytest.mark.parametrize(("module", "name"), sorted(set(called())))
def test_a_mirror_has_the_same_arguments(module: str, name: str) -> None:
    service = getattr(import_module(module), name)
    mirror = mirror_of(service)
    assert mirror is not service
    theirs, ours = arguments(service), arguments(mirror)
    assert [each[:2] for each in ours] == [each[:2] for each in theirs]
    assert [each[2] for each in ours if not callable(each[2])] == [each[2] for each in theirs if not callable(each[2])]


def test_commands_call_services_in_no_other_way() -> None:
    """`service(ledger, …)` would be asked of a ledger that is not here."""
    for path in Path(wallet_cli.cli.__path__[0]).glob("*.py"):
        assert re.findall(r"\b(?:\w+\.)+\w+\(\s*ledger,", path.read_text("utf-8")) == [], path.name


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
