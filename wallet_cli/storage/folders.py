"""Folders and what is in them, brought to the disk: a name is there after a power cut when its folder was synced."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk. Raises OSError."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def give_to_owner(fd: int, ledger: Path) -> None:
    """Where root has just made a file beside a ledger, give it to whoever the ledger belongs to, as SQLite does.

    Raises OSError, such as where there is no ledger.
    """
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        found = ledger.stat()
        os.fchown(fd, found.st_uid, found.st_gid)


def make_folder(path: Path) -> None:
    """Make a folder that only its owner may look into, and those above it that are missing. Raises OSError."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for made in reversed(missing):
        sync(made.parent)
