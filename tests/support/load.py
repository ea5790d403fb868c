"""Many connections at once to a server that may end at any moment, and what became of every request.

A request counts as sent when it was written to an established connection. What a well-known client would do behind
one's back (send again, drop a broken connection) is not done here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

ANSWER_TIMEOUT_S = 60
CONNECT_TIMEOUT_S = 0.2
"""A server that is about to close its port may leave a knock unanswered; the kernel would knock again in a second."""
CREATE = "/api/v1/transactions/create"

Address = tuple[str, int]


class Answer(NamedTuple):
    """A whole response."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def closes(self) -> bool:
        """Whether the server said that it takes no more on this connection."""
        return self.headers.get("connection", "").lower() == "close"


class UnansweredError(Exception):
    """The request was sent, and the connection ended without a whole response."""


class Connection:
    """One connection. `open` raises OSError where there is no server, or none that answers; that is no request yet."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.flushed = False
        """Whether the request that waits for its answer is with the kernel."""

    @classmethod
    async def open(cls, address: Address, timeout_s: float = CONNECT_TIMEOUT_S) -> Self:
        return cls(*await asyncio.wait_for(asyncio.open_connection(*address), timeout_s))

    async def post(self, path: str, body: Mapping[str, Any], key: str | None = None) -> Answer:
        """Send a request and read its answer; raises UnansweredError."""
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(data)}\r\n"
        if key is not None:
            head += f"idempotency-key: {key}\r\n"
        try:
            self.flushed = False
            self._writer.write(head.encode() + b"\r\n" + data)
            self.flushed = True  # so little goes out at once
            return await asyncio.wait_for(self._answer(), ANSWER_TIMEOUT_S)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise UnansweredError(repr(error)) from None

    async def _answer(self) -> Answer:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self._reader.readexactly(int(headers["content-length"]))
        return Answer(int(first.split(" ")[1]), headers, json.loads(body))

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


def transaction(amount: int, *, is_credit: bool = True) -> dict[str, Any]:
    """A body for CREATE, on wallet 1 of user 1."""
    return {"user_id": 1, "wallet_id": 1, "amount": amount, "is_credit": is_credit}
