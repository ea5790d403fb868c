"""Waiting for what nobody tells of: it is asked again and again, and no time is taken for enough."""

from __future__ import annotations

import time
from collections.abc import Callable

WAIT_S = 30.0
"""After so long it will not come."""
PAUSE_S = 0.005
"""Between two looks: who waits leaves the processor to what is waited for."""


def wait_for(what: Callable[[], bool]) -> None:
    """Return when something is so."""
    until_s = time.monotonic() + WAIT_S
    while not what():
        assert time.monotonic() < until_s
        time.sleep(PAUSE_S)
