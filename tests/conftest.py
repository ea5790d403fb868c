"""Fixtures: every test has a folder, an empty ledger and settings of its own, whatever the machine's are."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import cli

from wallet_cli import settings
from wallet_cli.services.context import Ledger, open_ledger

VARIABLES = [name for setting in settings.SETTINGS for name in setting.variables]


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger just made, to copy from: making one takes half a second, for the migrations."""
    path = tmp_path_factory.mktemp("template") / "wallet.db"
    with open_ledger(settings.load({"db": str(path)}, {}), lambda _: None):
        pass
    return path


@pytest.fixture(autouse=True)
def clean_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory and home, no settings, and UTC."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("WALLET_DEBUG", raising=False)
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def db(tmp_path: Path, empty_ledger: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of an empty ledger, which is also what WALLET_DB names."""
    path = tmp_path / "wallet.db"
    shutil.copyfile(empty_ledger, path)
    path.chmod(0o600)
    monkeypatch.setenv("WALLET_DB", str(path))
    return path


@pytest.fixture
def wallet(db: Path) -> Callable[[str | list[str]], cli.Outcome]:
    """Runs a command line on the test's ledger: `wallet("tx add 1 5 --credit")`."""
    return cli.run


@pytest.fixture
def ledger(db: Path) -> Iterator[Ledger]:
    """The test's ledger, open."""
    with open_ledger(settings.load({"db": str(db)}), lambda _: None) as opened:
        yield opened
