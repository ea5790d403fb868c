"""What the harnesses counted, for the table of docs/reliability.md: JSON lines in the file of WALLET_FAULT_FIGURES."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

BEGUN_S = time.monotonic()


def figure(row: str, count: int, **what: int | str) -> None:
    """Note that `count` cases of a row of the table were tried, and what came of them; nothing where nobody asks."""
    path = os.environ.get("WALLET_FAULT_FIGURES")
    if path is None:
        return
    line = {"row": row, "count": count, "what": what, "seconds": round(time.monotonic() - BEGUN_S)}
    with Path(path).open("a") as file:
        file.write(json.dumps(line) + "\n")
