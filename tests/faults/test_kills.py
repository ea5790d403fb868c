"""Killed at the n-th call that changes something: what was answered is there, and all else once or not at all."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from faults.commands import SCENARIOS, inject
from support import injection, processes
from support.figures import figure
from support.sizes import size

pytestmark = [
    pytest.mark.skipif(injection.why_not() is not None, reason=str(injection.why_not())),
]

CALLS = ["openat", "pwrite64", "write", "fsync", "fdatasync", "ftruncate", "unlink", "rename", "mmap", "flock"]
NAMES = [scenario.name for scenario in SCENARIOS]


def kill(folder: Path, names: list[str], wanted: int) -> Counter[str]:
    return inject(folder, names, {call: ["signal=SIGKILL"] for call in CALLS}, wanted, lasting=False)


def test_a_command_that_is_killed_at_any_call_is_done_or_not(tmp_path: Path) -> None:
    told = processes.alone(kill, tmp_path, NAMES, size(130, 5000))
    assert told["killed"] > told.total() / 2
    figure("kills", told.total(), **told)
