"""Syncing files and folders to the disk: a new name survives a power cut only if its folder was synced."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wallet_cli.errors import NotSynced, hint_of


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


def sync(path: Path) -> None:
    """Sync a file, or the names in a folder, to the disk. Raises OSError."""
    with _opened(path) as fd:
        os.fsync(fd)


def sync_name(path: Path) -> None:
    """Sync the name that a file was given. Raises NotSynced, and the file stays: others may have read it by then."""
    if os.name == "posix":
        try:
            sync(path.parent)
        except OSError as error:
            raise NotSynced(
                f"{path} is written, but it is unknown whether it outlasts a power cut: {error.strerror}",
                hint=hint_of(error, "check the disk, and whether the file is still there"),
            ) from None


def give_name(new: Path, path: Path) -> None:
    """Give a whole file its name, unless there is one with that name. Raises FileExistsError, or another OSError.

    Without hard links (FAT, exFAT, some network file systems), an empty file takes the name first, for a moment. From
    when the file has its name nothing fails: its other name may be left, as after a kill.
    """
    try:
        os.link(new, path)
    except OSError as error:
        if not _is_same(new, path):  # a network file system may link, and lose the answer
            if isinstance(error, FileExistsError):
                raise
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            try:
                new.replace(path)
            except BaseException:
                path.unlink()
                raise
            return
    with suppress(OSError):
        new.unlink()


def _is_same(path: Path, other: Path) -> bool:
    """Whether two names are of one file."""
    try:
        return path.samefile(other)
    except OSError:
        return False


def give_to_owner(fd: int, ledger: Path) -> None:
    """If root has just created a file beside a ledger, give it the ledger's owner, as SQLite does; where there is no
    ledger yet, the folder's. Raises OSError.
    """
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        found = (ledger if ledger.exists() else ledger.parent).stat()
        os.fchown(fd, found.st_uid, found.st_gid)


def make_like(fd: int, replaced: Path) -> None:
    """Give a new file the group and the mode of the file that it will replace; if root does it, the owner too.

    The owner may always read and write. Who may not give it the group leaves it to its owner alone. Raises OSError.
    """
    give_to_owner(fd, replaced)
    if hasattr(os, "fchown"):
        found = replaced.stat()
        with suppress(PermissionError):
            os.fchown(fd, -1, found.st_gid)
            os.fchmod(fd, stat.S_IMODE(found.st_mode) | 0o600)


def make_folder(path: Path, owned_as: Path | None = None) -> None:
    """Create a folder that only its owner can read, and its missing parent folders; what root creates for a ledger gets
    the owner of that, `owned_as`. Raises OSError.
    """
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for made in reversed(missing):
        if owned_as is not None:
            with _opened(made) as fd:
                give_to_owner(fd, owned_as)
        sync(made.parent)
