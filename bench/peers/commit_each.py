"""A wallet service that commits each transaction by itself, in its leanest form: a peer for postgres.py.

One process, uvicorn with uvloop and httptools, and 16 connections to PostgreSQL; a POST takes one of them that is free
and carries out hot_wallet.sql on it, whose statements go to the server in one message. No routes, no keys, no checks.

    PEER_DB=postgresql://... uvicorn --app-dir bench/peers commit_each:app
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import psycopg

CONNECTIONS = 16
STATEMENTS = (Path(__file__).parent / "hot_wallet.sql").read_bytes()

free: asyncio.Queue[psycopg.AsyncConnection[Any]] = asyncio.Queue()

Message = MutableMapping[str, Any]


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    if scope["type"] == "lifespan":
        await connect(receive, send)
        return
    while (await receive()).get("more_body"):
        pass
    if scope["method"] == "POST":
        connection = await free.get()
        try:
            await connection.execute(STATEMENTS)
        finally:
            free.put_nowait(connection)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"13")]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"data":null}'})


async def connect(receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
    await receive()
    for _ in range(CONNECTIONS):
        free.put_nowait(await psycopg.AsyncConnection.connect(os.environ["PEER_DB"], autocommit=True))
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
