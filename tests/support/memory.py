"""Where the folders of tests are: in memory, where there is enough of it.

Each commit of a ledger in a file is synced, which takes milliseconds of a disk and nothing in memory; no test can see
the difference, as none cuts the power. Those that are about a disk make their own. With TMPDIR set, folders are there.
"""

from __future__ import annotations

import os
import shutil
import tempfile

SHARED = "/dev/shm"
ENOUGH_BYTES = 4 << 30
"""A run has at most a quarter of that at a time: what a test leaves is removed at its end."""


def use() -> None:
    """Let this process, and those that it starts, have their temporary folders in memory."""
    if "TMPDIR" not in os.environ and _is_fit():
        os.environ["TMPDIR"] = SHARED
        tempfile.tempdir = SHARED


def _is_fit() -> bool:
    """Whether a large file may be there, and a program be run from there."""
    return (
        os.access(SHARED, os.W_OK)
        and shutil.disk_usage(SHARED).free >= ENOUGH_BYTES
        and not os.statvfs(SHARED).f_flag & os.ST_NOEXEC
    )
