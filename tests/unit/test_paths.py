"""Paths: the home of a user is put in the place of `~` wherever a path is typed, or the path is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.cli import Outcome

from wallet_cli import settings
from wallet_cli.errors import InvalidInput
from wallet_cli.paths import typed_path

pytestmark = pytest.mark.on_file("nothing but paths of files")

NOT_THERE = "~no-such-user/x"

LINES = [
    f"--db {NOT_THERE} balance 1",
    f"backup {NOT_THERE}",
    f"backup {NOT_THERE}/ --every 1h",
    f"restore {NOT_THERE} --yes",
    f"seal {NOT_THERE}",
    f"verify --against {NOT_THERE}",
    f"verify --receipt {NOT_THERE}",
    f"receipt 1-1 --seal {NOT_THERE}",
    f"serve --seal-to {NOT_THERE} --no-auth --port 0",
]


@pytest.mark.parametrize("line", LINES)
def test_a_home_that_is_not_there(wallet: Callable[[str], Outcome], line: str) -> None:
    wallet("register 9886977544")
    wallet("create 1")
    wallet("credit 1 5")
    refused = wallet(line)
    assert refused.code == 2
    assert refused.err.splitlines()[-2:] == [
        f"error: not a path: '{NOT_THERE}{'/' if '/ ' in line else ''}'",
        "hint: '~no-such-user' is no folder here: give the whole path",
    ]


def test_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/asha")
    assert typed_path("~/w.db") == Path("/home/asha/w.db")
    assert typed_path("a/~/w.db") == Path("a/~/w.db")
    with pytest.raises(InvalidInput, match="not a path"):
        typed_path("a\0b")


def test_settings_name_files_at_home(tmp_path: Path) -> None:
    kept = tmp_path / "home" / "kept"
    kept.parent.mkdir()
    kept.write_text("a-token\n")
    kept.chmod(0o600)
    kept.with_name("variables").write_text("WALLET_CURRENCY=EUR\n")
    given = settings.load({"token_file": "~/kept", "ca_file": "~/kept", "env_file": "~/variables"})
    assert given.currency.name == "EUR"
    assert settings.config_path({"WALLET_CONFIG": "~/kept"}) == kept
    assert given.ca_file == str(kept)
    assert given.token_for("example.org:443") == "a-token"
