"""A terminal for a process: what it shows there, and what somebody types."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Mapping, Sequence


def shown(
    command: Sequence[str], typed: str | None = None, environ: Mapping[str, str] | None = None
) -> tuple[str, int]:
    """What a command writes to stderr, where that is a terminal, and its exit code.

    With `typed`, stdin is the terminal too, and that was typed there; else nobody can be asked.
    """
    leader, follower = pty.openpty()
    stdin = subprocess.DEVNULL if typed is None else follower
    process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.DEVNULL, stderr=follower, env=environ)
    os.close(follower)
    if typed is not None:
        os.write(leader, typed.encode())
    return all_of(leader), process.wait(60)


def all_of(leader: int) -> str:
    """All that is written on a terminal, until nobody has it any more; `leader` is closed then."""
    written = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # how Linux says that nobody has the terminal any more
            break
        if not part:
            break
        written += part
    os.close(leader)
    return written.decode()
