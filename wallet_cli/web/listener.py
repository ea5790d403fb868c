"""The port: opening it, and closing it so that every accepted connection gets its answer."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress

from wallet_cli.errors import InvalidInput, StorageError, shown

BACKLOG = 1024

HINTS = {
    errno.EADDRINUSE: "is another server running? choose another port with --port",
    errno.EACCES: "a port below 1024 needs special rights; choose another port with --port",
}

OF_THIS_MACHINE = "give an address of this machine as --host: 127.0.0.1, or 0.0.0.0"

TCP_NOTSENT_LOWAT = {"linux": 25, "darwin": 0x201}.get(sys.platform)
UNSENT_BYTES = 128 * 1024
"""How much of an answer the kernel takes beyond what was sent; connections have it from the port. Without it, it takes
megabytes, and asks for more when a third of them is gone: a caller who reads slowly looks like one who does not read.
"""

SO_ATTACH_FILTER = 26
# A classic BPF program: load the byte of TCP flags; where SYN is set drop the packet, else take it.
DROP_SYN = struct.pack("HBBI" * 4, 0x30, 0, 0, 13, 0x45, 0, 1, 0x02, 0x06, 0, 0, 0, 0x06, 0, 0, 0xFFFFFFFF)


def listen(host: str, port: int) -> socket.socket:
    """Open a port. Raises StorageError if that fails, InvalidInput for what is no address."""
    listener = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if TCP_NOTSENT_LOWAT is not None:
            listener.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        listener.bind(address)
        listener.listen(BACKLOG)
    except UnicodeError:  # no name that can be looked up
        raise InvalidInput(f"not an address: {shown(host)}", hint=OF_THIS_MACHINE) from None
    except OSError as error:
        if listener is not None:
            listener.close()
        raise StorageError(
            f"cannot listen on {shown(host)} port {port}: {error.strerror or error}",
            hint=HINTS.get(error.errno or 0, OF_THIS_MACHINE),
        ) from None
    listener.setblocking(False)
    return listener


def admit_no_more(listener: socket.socket) -> None:
    """Let no new connection begin, while connections that have begun can still be accepted.

    Closing a port resets the connections that the kernel has made and nobody has accepted yet; a client that has sent
    its request on one does not know the outcome. So new connections are stopped first: on Linux, with the necessary
    rights, by a filter that drops the opening packets (the client retries, and finds the port closed); otherwise by a
    queue of at most one. Not by both: a shorter queue also drops the end of a handshake that has begun, and the client
    takes that connection for open.
    """
    if not _drop_what_opens(listener):
        listener.listen(0)


def _drop_what_opens(listener: socket.socket) -> bool:
    """Set a filter that drops packets that open a connection; returns whether that worked."""
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
    """The connections that the kernel has made but nobody has accepted yet, until there are none."""
    with suppress(BlockingIOError):
        while True:
            connection, _ = listener.accept()
            connection.setblocking(False)
            yield connection
