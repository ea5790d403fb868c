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
    """What to say where stdout is full, broken or closed, of a command by its words and values."""
    why = "stdout is closed" if error.errno == errno.EBADF else error.strerror or str(error)
    return StorageError(f"cannot write the answer: {why}", hint=_what_was_done(command, values or {}))


def cannot_filter(error: Exception, command: str, values: Mapping[str, Any]) -> WalletError:
    """What to say where a jq program stopped at the answer."""
    known = command_of(command)
    if not known.writes(values) or values.get("dry_run"):
        return InvalidInput(f"--jq stopped: {error}", hint="look at the answer first: --jq .")
    return StorageError(f"cannot print the answer: --jq stopped: {error}", hint=_what_was_done(command, values))


def _what_was_done(command: str, values: Mapping[str, Any]) -> str:
    known = command_of(command) if command else None  # none, as for --help
    if known is None or not known.writes(values) or values.get("dry_run"):
        return READ
    if values.get("key") is not None and command != "ledger set":  # where it is the name of a setting
        return KEY_ANSWERS
    return known.done.format_map(values)
