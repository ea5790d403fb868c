"""SQLite's log beside a ledger: its size, merging it into the file, and which process prevents its reuse.

Each commit goes to the end of the log. The log restarts when all of it is in the file and nobody reads its earlier
content. A reader with an old snapshot, such as a program that was paused while reading, prevents that.
"""

from __future__ import annotations

import os
from pathlib import Path

from wallet_cli.storage.in_place import beside
from wallet_cli.storage.sqlite import connect, log_bytes, translating

WRITE_BYTE, READ_BYTES = range(120, 121), range(123, 128)
"""The bytes of the -shm that a writer and readers lock."""

LOCKS = Path("/proc/locks")


def cut_log(path: Path) -> str | None:
    """Merge the log into the file and truncate it, without waiting. Returns who prevents that, in words, if somebody
    does.

    Raises StorageError or Busy.
    """
    with translating(path):
        connection = connect(path, 0.0)
        try:
            ((is_busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.close()
    if not is_busy:
        return None
    readers = [f"{pid} ({program(pid)})" for pid in pinned_by(path)]
    if not readers and LOCKS.exists():
        return None  # another process is writing now
    who = f"process {', '.join(readers)}" if readers else "another program"
    size = log_bytes(path) // 1024 // 1024
    return (
        f"the log of the ledger has grown to {size} MiB, because {who} is still reading an old state of it: {path}-wal"
    )


def pinned_by(path: Path) -> list[int]:
    """The processes that read the ledger now, as far as the system knows."""
    return locked_by(beside(path, "-shm"), "POSIX", READ_BYTES)


def written_by(path: Path) -> list[int]:
    """The processes that have SQLite's lock to write, as far as the system knows."""
    return locked_by(beside(path, "-shm"), "POSIX", WRITE_BYTE)


def locked_by(file: Path, kind: str, within: range | None = None) -> list[int]:
    """The processes that have locks of a kind on a file, or on these bytes of it, as far as the system knows."""
    try:
        shared = file.stat()
        locks = LOCKS.read_text()
    except OSError:
        return []
    place = f"{os.major(shared.st_dev):02x}:{os.minor(shared.st_dev):02x}:{shared.st_ino}"
    found = set()
    for line in locks.splitlines():
        # 12: POSIX  ADVISORY  READ 6789 08:10:1234 124 124
        # A line about one that waits has an arrow before the kind.
        its_kind, *_, pid, its_file, first, _ = line.split()[1:]
        if its_kind == kind and its_file == place and int(pid) > 0 and (within is None or int(first) in within):
            found.add(int(pid))
    return sorted(found)


def program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "ended"
