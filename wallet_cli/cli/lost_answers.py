"""What to say where an answer cannot be printed: what the command has done, and how to go on."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wallet_cli.cli.tree import command_of
from wallet_cli.errors import InvalidInput, StorageError, WalletError

if TYPE_CHECKING:
    from wallet_cli.cli.stdout import UnwritableError

READ = "no write was asked for: run it again where stdout can be written"
KEY_ANSWERS = "the write is done: the same command with the same key has its answer again"


def cannot_write(error: UnwritableError, command: str = "", values: Mapping[str, Any] | None = None) -> StorageError:
    """What to say where stdout is full, broken or closed, of a command by its words and values (none: of --help)."""
    why = "stdout is closed" if error.errno == errno.EBADF else error.strerror or str(error)
    return _unseen(f"cannot write the answer: {why}", command, values or {})


def cannot_filter(error: Exception, command: str, values: Mapping[str, Any]) -> WalletError:
    """What to say where a jq program stopped at the answer."""
    if not _has_written(command, values):
        return InvalidInput(f"--jq stopped: {error}", hint="look at the answer first: --jq .")
    return _unseen(f"cannot print the answer: --jq stopped: {error}", command, values)


def cannot_show(error: Exception, command: str, values: Mapping[str, Any]) -> WalletError | None:
    """What to say where a write is done and its answer could not be shown; None where nothing was written."""
    if not _has_written(command, values):
        return None
    why = error.message if isinstance(error, WalletError) else f"unexpected {type(error).__name__}: {error}"
    return _unseen(f"cannot show the answer: {why}", command, values)


def _has_written(command: str, values: Mapping[str, Any]) -> bool:
    return bool(command) and command_of(command).writes(values) and not values.get("dry_run")


def _unseen(message: str, command: str, values: Mapping[str, Any]) -> StorageError:
    """The error of a command whose answer nobody saw: what is done may be sent again with a key alone."""
    if not _has_written(command, values):
        return StorageError(message, hint=READ)
    if values.get("key") is not None and command != "ledger set":  # where it is the name of a setting
        return StorageError(message, hint=KEY_ANSWERS)
    error = StorageError(message, hint=command_of(command).done.format_map(values))
    error.retryable = False
    return error
