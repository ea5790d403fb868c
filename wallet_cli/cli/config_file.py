"""Changes of config.toml: checked before they are kept, written whole or not at all, and for its owner alone.

The rest of the file, its comments and its order do not change: tomlkit keeps them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from wallet_cli.errors import InvalidInput, StorageError, hint_of, unreadable
from wallet_cli.operations import private_files
from wallet_cli.settings import Place, read_config, read_file, read_toml


def change(path: Path, alter: Callable[[Any], object], check: Callable[[Place], object]) -> None:
    """Have the document (tomlkit's) that a config file holds altered; `check` is told what it says then, and may raise.

    Two who change it at once wait for each other. What is wrong in the file may be mended so. Raises InvalidInput for
    what is no TOML, or no config file afterwards, and StorageError where it cannot be written. Then the file is as it
    was.
    """
    import tomlkit

    with _alone_in(path):
        text = read(path)
        read_toml(text, path)
        document = tomlkit.parse(text.decode("utf-8"))
        alter(document)
        new = tomlkit.dumps(document).encode("utf-8")
        if b"\r\n" in text and text.count(b"\n") == text.count(b"\r\n"):
            new = re.sub(rb"(?<!\r)\n", b"\r\n", new)
        check(read_config(new, path))
        if new != text:
            replace(path, new)


def read(path: Path) -> bytes:
    """What the file holds; nothing where there is none."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise unreadable(path, error, "check the path") from None
    return read_file(path, mode)


def replace(path: Path, text: bytes) -> None:
    """Put a text in the place of the file's, for its owner alone. Raises StorageError where it cannot be written."""
    # A link is followed: a user who keeps the file elsewhere can go on with that.
    target = Path(os.path.realpath(path))
    try:
        private_files.replace(target, text)
    except OSError as error:
        raise _cannot_write(path, error) from None


@contextmanager
def drafted(path: Path, text: bytes) -> Iterator[tuple[Path, bool]]:
    """A copy to edit, for the length of a `with` block, and whether it is what an edit left that came to no end.

    It is kept where the block raises and it differs from `text`. It has a folder beside the file, and there a copy of
    the text from which it came. Raises InvalidInput where somebody else edits it now, or where it was left and the file
    changed since; StorageError.
    """
    target = Path(os.path.realpath(path))
    draft = target.with_name(f"{target.name}.edit") / target.name
    origin = draft.with_name(f"{target.stem}.before{target.suffix}")
    with _alone_in(draft, wait=False):
        is_left = draft.exists() and read(draft) != read(origin)
        if is_left and read(origin) != text:
            raise InvalidInput(
                f"an earlier edit left {draft}, and {path} was changed since",
                hint=f"take from it what you want, and remove the folder {draft.parent}",
            )
        if not is_left:
            replace(origin, text)
            replace(draft, text)
        is_done = False
        try:
            yield draft, is_left
            is_done = True
        finally:
            if is_done or not draft.exists() or read(draft) == text:
                draft.unlink(missing_ok=True)
                origin.unlink(missing_ok=True)
                with suppress(OSError):  # where the editor has its own files
                    draft.parent.rmdir()


@contextmanager
def _alone_in(path: Path, *, wait: bool = True) -> Iterator[None]:
    """One at a time, by a lock of the folder, which is made where it is missing; Windows has no such lock.

    Raises InvalidInput where that is not to be waited for.
    """
    folder = Path(os.path.realpath(path)).parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(folder, os.O_RDONLY) if os.name == "posix" else None
    except OSError as error:
        raise _cannot_write(path, error) from None
    if fd is None:
        yield
        return
    import fcntl

    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInput(f"somebody else edits {path} now", hint="wait for them") from None
        except OSError:
            pass  # a file system without locks: the change is still complete
        yield
    finally:
        os.close(fd)


def _cannot_write(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot write {path}: {error.strerror}", hint=hint_of(error, "WALLET_CONFIG names another file")
    )
