"""Arrival order for those who wait for a turn: a ticket each, and sleep until the one before is done.

`flock` alone is a scrum: the process that gives a turn up takes the next one before the kernel has woken anybody
(24 processes: one was served 7 times while another had 50 turns). So who has to wait takes a number, locks the byte of
that number in the lock file, and sleeps on the byte of the number before. Giving a turn up wakes one process, the next
in line. It is the queue lock of Craig, Landin and Hagersten, with the kernel keeping the nodes: a process that dies
leaves its place, and the next one moves up. Order is all that tickets give; the turn itself is still `flock`, so a
mistake here could cost patience, but never two turns at once.

The locks are Linux's open-file-description locks, which belong to an open file rather than to a process, so that
threads queue like processes. Elsewhere there are no tickets.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

try:
    import fcntl

    HAVE_TICKETS = sys.platform == "linux" and hasattr(fcntl, "F_OFD_SETLKW")
except ImportError:  # Windows
    HAVE_TICKETS = False

COUNTERS_AT = 256
"""Two 8-byte numbers in the lock file, after the holder's line: the last ticket given out, and the last one served."""

COUNTERS_END = COUNTERS_AT + 16

GUARD_BYTE = 2**32
FIRST_TICKET_BYTE = 2**33
TICKETS = 2**60
"""How many there are, before they begin again. The file is not synced: after a power cut any number may be in it."""


def anybody_waits(fd: int) -> bool:
    """Whether a ticket was given out that has not been served; the dead count until the next one is served."""
    if not HAVE_TICKETS:
        return False
    counters = os.pread(fd, 16, COUNTERS_AT)
    return counters[:8] != counters[8:]


def wait_in_line(fd: int) -> int | None:
    """Take a ticket and sleep until the one before it is done; returns the ticket, for `served`.

    The place is kept by `fd` and given up by closing it. None where there are no tickets, or no room to write one.
    """
    if not HAVE_TICKETS:
        return None
    from wallet_cli.storage.byte_locks import lock, unlock  # only those who wait need it

    with suppress(OSError):
        lock(fd, GUARD_BYTE)
        ticket = int.from_bytes(os.pread(fd, 8, COUNTERS_AT), "little") % TICKETS + 1
        os.pwrite(fd, ticket.to_bytes(8, "little"), COUNTERS_AT)
        lock(fd, FIRST_TICKET_BYTE + ticket)
        unlock(fd, GUARD_BYTE)
        lock(fd, FIRST_TICKET_BYTE + ticket - 1)
        return ticket
    return None


def served(fd: int, ticket: int) -> None:
    """Note that the holder of a ticket has its turn."""
    with suppress(OSError):
        os.pwrite(fd, ticket.to_bytes(8, "little"), COUNTERS_AT + 8)
