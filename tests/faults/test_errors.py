"""An error at the n-th call: the command says so, or that nobody knows; and afterwards all is well."""

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
NAMES = [scenario.name for scenario in SCENARIOS]


def fail(folder: Path, names: list[str], wanted: int) -> Counter[str]:
    return inject(folder, names, KINDS, wanted, lasting=True)


def test_an_error_at_any_call_is_told_and_heals(tmp_path: Path) -> None:
    told = processes.alone(fail, tmp_path, NAMES, size(100, 3000))
    assert told["refused"]
    assert told["unknown"]
    figure("errors", told.total(), **told)
