"""What a ledger is opened for: this alone decides whether it may be created, changed, or only read."""

from __future__ import annotations

from enum import Enum

from wallet_cli.errors import InvalidInput


class Purpose(Enum):
    READ = "read"
    """The ledger must exist; not a byte of it is changed."""

    WRITE = "write"
    """The ledger must exist; an older one is migrated to this program's schema."""

    TRY = "try"
    """As WRITE, but nothing is kept: a temporary ledger takes the place of a missing or an older one in a file."""

    MAKE = "make"
    """As WRITE, and a missing ledger is created."""

    NEW = "new"
    """A ledger is created; one that is there is refused, also where it was made just now."""

    @property
    def makes(self) -> bool:
        """Whether a missing ledger is created."""
        return self in (Purpose.MAKE, Purpose.NEW)


HOW_TO_MAKE = "`wallet config get db` says which is meant; `wallet register PHONE` makes a new ledger"
"""What to do where there is no ledger."""


def there_already(where: str) -> InvalidInput:
    """The error where a new ledger was to be made."""
    return InvalidInput(
        f"there is a ledger already: {where}", hint="`wallet` shows what is in it; `wallet ledger set` changes settings"
    )
