"""How much the large harnesses do: a part of it by default, in minutes, and all of it with WALLET_TEST_WHOLE=1.

WALLET_TEST_SHARE is for something between: 0.1 is a tenth of the whole, and no less than the default.
"""

from __future__ import annotations

import os

WHOLE = os.environ.get("WALLET_TEST_WHOLE") == "1"
SHARE = float(os.environ.get("WALLET_TEST_SHARE", "0"))


def size(usual: int, whole: int) -> int:
    """How many, in this run."""
    return whole if WHOLE else max(usual, round(whole * SHARE))
