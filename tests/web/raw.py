"""Requests as bytes on a bare connection: what no well-behaved client would send, and its answer, read strictly."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any, NamedTuple

from support import engines
from support.engines import Address

TIMEOUT_S = 30


class Answer(NamedTuple):
    """An answer as it came: status, headers (lower-case names), body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def exchange(address: tuple[str, int], request: bytes, *, head: bool = False, finish: bool = False) -> Answer | None:
    """Send bytes and read one answer; None where the connection was closed without one.

    `finish` says that nothing more will come, as a client that dies does; `head` that the answer has no body.
    """
    with socket.create_connection(address, timeout=TIMEOUT_S) as sock:
        # The server may have answered and closed before it has all of it.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(request)
            if finish:
                sock.shutdown(socket.SHUT_WR)
        return read_answer(sock, head=head)


def read_answer(sock: socket.socket, *, head: bool = False) -> Answer | None:
    """Read one answer. Raises AssertionError for one that is cut short or has no Content-Length."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = _receive(sock)
        if not more:
            assert not received, f"an answer that ends in its headers: {received!r}"
            return None
        received += more
    start, _, body = received.partition(b"\r\n\r\n")
    status_line, *lines = start.decode("latin-1").split("\r\n")
    version, status, _ = status_line.split(" ", 2)
    assert version == "HTTP/1.1"
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = 0 if head else int(headers["content-length"])
    while len(body) < length:
        more = _receive(sock)
        assert more, f"a body that ends too soon: {len(body)} of {length} bytes"
        body += more
    return Answer(int(status), headers, body[:length])


def _receive(sock: socket.socket) -> bytes:
    try:
        return sock.recv(65_536)
    except ConnectionResetError:
        return b""


def dump(ledger: Address) -> list[str]:
    """All that a ledger says of users, wallets, holds and transactions, from another connection."""
    tables = ("users", "wallets", "holds", "transactions")
    return [repr(row) for row in engines.rows(ledger, *(f"SELECT * FROM {table} ORDER BY 1, 2" for table in tables))]
