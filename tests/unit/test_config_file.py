"""config.toml is changed whole or not at all, and by one at a time."""

from __future__ import annotations

import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support import cli

from wallet_cli.cli import config_file
from wallet_cli.errors import InvalidInput, StorageError
from wallet_cli.settings import SETTINGS, read_config

TEXT = """\
# Of the till.
currency = "INR"   # rupees

[ledgers.till]  # the old one
db = "till.db"
"""


def setting(name: str, text: str) -> Any:
    def alter(document: Any) -> None:
        document[name] = text

    return alter


def test_comments_order_and_tables_stay(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(TEXT)
    path.chmod(0o644)
    config_file.change(path, setting("lock_timeout", "5"), lambda _: None)
    config_file.change(path, setting("currency", "EUR"), lambda _: None)
    assert path.read_text() == TEXT.replace("INR", "EUR").replace("rupees\n", 'rupees\nlock_timeout = "5"\n')
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=ascii)
def test_lines_end_as_they_did(end: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(TEXT.replace("\n", end).encode())
    config_file.change(path, setting("lock_timeout", "5"), lambda _: None)
    assert b"lock_timeout" in path.read_bytes()
    assert set(re.findall(rb"\r?\n", path.read_bytes())) == {end.encode()}


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    there, path = tmp_path / "kept" / "mine.toml", tmp_path / "config.toml"
    there.write_text(TEXT)
    path.symlink_to(there)
    config_file.change(path, setting("currency", "EUR"), lambda _: None)
    assert path.is_symlink()
    assert there.read_text() == TEXT.replace("INR", "EUR")


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_what_cannot_be_written_leaves_the_file_as_it_was(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(TEXT)

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), fails)
    with pytest.raises(StorageError, match="No space left"):
        config_file.change(path, setting("currency", "EUR"), lambda _: None)
    assert [each.read_text() for each in tmp_path.iterdir()] == [TEXT]


def test_what_is_refused_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(TEXT)
    with pytest.raises(InvalidInput, match="no setting 'curency'"):
        config_file.change(path, setting("curency", "EUR"), lambda _: None)
    assert [each.read_text() for each in tmp_path.iterdir()] == [TEXT]


MENDED = {
    "nothing but the place of a ledger": ("[ledgers.till]\ndb = 'a'\n", "unset ledgers.till.db", ""),
    "one of two": (
        *("[ledgers.till]\ndb = 'a'\n\n[ledgers.bar]\ndb = 'b'\n", "unset ledgers.till.db"),
        "[ledgers.bar]\ndb = 'b'\n",
    ),
    "a ledger without a place is forgotten": ("[ledgers.till]\ntoken_file = 'a'\n", "unset ledgers.till", ""),
    "its only setting is": ("[ledgers.till]\ntoken_file = 'a'\n", "unset ledgers.till.token_file", ""),
    "of which nothing is said": ("[ledgers.till]\n", "unset ledgers.till.db", ""),
    "which is no table": ("[ledgers]\ntill = 'a'\n", "unset ledgers.till", "[ledgers]\n"),
    "which gets a place": (
        *("[ledgers.till]\ntoken_file = 'a'\n", "set ledgers.till.db /b"),
        "[ledgers.till]\ntoken_file = 'a'\ndb = \"/b\"\n",
    ),
    "which becomes a table": (
        *("[ledgers]\ntill = 'a'\n", "set ledgers.till.db /b"),
        '[ledgers]\n\n[ledgers.till]\ndb = "/b"\n',
    ),
    "a name that is none": ("colour = 'red'\nlock_timeout = '5'\n", "unset colour", "lock_timeout = '5'\n"),
    "a table that is none": ("[colours]\na = 'red'\n", "unset colours", ""),
    "a ledger's setting that is none": (
        *("[ledgers.till]\ndb = 'a'\ncolour = 'red'\n", "unset ledgers.till.colour"),
        "[ledgers.till]\ndb = 'a'\n",
    ),
    "a ledger that cannot be called so": ("[ledgers.'my till']\ndb = 'a'\n", "unset 'ledgers.my till'", ""),
}
STAYS = {
    "the place alone": ("[ledgers.till]\ndb = 'a'\ntoken_file = 'b'\n", "unset ledgers.till.db"),
    "all ledgers": ("[ledgers.till]\ndb = 'a'\n", "unset ledgers"),
    "one of two that are wrong": ("colour = 'red'\nsize = '5'\n", "unset colour"),
    "something else that is wrong": ("colour = 'red'\n", "set lock_timeout 5"),
}


@pytest.mark.parametrize(("before", "line", "after"), MENDED.values(), ids=MENDED)
def test_a_change_may_mend_what_was_wrong(
    before: str, line: str, after: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(before)
    monkeypatch.setenv("WALLET_CONFIG", str(path))
    assert cli.run(f"config {line}").code == 0
    assert path.read_text() == after


@pytest.mark.parametrize(("before", "line"), STAYS.values(), ids=STAYS)
def test_a_change_leaves_nothing_wrong(before: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.toml"
    path.write_text(before)
    monkeypatch.setenv("WALLET_CONFIG", str(path))
    assert cli.run(f"config {line}").code == 2
    assert path.read_text() == before


@pytest.mark.parametrize("name", ["db", "token_file", "ca_file", "seal_to", "ledgers.till.db"])
@pytest.mark.parametrize(("typed", "kept"), [("a", "{here}/a"), ("../a", "{above}/a"), ("~/a", "~/a"), ("/a", "/a")])
def test_a_path_is_kept_as_it_is_meant_here(
    name: str, typed: str, kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WALLET_CONFIG", str(tmp_path / "config.toml"))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert cli.run(f"config set {name} {typed} -q").out == kept.format(here=here, above=tmp_path) + "\n"


@pytest.mark.skipif(os.name != "posix", reason="Windows has no lock of a folder")
def test_changes_at_once_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.toml"
    names = [each.name for each in SETTINGS if each.name != "ledger"]
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: config_file.change(path, setting(name, name), lambda _: None), names))
    assert set(read_config(path.read_bytes(), path).values) == set(names)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
