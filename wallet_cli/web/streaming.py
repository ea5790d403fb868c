"""Sending an answer a chunk at a time, in constant memory, however long it is.

Chunks are made in a thread that the answer has to itself: SQLite's connections stay in one thread, and the event loop
goes on with others meanwhile. The next chunk is not asked for before the caller has room for it; who takes nothing for
too long is cut off by the protocol (protocol.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor

from wallet_cli.web.exchange import ClientLeft, Receive, Send, Stream, answer_headers
from wallet_cli.web.log import log

CHUNK_CHARS = 64 * 1024
"""What is shorter is sent whole, so that nothing can go wrong with it half-way."""


def in_chunks(parts: Iterator[str]) -> Iterator[bytes]:
    """Text that comes in parts, as UTF-8 in chunks that are worth sending; closes `parts` when it is closed."""
    waiting: list[str] = []
    size = 0
    try:
        for part in parts:
            waiting.append(part)
            size += len(part)
            if size >= CHUNK_CHARS:
                yield "".join(waiting).encode()
                waiting.clear()
                size = 0
        yield "".join(waiting).encode()
    finally:
        if isinstance(parts, Generator):
            parts.close()


class CutShort(Exception):
    """The rest of an answer cannot be made; its cause says why. What was sent does not end as a whole answer does."""


async def send_stream(
    receive: Receive, send: Send, stream: Stream, request_id: str, *, head: bool, close: bool
) -> None:
    """Send an answer; with `head`, what goes before its body.

    Raises what the iterator raises before its first chunk, when nothing is sent yet; CutShort for what it raises later;
    ClientLeft where the caller left, which is noticed between two chunks.
    """
    chunks = _Chunks(stream.chunks)
    leaving = asyncio.create_task(_until_gone(receive))
    try:
        chunk = await chunks.next()
        headers = answer_headers(stream.content_type, request_id, *stream.headers, close=close)
        await send({"type": "http.response.start", "status": stream.status, "headers": headers})
        while chunk is not None and not head:
            if chunk:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if leaving.done():
                raise ClientLeft
            try:
                chunk = await chunks.next()
            except Exception as error:
                raise CutShort from error
        await send({"type": "http.response.body", "body": b""})
    finally:
        leaving.cancel()
        chunks.close()


class _Chunks:
    """An iterator, in a thread of its own."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._thread = ThreadPoolExecutor(1, "wallet-stream")

    async def next(self) -> bytes | None:
        """The next chunk; None at the end."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, next, self._chunks, None)

    def close(self) -> None:
        """Let go of what the iterator has open, once it is done with the chunk that it may be making."""
        self._thread.submit(_close, self._chunks)
        self._thread.shutdown(wait=False)


def _close(chunks: Iterator[bytes]) -> None:
    close = getattr(chunks, "close", None)
    if close is None:
        return
    try:
        close()
    except Exception as error:  # the answer has been sent, or given up: there is nobody else to tell
        log("stream_not_closed", error=type(error).__name__)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
