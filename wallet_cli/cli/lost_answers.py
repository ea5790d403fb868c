"""What to say where an answer cannot be printed: what the command has done, and how to go on."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wallet_cli.cli.purposes import purpose_of
from wallet_cli.domain.purpose import Purpose
from wallet_cli.errors import StorageError

if TYPE_CHECKING:
    from wallet_cli.cli.stdout import UnwritableError

READ = "no write was asked for: run it again where stdout can be written"
KEY_ANSWERS = "the write is done: the same command with the same key has its answer again"

POSTED = "the write is done: `wallet tx list WALLET` shows it"
OPENED = "the wallet is open: `wallet list` shows it"
STATUS_SET = "the write is done: `wallet balance WALLET` shows its status"
ON_HOLD = "the write is done: `wallet hold list WALLET` shows it"

DONE = {
    "register": "the user is registered: `wallet users` shows the id",
    "create": OPENED,
    "wallet create": OPENED,
    "limits": "the limits are set: `wallet limits WALLET` shows them",
    "freeze": STATUS_SET,
    "unfreeze": STATUS_SET,
    "close": STATUS_SET,
    "tx add": POSTED,
    "tx reverse": POSTED,
    "transfer": POSTED,
    "hold add": ON_HOLD,
    "hold capture": ON_HOLD,
    "hold void": ON_HOLD,
    "import": "the import has ended: run it again without `--duplicates add`, and no line is applied twice",
    "move": "what was asked for is done: the same command tells how it stands",
    "key create": "the key is made, and cannot be shown again: `wallet key revoke {name}`, and make another",
    "key revoke": "the key is revoked: `wallet key list` shows it",
    "token": "the token is lost, and ends by itself: ask for another one",
    "ledger set": "the setting is changed: `wallet ledger show` shows it",
}
"""Of each command that writes: what it has done by the time that it answers, and where that can be seen."""

WITHOUT_LEDGER = frozenset({"", "config show", "demo", "serve"})
"""Commands that write to no ledger, or answer nothing; "" is none, as for `--help`."""


def cannot_write(error: UnwritableError, command: str = "", values: Mapping[str, Any] | None = None) -> StorageError:
    """What to say where stdout is full, broken or closed, of a command by its words and values."""
    why = "stdout is closed" if error.errno == errno.EBADF else error.strerror or str(error)
    return StorageError(f"cannot write the answer: {why}", hint=_what_was_done(command, values or {}))


def _what_was_done(command: str, values: Mapping[str, Any]) -> str:
    if command in WITHOUT_LEDGER or values.get("dry_run") or purpose_of(command, values) is Purpose.READ:
        return READ
    if values.get("key") is not None and command != "ledger set":  # where it is the name of a setting
        return KEY_ANSWERS
    return DONE[command].format_map(values)
