"""Secrets that are created once and kept in a file that only its owner may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from wallet_cli.errors import InvalidInput, StorageError, hint_of
from wallet_cli.settings import exposed
from wallet_cli.storage.folders import make_folder


def kept_secret(path: Path, make: Callable[[], str], otherwise: str = "check its folder") -> str:
    """The secret in the file `path`; if there is none yet, the one that `make` returns.

    It is written under another name first, so that no reader sees a part. Raises InvalidInput if others may use the
    file or it is not text, and StorageError with the hint `otherwise` if it cannot be read or created.
    """
    try:
        if not path.exists():
            make_folder(path.parent)
            new = path.with_name(f"{path.name}.{os.getpid()}")
            fd = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(fd, "w") as file:
                file.write(make())
                file.flush()
                os.fsync(fd)
            try:
                os.link(new, path)  # fails if another process was first: then its secret counts
            except FileExistsError:
                pass
            finally:
                new.unlink()
        with path.open("rb") as file:
            wrong = exposed(os.fstat(file.fileno()))
            if wrong is not None:
                raise InvalidInput(f"the secret's file {wrong}: {path}", hint=f"chmod 600 {path}")
            return file.read().decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(f"the secret's file is not text: {path}", hint="remove it") from None
    except OSError as error:
        hint = hint_of(error, otherwise)
        raise StorageError(f"cannot write a secret: {error.strerror}: {path}", hint=hint) from None
