"""Small files are written whole or not at all, and what is told of them is so, whatever fails."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from wallet_cli.errors import StorageError
from wallet_cli.operations import last_checks
from wallet_cli.operations.private_files import create, replace

pytestmark = pytest.mark.on_file("small files beside a ledger")

NEW, OLD = b"new", b"old"
WAYS: dict[str, tuple[Callable[[Path, bytes], None], bool]] = {
    "one that is replaced": (replace, True),
    "one that is made by replacing": (replace, False),
    "one that is created": (create, False),
}
"""How a file is written, and whether there was one."""


def sync_fails(monkeypatch: pytest.MonkeyPatch, *, of_folders: bool) -> None:
    sync = os.fsync

    def fails(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode) is of_folders:
            raise OSError(5, "Input/output error")
        sync(fd)

    monkeypatch.setattr(os, "fsync", fails)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("of_folders", [False, True], ids=["its text", "its name"])
def test_what_cannot_be_synced_is_told_as_it_is(
    way: str, of_folders: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, is_there = WAYS[way]
    path = tmp_path / "a"
    if is_there:
        path.write_bytes(OLD)
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    sync_fails(monkeypatch, of_folders=of_folders)
    with pytest.raises((OSError, StorageError)) as told:
        write(path, NEW)
    assert ("it is unknown whether it outlasts a power cut" in str(told.value)) is of_folders
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == ({"a": NEW} if of_folders else before)


@pytest.mark.parametrize("of_folders", [False, True], ids=["its text", "its name"])
def test_a_note_of_a_check_stops_nothing(of_folders: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    last_checks.note("id", "place", last_checks.SEALED)
    sync_fails(monkeypatch, of_folders=of_folders)
    last_checks.note("id", "place", last_checks.VERIFIED)
    assert (last_checks.VERIFIED in last_checks.read("id", "place")) is of_folders
