"""uvicorn's HTTP protocol with what it leaves to others: deadlines, a bound on connections, a soft end.

A connection beyond the bound is answered 503 and closed before anything is read from it. A request that is not whole in
time is answered 408 if its body is late, and closed: a thousand half-sent requests cost a thousand small objects for
ten seconds and no more. On shutdown a connection that is idle is given a moment in which a request that is on its way
is still answered. And the head and the body of an answer, which uvicorn writes one after the other, are sent as one.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from wallet_cli.errors import Busy, InvalidInput, WalletError
from wallet_cli.web.exchange import failure
from wallet_cli.web.problems import TooSlow

HEADER_DEADLINE_S = 10.0
BODY_DEADLINE_S = 10.0
WRITE_DEADLINE_S = 30.0
MAX_HEADER_BYTES = 32 * 1024
MAX_CONNECTIONS = 1000
LINGER_S = 0.5


class JoiningTransport:
    """A transport that sends what is written in two parts as one: a system call, and a packet, less an answer.

    What is written waits for what comes next, no longer than until the loop has seen to what it knows of.
    """

    __slots__ = ("_held", "_loop", "_transport", "is_closing")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: bytes | None = None
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        if self._held is None:
            self._held = data
            self._loop.call_soon(self._send_held)
        else:
            held, self._held = self._held, None
            self._transport.writelines((held, data))

    def _send_held(self) -> None:
        if self._held is not None and not self.is_closing():
            held, self._held = self._held, None
            self._transport.write(held)

    def close(self) -> None:
        self._send_held()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    max_connections = MAX_CONNECTIONS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, JoiningTransport(transport, self.loop)))
        self._deadline: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        self._in_request = False
        self._in_body = False
        if len(self.connections) > self.max_connections:
            self._refuse(Busy("too many connections", hint="try again"))
            return
        self._arm(HEADER_DEADLINE_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.transport.is_closing() or self._deadline is not None:
            return
        if self._in_body:
            self._arm(BODY_DEADLINE_S)
        elif self._in_request:
            self._arm(HEADER_DEADLINE_S)

    def on_message_begin(self) -> None:
        self._in_request = True
        self._header_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES:
            raise ValueError("the headers are too large")  # the parser passes it on as its own error

    def on_headers_complete(self) -> None:
        if self.parser.get_http_version() not in ("1.0", "1.1"):
            raise ValueError("not a version of HTTP that is spoken here")
        self._disarm()
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._disarm()
        self._in_body = False
        self._in_request = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls for a request that is not HTTP."""
        self._refuse(InvalidInput(msg.rstrip("."), hint="HTTP/1.1, with at most 32 KiB of headers"))

    def pause_writing(self) -> None:
        """The caller does not read its answer; it is not kept for ever."""
        super().pause_writing()
        self._write_deadline = self.loop.call_later(WRITE_DEADLINE_S, self.transport.abort)

    def resume_writing(self) -> None:
        self._write_deadline.cancel()
        super().resume_writing()

    def shutdown(self) -> None:
        """Called once, when the server is told to stop."""
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LINGER_S, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def _close_if_idle(self) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:
            self.cycle.keep_alive = False

    def _arm(self, seconds: float) -> None:
        self._deadline = self.loop.call_later(seconds, self._too_slow)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self._in_body and not self.cycle.response_started:
            self._refuse(TooSlow(f"the body took longer than {BODY_DEADLINE_S:g} s", hint="send it again"))
        else:
            self.transport.close()

    def _refuse(self, error: WalletError) -> None:
        """Answer without the application, and close."""
        body = msgspec.json.encode(failure(error))
        head = (
            b"content-type: application/json\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
            % len(body)
        )
        self.transport.write(STATUS_LINE[error.http_status] + head + body)
        self.transport.close()


def bounded_protocol(max_connections: int) -> type[Any]:
    """The protocol with a bound of its own."""
    return type("BoundedProtocol", (BoundedProtocol,), {"max_connections": max_connections})
