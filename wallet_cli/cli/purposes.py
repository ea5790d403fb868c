"""What each command opens the ledger for: the lists that say which may make one, and which leave it as it is.

A command in none of them writes to a ledger that is there. (`serve` makes one, and `move` the one that it moves to:
they open it themselves.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wallet_cli.domain.purpose import Purpose

MAKING = frozenset({"register", "create", "wallet create", "import"})
READING = frozenset(
    {
        *("users", "list", "balance", "statement", "export", "verify"),
        *("tx show", "tx list", "tx total", "hold list", "key list", "ledger show"),
    }
)
READING_WITHOUT_OPTIONS = {"limits": ("minimum_balance", "maximum_balance", "daily_debit")}
"""Commands that show something, or change it where one of these options is given."""


def purpose_of(command: str, values: Mapping[str, Any]) -> Purpose:
    """What a command, by its words, opens the ledger for when it is given these values."""
    if command in MAKING:
        return Purpose.MAKE
    options = READING_WITHOUT_OPTIONS.get(command)
    if command in READING or (options and all(values[name] is None for name in options)):
        return Purpose.READ
    return Purpose.WRITE
