"""A stretch of network that can be cut: what connects to it is passed on to PostgreSQL, or not."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from support.load import Address

CHUNK = 65_536


class Proxy:
    """Passes bytes on between its own port and `target`.

    `fall_silent` keeps every connection open, takes new ones, and passes nothing on until `restore`; `break_off` ends
    all of them and refuses new ones.
    """

    def __init__(self, target: Address) -> None:
        self.target = target
        self._flowing = threading.Event()
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._flowing.set()

    def fall_silent(self) -> None:
        self._flowing.clear()

    def break_off(self) -> None:
        self._end_all()

    def restore(self) -> None:
        if self._listener.fileno() == -1:
            self._listener = self._listen(self.port)
        self._flowing.set()

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                near, _ = listener.accept()
                with self._guard:
                    self._open.add(near)
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        self._flowing.wait()
        try:
            far = socket.create_connection(self.target)
        except OSError:
            near.close()
            return
        with self._guard:
            self._open.add(far)
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                self._flowing.wait()
                sink.sendall(data)
        for end in (source, sink):
            self._end(end)

    def _end(self, connection: socket.socket) -> None:
        with self._guard:
            self._open.discard(connection)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()

    def _end_all(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
        self._listener.close()
        for connection in list(self._open):
            self._end(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flowing.set()
        self._end_all()
