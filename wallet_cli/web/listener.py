"""The port: opening it, and shutting it so that nobody who was let in goes without an answer."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress

from wallet_cli.errors import StorageError, shown

BACKLOG = 1024

HINTS = {
    errno.EADDRINUSE: "is another server running? --port picks another",
    errno.EACCES: "a port below 1024 needs rights; --port picks another",
}

SO_ATTACH_FILTER = 26
# A classic BPF program: load the byte of TCP flags; where SYN is set drop the packet, else take it.
DROP_SYN = struct.pack("HBBI" * 4, 0x30, 0, 0, 13, 0x45, 0, 1, 0x02, 0x06, 0, 0, 0, 0x06, 0, 0, 0xFFFFFFFF)


def listen(host: str, port: int) -> socket.socket:
    """Open a port. Raises StorageError where it cannot be had."""
    listener = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise StorageError(
            f"cannot listen on {shown(host)} port {port}: {error.strerror or error}",
            hint=HINTS.get(error.errno or 0, "--host is an address of this machine: 127.0.0.1, or 0.0.0.0"),
        ) from None
    listener.setblocking(False)
    return listener


def admit_no_more(listener: socket.socket) -> None:
    """Let no new connection begin, while those that have begun can still be accepted.

    Closing a port resets the connections that the kernel has made and nobody has accepted yet; a client that has sent
    its request on one does not know what became of it. So nobody new is let in first: on Linux, with the right to, by a
    filter that drops what opens a connection (the client tries again, and finds the port closed); elsewhere by a queue
    that holds one at the most. Not by both: a shorter queue also drops the end of a handshake that has begun, whose
    client takes the connection for made.
    """
    if not _drop_what_opens(listener):
        listener.listen(0)


def _drop_what_opens(listener: socket.socket) -> bool:
    """Whether a filter could be set that drops the packets that open a connection."""
    if sys.platform != "linux":
        return False
    program = ctypes.create_string_buffer(DROP_SYN)
    try:
        listener.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(DROP_SYN) // 8, ctypes.addressof(program))
        )
    except PermissionError:
        return False
    return True


def accept_rest(listener: socket.socket) -> Iterator[socket.socket]:
    """The connections that the kernel has made and nobody has accepted yet, until there are none."""
    with suppress(BlockingIOError):
        while True:
            connection, _ = listener.accept()
            connection.setblocking(False)
            yield connection
