"""The folder where workers keep their counts: their parent makes and removes it.

It stays when the parent is killed. A lock on it, which the workers share, shows whether any of them still lives: a
later server of the same user removes those that are not locked.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wallet_cli.errors import StorageError, hint_of
from wallet_cli.web.supervisor import METRICS_FOLDER_VARIABLE

PREFIX = "wallet-metrics-"
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


@contextmanager
def metrics_folder() -> Iterator[None]:
    """Make the folder for the length of a `with` block, and name it in the environment. Raises StorageError."""
    try:
        _remove_left(Path(tempfile.gettempdir()))
        folder, fd = _locked()
    except OSError as error:
        raise StorageError(
            f"several workers need a folder for temporary files, and it cannot be made: {error.strerror}",
            hint=hint_of(error, "set TMPDIR to a folder that can be written"),
        ) from None
    os.environ[METRICS_FOLDER_VARIABLE] = str(folder)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(fd)


def _locked() -> tuple[Path, int]:
    """A new folder, and its lock. One that another server took for left, before it was locked, is made again."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        fd = os.open(folder, FOLDER)
        with suppress(OSError):  # a network file system may lock no folders: none is removed there
            fcntl.flock(fd, fcntl.LOCK_EX)
        if folder.exists():
            return folder, fd
        os.close(fd)


def _remove_left(place: Path) -> None:
    for left in place.glob(f"{PREFIX}*"):
        with suppress(OSError):  # it is locked, or another user's, or another server was first
            fd = os.open(left, FOLDER)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(fd).st_uid == os.geteuid():
                    shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(fd)
