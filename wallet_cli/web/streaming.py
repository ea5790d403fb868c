"""Sending an answer a chunk at a time, in constant memory, however long it is.

The chunks come from another process (readers.py). The next one is not asked for before the caller has room for it; who
takes nothing for too long is cut off by the protocol (protocol.py).
"""

from __future__ import annotations

from wallet_cli.errors import WalletError
from wallet_cli.web.auth import Caller
from wallet_cli.web.messages import Receive, Send, Stream, answer_headers
from wallet_cli.web.readers import STREAMS, Readers, ReadFailed


class CutShort(Exception):
    """The rest of an answer cannot be made; its cause says why. What was sent does not end as a whole answer does."""


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
    """Send an answer; with `head`, what goes before its body.

    Raises what `work` raises before its first chunk, and Busy, when nothing is sent yet; CutShort for what goes wrong
    later; ClientLeft where the caller left.
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
