"""Arrival order for waiters: each takes a ticket, and sleeps until the previous one is done.

`flock` alone is unfair: the process that releases a turn takes the next one before the kernel has woken another (24
processes: one was served 7 times while another had 50 turns). So each waiter takes a number, locks the byte of that
number in the lock file, and sleeps on the byte of the previous number. Releasing a turn wakes one process, the next in
the queue. This is the queue lock of Craig, Landin and Hagersten, with the kernel keeping the nodes: a process that dies
leaves the queue, and the next one moves up. Tickets give the order only; the turn itself is still `flock`, so a bug
here could make somebody wait, but never allow two turns at once.

The locks are Linux's open-file-description locks, which belong to an open file and not to a process, so threads queue
like processes. On other systems there are no tickets.
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
"""Two 8-byte numbers in the lock file, after the holder's line: the last ticket taken, and the last one served."""

COUNTERS_END = COUNTERS_AT + 16

GUARD_BYTE = 2**32
FIRST_TICKET_BYTE = 2**33
TICKETS = 2**60
"""The number of tickets before they start again. The file is not synced: after a power cut it may have any number."""


def anybody_waits(fd: int) -> bool:
    """Whether a ticket was taken but not served; dead waiters count until the next one is served."""
    if not HAVE_TICKETS:
        return False
    counters = os.pread(fd, 16, COUNTERS_AT)
    return counters[:8] != counters[8:]


def wait_in_line(fd: int) -> int | None:
    """Take a ticket and sleep until the previous one is done; returns the ticket, for `served`.

    `fd` keeps the place; closing it releases the place. None if there are no tickets, or no space to write one.
    """
    if not HAVE_TICKETS:
        return None
    from wallet_cli.storage.byte_locks import lock, unlock  # only waiters need it

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
    """Record that the holder of a ticket has its turn."""
    with suppress(OSError):
        os.pwrite(fd, ticket.to_bytes(8, "little"), COUNTERS_AT + 8)
