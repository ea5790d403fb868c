"""The port is shut: who has begun to connect is still let in, and nobody else."""

from __future__ import annotations

import contextlib
import select
import socket
import sys
from collections.abc import Iterator

import pytest

from wallet_cli.domain.host import host_of
from wallet_cli.errors import InvalidInput
from wallet_cli.web import listener as ports
from wallet_cli.web.listener import accept_rest, admit_no_more, listen

PATIENCE_S = 60
GIVE_UP_S = 0.2
"""How long a packet that is dropped is waited for."""

linux = pytest.mark.skipif(sys.platform != "linux", reason="the filter and the half-made connections are Linux's")


@pytest.fixture
def port() -> Iterator[socket.socket]:
    with listen("127.0.0.1", 0) as opened:
        yield opened


def half_made(port: socket.socket, number: int, clients: contextlib.ExitStack) -> list[socket.socket]:
    """Connections that are made for their clients; their server waits for the first byte to take them for made."""
    port.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, PATIENCE_S)
    return [clients.enter_context(socket.create_connection(port.getsockname())) for _ in range(number)]


def let_in(port: socket.socket) -> int:
    """How many have been let in by now."""
    connections = list(accept_rest(port))
    for connection in connections:
        connection.close()
    return len(connections)


def accepted(port: socket.socket, clients: list[socket.socket]) -> int:
    """How many are let in once they have sent a byte."""
    for client in clients:
        client.sendall(b"x")
    found = 0
    while found < len(clients) and select.select([port], [], [], GIVE_UP_S)[0]:
        found += let_in(port)
    return found


@pytest.mark.parametrize("host", ["a..b", "a" * 64, f"{'a' * 64}.org"])
def test_what_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(InvalidInput, match="not an address"):
        listen(host, 0)
    assert host_of(f"https://{host}") is None


@linux
def test_who_has_begun_to_connect_is_let_in(port: socket.socket) -> None:
    with contextlib.ExitStack() as stack:
        clients = half_made(port, 8, stack)
        admit_no_more(port)
        assert accepted(port, clients) == 8


@linux
def test_a_shorter_queue_would_cut_them_off(port: socket.socket) -> None:
    with contextlib.ExitStack() as stack:
        clients = half_made(port, 8, stack)
        port.listen(0)
        assert accepted(port, clients) < 8


@linux
def test_nobody_new_is_let_in(port: socket.socket) -> None:
    admit_no_more(port)
    with pytest.raises(TimeoutError):
        socket.create_connection(port.getsockname(), timeout=GIVE_UP_S)
    assert let_in(port) == 0


def test_without_the_filter_at_most_a_queue_of_one(port: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_drop_what_opens", lambda _: False)
    admit_no_more(port)
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(port.getsockname())
        assert select.select([port], [], [], PATIENCE_S)[0]
        assert let_in(port) < 3


@linux
def test_who_reads_slowly_is_seen_to_read(port: socket.socket) -> None:
    """The kernel takes more as soon as a little was read, and not when a megabyte was."""
    with socket.create_connection(port.getsockname()) as client:
        connection, _ = port.accept()
        with connection:
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    connection.send(b" " * 65_536)
            read = 0
            while not select.select([], [connection], [], 0.05)[1]:
                read += len(client.recv(16_384))
            assert read <= 6 * ports.UNSENT_BYTES
