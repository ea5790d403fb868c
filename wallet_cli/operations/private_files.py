"""Small files for their owner alone (secrets, seals, settings): written whole under another name, and then renamed."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from wallet_cli.errors import InvalidInput, StorageError, hint_of
from wallet_cli.settings import exposed
from wallet_cli.storage.folders import give_name, give_to_owner, make_folder, sync_name

UNFINISHED = re.compile(r"\..+\.[0-9a-f]{16}\.new(-journal)?")
LEFT_S = 86_400.0


def unfinished(path: Path) -> Path:
    """A hidden name beside `path`, which no other process has, for a file until it is whole.

    What killed programs left in the folder under such names is removed, if it is older than a day. Raises OSError.
    """
    with suppress(PermissionError):  # a folder that may be written to and not listed
        for left in path.parent.iterdir():
            if UNFINISHED.fullmatch(left.name):
                with suppress(OSError):
                    if time.time() - left.stat().st_mtime > LEFT_S:
                        left.unlink()
    return path.with_name(f".{path.name}.{os.urandom(8).hex()}.new")


def write_beside(path: Path, text: bytes, owned_as: Path | None = None) -> Path:
    """A new file in the same folder, for its owner alone, on the disk. If root makes it, it gets the owner of the file
    `owned_as`. Raises OSError.
    """
    new = unfinished(path)
    fd = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            if owned_as is not None:
                give_to_owner(fd, owned_as)
            file.write(text)
            file.flush()
            os.fsync(fd)
    except BaseException:
        new.unlink()
        raise
    return new


def replace(path: Path, text: bytes) -> None:
    """Put a text in the place of a file's, or make the file. Raises OSError: the file is then as it was. Raises
    NotSynced.

    If root does so, the file keeps its owner.
    """
    new = write_beside(path, text, owned_as=path if path.exists() else None)
    try:
        new.replace(path)
    except BaseException:
        new.unlink()
        raise
    sync_name(path)


def create(path: Path, text: bytes, owned_as: Path | None = None) -> None:
    """Make a new file, as `write_beside` does. Raises FileExistsError if there is one, or another OSError: none is made
    then. Raises NotSynced.
    """
    new = write_beside(path, text, owned_as)
    try:
        give_name(new, path)
    except BaseException:
        new.unlink()
        raise
    sync_name(path)


def kept_secret(path: Path, make: Callable[[], str], otherwise: str) -> str:
    """The secret in the file `path`; if there is none yet, the one that `make` returns.

    Raises InvalidInput if others may use the file, or it is empty or not text, and StorageError with the hint
    `otherwise` if it cannot be read or created.
    """
    try:
        if not path.exists():
            make_folder(path.parent)
            with suppress(FileExistsError):  # another process was first: its secret counts
                create(path, make().encode())
        with path.open("rb") as file:
            wrong = exposed(os.fstat(file.fileno()))
            if wrong is not None:
                raise InvalidInput(f"the secret's file {wrong}: {path}", hint=f"chmod 600 {path}")
            text = file.read().decode("utf-8")
        if not text:
            raise InvalidInput(f"the secret's file is empty: {path}", hint="remove it")
        return text
    except UnicodeDecodeError:
        raise InvalidInput(f"the secret's file is not text: {path}", hint="remove it") from None
    except OSError as error:
        hint = hint_of(error, otherwise)
        raise StorageError(f"cannot write a secret: {error.strerror}: {path}", hint=hint) from None
