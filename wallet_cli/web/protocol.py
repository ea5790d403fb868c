"""uvicorn's HTTP protocol, made strict: one reading of each request, a deadline for each state, and limits.

**One reading.** Requests that a proxy and this server could read in two ways are refused, and the connection closed. A
request for another protocol is answered in this one, and nothing after that request is read. Trailer fields are
dropped. Answers keep their order, also those of refusals.

**Deadlines.** A connection is always in exactly one state, which has a deadline (docs/serve.md lists them); `_settle`
sets it.

**Limits.** Beyond `max_connections`, the connection that was idle longest is closed; if none is idle, the new one gets
a 503. The bodies of all connections together have a limit too (`Connections`).

The head and the body of an answer, which uvicorn writes one after the other, are sent in one piece.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import sys
from collections.abc import Callable
from functools import lru_cache, partial
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, cast

import httptools
import msgspec
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from wallet_cli.errors import Busy, InvalidInput, WalletError
from wallet_cli.web.http_errors import TooSlow
from wallet_cli.web.log import request_id
from wallet_cli.web.long_work import Slices
from wallet_cli.web.messages import REFUSED, RETRY_AFTER_S, Scope, failure

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

HEADER_DEADLINE_S = 10.0
BODY_DEADLINE_S = 10.0
KEEP_ALIVE_S = 30.0
WRITE_DEADLINE_S = 30.0
HANG_UP_DEADLINE_S = 2.0
"""How long a caller who is still sending has to read its refusal. If closed at once, it might never see it."""

MAX_DROPPED_BYTES = 8 * 1024 * 1024
"""How much more of its data is read and dropped."""

MAX_HEADER_BYTES = 32 * 1024
MAX_HEADERS = 100
MAX_URL_BYTES = 16 * 1024
"""Room for a note of 1,000 characters with an escape for each byte."""

MAX_PIPELINED = 100
"""How many requests may wait for an earlier answer; the connection is closed after the last of them."""

SMALL_BODY_BYTES = 64 * 1024
"""This much a connection may always use."""

MAX_LARGE_BODIES_BYTES = 64 * 1024 * 1024
"""How much all connections together may use beyond that, from the first byte until the request is answered."""

MAX_LARGE_BODIES = 16
"""How many larger bodies may come in at once."""

PATIENCE_S = 1.0
"""After this time, a body that is still coming in gives its place to the next one, and so does an answer that waits to
be read."""

QUEUED_REQUEST_BYTES = 4096
"""About the size of a waiting request."""

LINGER_S = 0.5

BUFFER_BYTES = 64 * 1024
"""How much the kernel is asked for at once."""

PART_BYTES = 2 * 1024
"""How much of it is read in one step. With more, a connection waits for a slice of the loop's time."""

WATCHED = frozenset((b"host", b"content-length", b"transfer-encoding", b"te", b"upgrade", b"http2-settings", b"expect"))
"""Headers that say for whom a request is, where it ends, and in which protocol to answer."""

HOST = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{0,5}))?")
DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}

HEAD, BODY, IDLE = "head", "body", "idle"


class Large(NamedTuple):
    """What a connection uses beyond SMALL_BODY_BYTES, and since when."""

    bytes: int
    since_s: float


class Connections:
    """The shared state of a process's connections."""

    def __init__(self, most: int, slices: Slices, refused: Callable[[str], None] = lambda _: None) -> None:
        self.most = most
        self.slices = slices
        self.refused = refused
        """Called with the code of each refusal that is answered without the application."""
        self.buffer = memoryview(bytearray(BUFFER_BYTES))
        """Where the kernel puts what has come in; it is copied at once."""
        self.idle: dict[BoundedProtocol, None] = {}
        """Connections without a running request, and with nothing to read, the longest idle first."""
        self._large: dict[BoundedProtocol, Large] = {}
        """Connections with large requests, the oldest first."""
        self._held = 0

    def make_room(self) -> bool:
        """Close the connection that was idle longest; returns whether there was one.

        A connection that has not received all of its answer is not idle.
        """
        for connection in self.idle:
            if connection.transport.get_write_buffer_size() == 0:
                connection.transport.close()
                return True
        return False

    def hold(self, connection: BoundedProtocol, size: int) -> None:
        """Count these bytes as in use. Beyond a limit, cut off who takes long to read an answer; if nobody does,
        refuse the body that has been coming in longest, or this one.

        A sender of usual speed has sent everything before its body is the oldest.
        """
        known = self._large.get(connection)
        if known is None and connection.is_receiving and not self._make_place(connection.loop.time()):
            self._refuse(connection)
            return
        before, since_s = known or Large(0, connection.loop.time())
        self._held += size - before
        self._large[connection] = Large(size, since_s)
        while self._held > MAX_LARGE_BODIES_BYTES:
            reader = next((each for each in self._large if each.reads_slowly and each is not connection), None)
            if reader is not None:
                self.let_go(reader)
                reader.cut_off()
                continue
            slowest = next(iter(self._coming_in()), connection)
            self._refuse(slowest)
            if slowest is connection:
                return

    def _coming_in(self) -> list[BoundedProtocol]:
        """Connections whose large bodies are coming in, the oldest first."""
        return [each for each in self._large if each.is_receiving]

    def _make_place(self, now_s: float) -> bool:
        """A place for a further large body, or that of one that takes too long; returns whether there is one."""
        coming_in = self._coming_in()
        if len(coming_in) >= MAX_LARGE_BODIES:
            if now_s - self._large[coming_in[0]].since_s < PATIENCE_S:
                return False
            self._refuse(coming_in[0])
        return True

    def _refuse(self, connection: BoundedProtocol) -> None:
        self.let_go(connection)
        connection.refuse(Busy("too many large requests at once", hint="send it again in a moment"))

    def let_go(self, connection: BoundedProtocol) -> None:
        if connection in self._large:
            self._held -= self._large.pop(connection).bytes


class JoiningTransport:
    """A transport that joins writes: one system call and one packet less for each answer.

    Written data waits for the next write, at most until the loop has handled everything that is ready.
    """

    __slots__ = ("_closed", "_held", "_loop", "_protocol", "_transport")

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, protocol: BoundedProtocol
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._protocol: BoundedProtocol | None = protocol
        self._held: bytes | None = None
        self._closed = False

    def is_closing(self) -> bool:
        return self._closed or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        if self.is_closing():
            return
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
        """Send the written data, and close in the way that the protocol chooses."""
        if not self.is_closing():
            self._send_held()
            self._closed = True
            if self._protocol is not None:
                self._protocol.hang_up(self._transport)

    def resume_reading(self) -> None:
        if not self._transport.is_closing() and (self._protocol is None or not self._protocol.is_behind):
            self._transport.resume_reading()

    def forget(self) -> None:
        """The connection is lost: no longer know its protocol, which knows this. Both go now, with the last request,
        and not when the garbage collector comes.
        """
        self._protocol = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class ClosingCycle(RequestResponseCycle):
    """A request in HTTP/1.0, which knows no chunks: an answer without a length ends with the connection.

    Until that end, to close the connection is to reset it: so nobody takes a part for the whole.
    """

    _is_open = False

    async def send(self, message: ASGISendEvent) -> None:
        if message["type"] == "http.response.start":
            self._is_open = all(name != b"content-length" for name, _ in message["headers"])
            if self._is_open:
                self.chunked_encoding, self.expected_content_length = False, sys.maxsize
                self._linger(True)
        elif message["type"] == "http.response.body" and self._is_open and not message.get("more_body"):
            self.expected_content_length = len(message["body"])
            self._linger(False)
        await super().send(message)

    def _linger(self, resets: bool) -> None:
        if not self.disconnected:
            linger(self.transport, resets)


class BodyAlone:
    """The callbacks of a parser for a request whose head another parser has read."""

    def __init__(self, protocol: BoundedProtocol) -> None:
        self.on_body = protocol.on_body
        self.on_message_complete = protocol.on_message_complete


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    shared: Connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, JoiningTransport(transport, self.loop, self)))
        self._state = ""
        self._deadline: asyncio.TimerHandle | None = None
        self._write_deadline: asyncio.TimerHandle | None = None
        self._in_request = False
        self._in_body = False
        self._is_last = False
        """Whether the connection ends with the present request."""
        self._deaf = False
        """Whether further data is dropped unread."""
        self._other_protocol = False
        self._refusal: WalletError | None = None
        self._is_ending = False
        """Whether to close it, with `_refusal` if there is one, after the pending answers."""
        self._running: RequestResponseCycle | None = None
        self._fault = ""
        self._heard = False
        self._unheard_bytes = 0
        self._header_bytes = 0
        self._held_bytes: dict[RequestResponseCycle, int] = {}
        """What each request takes, until it is answered."""
        self._rest = b""
        """What has come in and is not read yet."""
        self.is_behind = False
        """Whether it waits for a slice to read on: until then, no more is taken."""
        self._dropped_bytes = 0
        self._watched: dict[bytes, bytes] = {}
        if len(self.connections) > self.shared.most and not self.shared.make_room():
            self._end(Busy("too many connections", hint="try again"))
            return
        self._settle()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self.resume_writing()
        self.shared.idle.pop(self, None)
        if self._running is not None:
            # super() tells the newest request, which may be another.
            self._running.disconnected = True
            self._running.message_event.set()
        for cycle, _ in self.pipeline:
            cycle.on_response = _nothing  # it knows this protocol, which knows it
        self.pipeline.clear()
        if self._running is None:
            self._let_go()
        super().connection_lost(exc)
        cast(JoiningTransport, self.transport).forget()

    # Reading.

    def get_buffer(self, _size: int) -> memoryview:
        return self.shared.buffer

    def buffer_updated(self, size: int) -> None:
        if self._deaf or self.transport.is_closing():
            self._dropped_bytes += size
            if self._dropped_bytes > MAX_DROPPED_BYTES:
                self.cut_off()
            return
        data = bytes(self.shared.buffer[:size])
        if size <= PART_BYTES:
            self._read_part(data)
        else:
            self._rest = data
            self.is_behind = True
            self.shared.idle.pop(self, None)
            self.transport.pause_reading()
            self.shared.slices.run(self._read_on)

    def _read_on(self) -> None:
        """Read what has come in, until that takes long: in tiny chunks, a buffer takes the parser 11 ms."""
        while self._rest and not self._deaf and not self.transport.is_closing():
            data, self._rest = self._rest[:PART_BYTES], self._rest[PART_BYTES:]
            self._read_part(data)
            if self._rest and self.shared.slices.is_over:
                self.shared.slices.run(self._read_on)
                return
        self._rest = b""
        self.is_behind = False
        self._settle()
        if not self.flow.read_paused:
            self.transport.resume_reading()

    def _read_part(self, data: bytes) -> None:
        self._heard = False
        self._feed(data)
        # The parser reports a header only when it is complete, and data between two requests not at all.
        self._unheard_bytes = 0 if self._heard else self._unheard_bytes + len(data)
        if self._unheard_bytes > MAX_HEADER_BYTES and not self._deaf:
            self.refuse(InvalidInput("the headers are too large", hint=HEAD_HINT))
        self._settle()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stopped:
            self._stay_plain(data[stopped.args[0] :])
        except httptools.HttpParserError:
            if not self._deaf:  # otherwise this code stopped it
                self.refuse(InvalidInput(self._fault or "this is not an HTTP request", hint=HEAD_HINT))

    def _stay_plain(self, rest: bytes) -> None:
        """Read the body of a request that asks for another protocol: the parser takes it for the start of that
        protocol.

        A new parser reads it, in the form that the headers give.
        """
        if not self._other_protocol:
            return
        self._other_protocol = False
        name = b"transfer-encoding" if b"transfer-encoding" in self._watched else b"content-length"
        self.parser = httptools.HttpRequestParser(BodyAlone(self))
        self._feed(b"POST / HTTP/1.1\r\n%s: %s\r\n\r\n" % (name, self._watched[name]))
        if rest:
            self._feed(rest)

    def on_message_begin(self) -> None:
        if self._deaf:
            raise ValueError("nothing is read after the last request")
        if self._state == IDLE:
            self._disarm()
        self._in_request = True
        self._header_bytes = 0
        self._watched = {}
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        if self._header_bytes > MAX_URL_BYTES:
            self._stop("the URL is too long")
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._heard = True
        self._count(len(name) + len(value))
        if self._in_body:
            # A trailer field, which the check of the headers has not seen. For one of them the parser ends the
            # connection anyway: then nothing waits for data that will not be read.
            if name.lower() == b"connection":
                self._is_last, self.cycle.keep_alive = True, False
            return
        name, value = name.lower(), value.strip(b" \t")
        if name in WATCHED:
            if name == b"expect":
                # A client of HTTP/1.0 would take the 100 for its answer.
                self.expect_100_continue = value.lower() == b"100-continue" and self.parser.get_http_version() != "1.0"
            self._watched[name] = value if name not in self._watched else self._watched[name] + b"," + value
        self.headers.append((name, value))
        if len(self.headers) > MAX_HEADERS:
            self._stop(f"there are more than {MAX_HEADERS} headers")

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES:
            self._stop("the headers are too large")

    def _stop(self, fault: str) -> NoReturn:
        """Stop the parser, which raises this as its own error."""
        self._fault = fault
        raise ValueError(fault)

    def on_headers_complete(self) -> None:
        self._heard = True
        version = self.parser.get_http_version()
        fault = self._fault_of_head(version)
        if fault:
            self._stop(fault)
        self._disarm()
        super().on_headers_complete()
        self._in_body = True
        if version == "1.0":
            self.cycle.__class__ = ClosingCycle
        watched = self._watched
        upgrades = self.parser.should_upgrade()  # CONNECT does, too, without a header that says so
        if upgrades or b"upgrade" in watched or b"http2-settings" in watched:
            self.cycle.keep_alive = False
            length = watched.get(b"content-length", b"0")
            self._other_protocol = upgrades and (b"transfer-encoding" in watched or bool(length.strip(b"0")))
        if self.pipeline:
            if len(self.pipeline) >= MAX_PIPELINED:
                self.cycle.keep_alive = False
            self._hold(QUEUED_REQUEST_BYTES)
        self._is_last = not self.cycle.keep_alive

    def _fault_of_head(self, version: str) -> str:
        """The error in the head of a request; empty if there is none."""
        watched = self._watched
        if version not in ("1.0", "1.1"):
            return "this version of HTTP is not supported"
        host = watched.get(b"host")
        if host is None:
            if version == "1.1":
                return "the Host header is missing"
        elif not is_host(host):
            return "the Host header is not one host"
        coding = watched.get(b"transfer-encoding")
        if coding is not None and (coding.lower() != b"chunked" or version == "1.0" or b"content-length" in watched):
            return "the Transfer-Encoding is not only chunked"
        if b"te" in watched and b"chunked" in watched[b"te"].lower():
            return "TE does not name chunked"
        if not self.url.startswith(b"/") and self.url != b"*" and not _agrees(self.url, host):
            return "the URL is for another host"
        return ""

    def on_body(self, body: bytes) -> None:
        self._heard = True
        cycle = self.cycle
        if self._deaf or cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()
        self._hold(len(body))

    def on_message_complete(self) -> None:
        self._heard = True
        if self._deaf or self._other_protocol:
            return
        self._disarm()
        self._in_body = False
        self._in_request = False
        self._deaf = self._is_last
        super().on_message_complete()

    # Memory.

    @property
    def is_receiving(self) -> bool:
        """Whether a body is coming in whose request is not answered yet."""
        return self._in_body and not self.cycle.response_started

    @property
    def reads_slowly(self) -> bool:
        """Whether an answer has waited for its caller to read on as long as a body would be waited for."""
        if self._write_deadline is None:
            return False
        return self._write_deadline.when() - self.loop.time() < WRITE_DEADLINE_S - PATIENCE_S

    def _hold(self, size: int) -> None:
        self._held_bytes[self.cycle] = self._held_bytes.get(self.cycle, 0) + size
        self._tell_held()

    def _tell_held(self) -> None:
        large = sum(self._held_bytes.values()) - SMALL_BODY_BYTES
        if large > 0:
            self.shared.hold(self, large)
        else:
            self.shared.let_go(self)

    def _let_go(self) -> None:
        """Count nothing for this connection any more."""
        self._held_bytes.clear()
        self.shared.let_go(self)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        task = self.loop.create_task(cycle.run_asgi(app))
        self.tasks.add(task)
        task.add_done_callback(lambda task: self._handled(task, cycle))

    def _start_next(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Start the next of a connection's requests: in a slice, as a hundred in one go take the loop 10 ms."""
        if cycle.disconnected:
            cycle.on_response = _nothing
            self._let_go()
        else:
            self._start_asgi_task(cycle, app)

    def _handled(self, task: asyncio.Task[None], cycle: RequestResponseCycle) -> None:
        """A request has ended, whether or not its caller is still there: only now is its body released."""
        self.tasks.discard(task)
        if self.transport.is_closing():
            self._let_go()
        elif self._held_bytes.pop(cycle, 0):
            self._tell_held()

    # Answers.

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self._running = None
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._running, app = self.pipeline.pop()
            self.shared.slices.run(partial(self._start_next, self._running, app))
        elif self._is_ending:
            self._end(self._refusal)
        else:
            self._settle()

    def refuse(self, error: WalletError | None) -> None:
        """Read no more; close after the pending answers, with `error` as the last one if this request needs one."""
        self._deaf = True
        self._disarm()
        unfinished = self.cycle if self._in_body else None
        if unfinished is not None:
            if self.pipeline and self.pipeline[0][0] is unfinished:
                self.pipeline.popleft()
            if unfinished.response_started:
                error = None
            if error is not None:
                cast(Scope, unfinished.scope)[REFUSED] = error.http_status
            unfinished.disconnected = True  # for its handler, which waits for the body
            unfinished.message_event.set()
        if self._running is None or self._running is unfinished:
            self._end(error)
        else:
            self._is_ending, self._refusal = True, error

    def _end(self, error: WalletError | None) -> None:
        """Close; if there is an error, first answer without the application."""
        self._deaf = True
        if error is not None:
            self.shared.refused(error.code)
            body = msgspec.json.encode(failure(error))
            retry = b"retry-after: %s\r\n" % RETRY_AFTER_S if error.retryable else b""
            id_ = request_id({"headers": self.headers if self._in_request else ()}).encode()
            head = b"content-type: application/json\r\nx-request-id: %s\r\n" % id_
            tail = b"%sconnection: close\r\ncontent-length: %d\r\n\r\n" % (retry, len(body))
            self.transport.write(STATUS_LINE[error.http_status] + head + tail + body)
        self.transport.close()

    def hang_up(self, transport: asyncio.Transport) -> None:
        """Close the transport, once the written data is sent.

        If the caller is still sending, read on for a moment: otherwise the kernel answers with a reset, and the caller
        loses the refusal before reading it.
        """
        self._disarm()
        self.shared.idle.pop(self, None)
        if self._in_request and not transport.is_closing():
            self._deaf = True
            transport.resume_reading()
            transport.write_eof()
        else:
            transport.close()
        unsent = transport.get_write_buffer_size() > 0
        seconds = WRITE_DEADLINE_S if unsent else HANG_UP_DEADLINE_S
        self._deadline = self.loop.call_later(seconds, self.cut_off)

    def cut_off(self) -> None:
        """End it at once, also in the kernel, which would keep unread data for some minutes."""
        linger(self.transport, True)
        self.transport.abort()

    def pause_writing(self) -> None:
        """The caller does not read its answer: start a deadline."""
        super().pause_writing()
        self._write_deadline = self.loop.call_later(WRITE_DEADLINE_S, self.cut_off)

    def resume_writing(self) -> None:
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None
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

    # Deadlines.

    def _settle(self) -> None:
        """Find the state of the connection, and set its deadline if the state is new."""
        if self.transport.is_closing():
            return
        if self._running is not None or self.is_behind:
            self.shared.idle.pop(self, None)
        else:
            self.shared.idle.setdefault(self)
        if self._deaf:
            state = ""
            if self._running is None:
                self.transport.close()  # nothing is pending any more
                return
        elif self._in_body:
            state = BODY
        elif self._in_request or self.cycle is None:
            state = HEAD
        else:
            state = "" if self._running is not None else IDLE
        if state != self._state:
            self._disarm()
            self._state = state
            if state:
                seconds = {HEAD: HEADER_DEADLINE_S, BODY: BODY_DEADLINE_S, IDLE: KEEP_ALIVE_S}[state]
                self._deadline = self.loop.call_later(seconds, self._too_slow)

    def _disarm(self) -> None:
        self._state = ""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        late = self._state == BODY
        self._deadline = None
        text = f"the body took longer than {BODY_DEADLINE_S:g} s"
        self.refuse(TooSlow(text, hint="send the whole of it within that time") if late else None)


def linger(transport: asyncio.Transport, resets: bool) -> None:
    """Choose how the kernel ends a connection that is closed: at once, with a reset, or as usual."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", resets, 0))


def _nothing() -> None:
    """What is called when a request that was never handled is answered."""


HEAD_HINT = f"HTTP/1.1, with one Host, a URL of at most 16 KiB, and at most {MAX_HEADERS} headers and 32 KiB of them"


@lru_cache(maxsize=256)
def is_host(value: bytes) -> bool:
    """Whether this is the name or the address of one host, with or without a port."""
    match = HOST.fullmatch(value)
    if match is None or int(match[2] or 0) > 65_535:
        return False
    try:
        return match[1] is None or bool(IPv6Address(match[1].decode()))
    except ValueError:
        return False


def _agrees(url: bytes, host: bytes | None) -> bool:
    """Whether an absolute URL is for the host in the Host header."""
    scheme, _, rest = url.partition(b"://")
    port = DEFAULT_PORTS.get(scheme.lower())
    if port is None:
        return False
    authority = re.split(rb"[/?#]", rest, maxsplit=1)[0]
    return host is None or authority.lower().removesuffix(port) == host.lower().removesuffix(port)


class Buffered(asyncio.BufferedProtocol):
    """A connection as the loop sees it: what comes in is read into the buffer of all, a piece at a time.

    For a protocol that is no BufferedProtocol, the loop would read 256 KB at once.
    """

    def __init__(self, protocol: BoundedProtocol) -> None:
        # The loop calls these at once, not through a method here.
        vars(self).update({name: getattr(protocol, name) for name in CALLED_BY_LOOP})


CALLED_BY_LOOP = (
    "connection_made",
    "connection_lost",
    "eof_received",
    "get_buffer",
    "buffer_updated",
    "pause_writing",
    "resume_writing",
)


def bounded_protocol(
    max_connections: int, slices: Slices, refused: Callable[[str], None] = lambda _: None
) -> Callable[..., asyncio.BaseProtocol]:
    """Makes the protocol of each connection of one process, with its limit on connections. `refused` is called with the
    code of each refusal that it answers itself.
    """
    made = type("BoundedProtocol", (BoundedProtocol,), {"shared": Connections(max_connections, slices, refused)})
    return lambda **given: Buffered(made(**given))
