"""What a ledger is opened for: the one thing that says whether it may be made, changed, or only read."""

from __future__ import annotations

from enum import Enum


class Purpose(Enum):
    READ = "read"
    """It has to be there, and stays as it is: not a byte of it is changed."""

    WRITE = "write"
    """It has to be there; an older one is brought to this program's schema."""

    MAKE = "make"
    """As WRITE; and it is made where there is none."""


HOW_TO_MAKE = "check --db and WALLET_DB; `wallet register PHONE` makes a new ledger"
"""What to do where a ledger is not there."""
