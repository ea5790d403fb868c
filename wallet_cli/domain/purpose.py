"""What a ledger is opened for: this alone decides whether it may be created, changed, or only read."""

from __future__ import annotations

from enum import Enum


class Purpose(Enum):
    READ = "read"
    """The ledger must exist; not a byte of it is changed."""

    WRITE = "write"
    """The ledger must exist; an older one is migrated to this program's schema."""

    TRY = "try"
    """As WRITE, but nothing is kept: a temporary ledger takes the place of a missing or an older one in a file."""

    MAKE = "make"
    """As WRITE, and a missing ledger is created."""


HOW_TO_MAKE = "`wallet config get db` says which is meant; `wallet register PHONE` makes a new ledger"
"""What to do where there is no ledger."""
