"""An error at the n-th call: the command says so, or that nobody knows; and afterwards all is well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.commands import SCENARIOS, inject
from faults.serving import Faulty
from support import cli, injection, processes
from support.figures import figure
from support.sizes import size

pytestmark = [
    pytest.mark.skipif(injection.why_not() is not None, reason=str(injection.why_not())),
]

KINDS = {
    "openat": ["error=EMFILE", "error=EACCES", "error=EIO", "error=ENOSPC"],
    "pwrite64": ["error=EIO", "error=ENOSPC", "error=EDQUOT", "retval=0"],
    "write": ["error=EIO", "error=ENOSPC"],
    "pread64": ["error=EIO"],
    "read": ["error=EIO"],
    "fsync": ["error=EIO", "error=ENOSPC"],
    "fdatasync": ["error=EIO", "error=ENOSPC", "error=EDQUOT"],
    "ftruncate": ["error=EIO", "error=ENOSPC"],
    "unlink": ["error=EIO", "error=EACCES"],
    "rename": ["error=EIO", "error=ENOSPC", "error=EACCES"],
    "flock": ["error=ENOLCK", "error=EIO", "error=ENOSYS"],
    "fcntl": ["error=ENOLCK", "error=EIO"],
    "mmap": ["error=ENOMEM"],
}
SERVED = [("pwrite64", 24), ("fdatasync", 9), ("flock", 16)]
"""What a server calls, and about how often in a round of requests."""

NAMES = [scenario.name for scenario in SCENARIOS]


def fail(folder: Path, names: list[str], wanted: int) -> Counter[str]:
    return inject(folder, names, KINDS, wanted, lasting=True)


def test_an_error_at_any_call_is_told_and_heals(tmp_path: Path) -> None:
    told = processes.alone(fail, tmp_path, NAMES, size(100, 3000))
    assert told["refused"]
    assert told["unknown"]
    figure("errors", told.total(), **told)


@pytest.mark.on_file("PostgreSQL's own files are its own")
def test_a_server_tells_what_became_of_a_write_that_failed(
    wallet: Callable[[str], cli.Outcome], tmp_path: Path
) -> None:
    for line in ("register 9886977544", "create 1"):
        assert wallet(line).code == 0
    rounds = size(6, 130)
    faulty = Faulty(tmp_path)
    for number in range(rounds):
        call, calls = SERVED[number % len(SERVED)]
        kind = KINDS[call][number // len(SERVED) % len(KINDS[call])]
        # Until the end of the round, in every other round of each call.
        lasts = "+" if number // len(SERVED) % 2 == 0 else ""
        faulty.round(list(KINDS), f"{call}:{kind}:when={1 + number * 7 % calls}{lasts}")
    assert wallet("balance 1 -q").out == f"{faulty.sent}.00\n"
    assert wallet("verify").code == 0
    assert faulty.told["done"]
    assert faulty.told["refused"] + faulty.told["unknown"]
    figure("errors of serve", rounds, **faulty.told)
