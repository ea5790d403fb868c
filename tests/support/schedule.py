"""In which order the tests run: what takes long begins first, so that nothing long is left for the end.

A unit is run by one worker: the tests of a module on one engine, as they may share a server; of the modules that take
long and share none, each test is a unit by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xdist.scheduler import LoadScopeScheduling

LONG = [
    "web/test_openapi",
    "faults/test_disk",
    "faults/test_kills",
    "faults/test_errors",
    "servers/test_two_servers",
    "concurrency/test_contention",
    "servers/test_server_kill",
    "concurrency/test_business",
    "properties/test_business",
    "transport/test_import_kill",
    "concurrency/test_business_kill",
    "concurrency/test_kill",
    "storage/test_moving",
    "help/test_shells",
    "screens/test_screens",
    "faults/test_power",
    "faults/test_models",
    "concurrency/test_interrupted_work",
    "concurrency/test_interrupt",
    "transcripts/test_surroundings",
]
"""Modules whose tests share nothing, and take long."""

LONG_SHARED = [
    "remote/test_commands",
    "web/test_auth",
    "web/test_endpoints",
    "web/test_import",
    "web/test_hostile",
    "remote/test_troubles",
    "transcripts/test_transcripts",
    "web/test_finding",
    "web/test_statement",
    "web/test_lookup",
    "web/test_stop",
    "web/test_export",
    "transport/test_import",
    "transport/test_journals",
    "help/test_examples",
    "agents/test_mcp",
    "unit/test_by_hand",
    "properties/test_ledger",
]
"""Those whose tests share a server, or are many."""

FIRST = {f"tests/{name}.py": place for place, name in enumerate([*LONG_SHARED, *LONG])}
ALONE = {f"tests/{name}.py" for name in LONG}
ENGINE = re.compile(r"\[(file|postgres)\b")


def unit_of(nodeid: str) -> str:
    """What has to be run by the same worker has the same unit."""
    module = nodeid.partition("::")[0]
    if module in ALONE:
        return nodeid
    engine = ENGINE.search(nodeid)
    return f"{module} {engine[1] if engine else ''}"


def place_of(nodeid: str) -> int:
    """By this the tests are sorted, and stay in their order otherwise."""
    return FIRST.get(nodeid.partition("::")[0], len(FIRST))


def rotated(folders: Sequence[Path], worker: int, workers: int) -> list[str]:
    """In which order a worker collects the folders of tests.

    Each begins with others: it compiles those for all, and finds the rest compiled.
    """
    start = len(folders) * worker // workers
    return [str(folder) for folder in (*folders[start:], *folders[:start])]


class LongestFirst(LoadScopeScheduling):
    """Gives each worker that is nearly done the next unit."""

    def __init__(self, config: Any, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # the order is that of the tests

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
