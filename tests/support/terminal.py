"""A terminal for a process: what it shows there, and what somebody types."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from support import processes


def resize(terminal: int, columns: int, rows: int = 50) -> None:
    """Give a terminal that size."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def shown(
    arguments: Sequence[str],
    typed: str | None = None,
    environ: Mapping[str, str] | None = None,
    columns: int = 500,
    meanwhile: tuple[str, Callable[[], object]] | None = None,
) -> tuple[str, int]:
    """What `wallet` writes to stderr, where that is a terminal of so many columns, and its exit code.

    With `typed`, stdin is the terminal too, and that was typed there; else nobody can be asked. `meanwhile` has what is
    done once a text is shown, and before the last line is typed.
    """
    leader, follower = pty.openpty()
    resize(follower, columns)
    with Path(os.devnull).open("r+b") as nothing:
        stdin = nothing.fileno() if typed is None else follower
        streams = stdin, nothing.fileno(), follower
        process = processes.nursery().fork(arguments, streams, Path.cwd(), os.environ if environ is None else environ)
    os.close(follower)
    lines, before = [] if typed is None else typed.encode().splitlines(keepends=True), b""
    if meanwhile is not None:
        os.write(leader, b"".join(lines[:-1]))
        while meanwhile[0].encode() not in before:
            before += os.read(leader, 65536)
        meanwhile[1]()
        del lines[:-1]
    os.write(leader, b"".join(lines))
    return before.decode() + all_of(leader), process.wait(60)


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
