"""A wire between a program and PostgreSQL that tests can cut, at a word that goes over it; with TLS where it is wanted.

with Proxy(socket_file) as proxy:
    url = f"postgresql://postgres@127.0.0.1:{proxy.port}/ledger"
    proxy.at(b"COMMIT", Cut.AFTER)
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import ssl
import struct
import threading
from pathlib import Path
from typing import Any, Self

SSL_REQUEST = struct.pack("!II", 8, 80877103)
READ_BYTES = 65_536
WAIT_S = 30.0


class Cut(enum.Enum):
    """What becomes of what is sent, and of its answer, when the wire is cut."""

    BEFORE = "it does not reach the server, which sees the end of the wire"
    AFTER = "the server has it and has answered, and the answer is lost"
    MEANWHILE = "the program sees the end of the wire; the server gets it later, when `release` is called"


class Proxy:
    """Listens on a port of 127.0.0.1, and connects each who comes to the server's socket file `upstream`.

    With `tls`, it is the server's end of TLS, and lets nobody in without it. Its work is done by a thread.
    """

    def __init__(self, upstream: Path, tls: ssl.SSLContext | None = None) -> None:
        self._upstream = upstream
        self._tls = tls
        self._word = b""
        self._cut: Cut | None = None
        self._then_refusing = 0
        self._started, self._ended = threading.Event(), asyncio.Event()
        self._released = asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._wires: set[asyncio.Task[None]] = set()
        self.port = 0
        self.cuts = 0
        """How often a wire was cut."""
        self.refusing = 0
        """How many of those who come are sent away at once, from now on."""
        self.delay_s = 0.0
        """How long what is sent to the server is on its way, from now on."""
        self._asking: set[asyncio.Task[None]] = set()
        self.most_asking = 0
        """On how many wires an answer was waited for at once, at most."""

    def at(self, word: bytes, cut: Cut, refusing: int = 0) -> None:
        """Cut the wire over which this word goes next, once; after that, send so many away who come."""
        self._word, self._cut, self._then_refusing = word, cut, refusing

    def release(self) -> None:
        """Let the server have what was sent before the program's end was cut off."""
        self._loop.call_soon_threadsafe(self._released.set)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(WAIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(WAIT_S)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_quiet_about_tls)
        if self._tls is not None:
            logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of how a wire with TLS ends
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._ended.wait()
        server.close()
        for wire in self._wires:
            wire.cancel()
        await asyncio.gather(*self._wires, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = asyncio.current_task()
        assert wire is not None
        self._wires.add(wire)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                if not self.refusing:
                    await self._wire(reader, writer)
                else:
                    self.refusing -= 1
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            self._wires.discard(wire)
            writer.close()

    async def _wire(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._tls is not None:
            if await reader.readexactly(len(SSL_REQUEST)) != SSL_REQUEST:
                return
            writer.write(b"S")
            await writer.start_tls(self._tls)
        answers, server = await asyncio.open_unix_connection(self._upstream)
        wire = asyncio.current_task()
        assert wire is not None
        pump = asyncio.create_task(self._pass_on(answers, writer, wire))
        try:
            while data := await reader.read(READ_BYTES):
                if self._cut is not None and self._word in data:
                    cut, self._cut = self._cut, None
                    self.cuts += 1
                    self.refusing = self._then_refusing
                    pump.cancel()
                    # Until it has stopped reading, nobody else may.
                    await asyncio.wait([pump])
                    await self._end(cut, data, writer, answers, server)
                    return
                self._asking.add(wire)
                self.most_asking = max(self.most_asking, len(self._asking))
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                server.write(data)
        finally:
            self._asking.discard(wire)
            pump.cancel()
            server.close()

    async def _end(
        self,
        cut: Cut,
        data: bytes,
        writer: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        server: asyncio.StreamWriter,
    ) -> None:
        if cut is Cut.BEFORE:
            return
        if cut is Cut.MEANWHILE:
            writer.close()
            await self._released.wait()
            self._released.clear()
        server.write(data)
        await answers.read(READ_BYTES)

    async def _pass_on(
        self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: asyncio.Task[None]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await answers.read(READ_BYTES):
                self._asking.discard(wire)
                writer.write(data)
            writer.close()


def _quiet_about_tls(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A program that refuses the certificate ends the wire: that is what is tested, and no error to print."""
    if not isinstance(context.get("exception"), ssl.SSLError | ConnectionError):
        loop.default_exception_handler(context)
