"""Sending an answer in chunks, in constant memory, however long it is.

The chunks come from another process (readers.py). The next one is requested only when the caller can receive it; the
protocol cuts off a caller who receives nothing for too long (protocol.py).
"""

from __future__ import annotations

from wallet_cli.errors import WalletError
from wallet_cli.web.auth import Caller
from wallet_cli.web.messages import Receive, Send, Stream, answer_headers
from wallet_cli.web.readers import STREAMS, Readers, ReadFailed


class CutShort(Exception):
    """The rest of an answer cannot be made; its cause says why. The sent part does not end like a complete answer."""


async def send_stream(
    readers: Readers,
    receive: Receive,
    send: Send,
    caller: Caller,
    stream: Stream,
    request_id: str,
    *,
    head: bool,
    close: bool,
) -> None:
    """Send an answer; `head` is what goes before its body.

    Raises the errors of `work` before its first chunk, and Busy, when nothing is sent yet; CutShort for later errors;
    ClientLeft if the caller left.
    """
    begun = False
    try:
        async with readers.reading(receive, STREAMS, caller, stream.work, *stream.given) as reading:
            chunk = await reading.chunk()
            headers = answer_headers(stream.content_type, request_id, *stream.headers, close=close)
            await send({"type": "http.response.start", "status": stream.status, "headers": headers})
            begun = True
            while chunk is not None and not head:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                chunk = await reading.chunk()
            await send({"type": "http.response.body", "body": b""})
    except (WalletError, ReadFailed) as error:
        if begun:
            raise CutShort from error
        raise
