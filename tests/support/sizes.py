"""How much the large harnesses do: a part of it by default, in minutes, and all of it with WALLET_TEST_WHOLE=1."""

from __future__ import annotations

import os

WHOLE = os.environ.get("WALLET_TEST_WHOLE") == "1"


def size(usual: int, whole: int) -> int:
    """How many, in this run."""
    return whole if WHOLE else usual
