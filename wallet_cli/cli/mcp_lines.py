"""What an agent sends to `wallet mcp`: a message a line, read as strictly as a body of HTTP.

The reader of the `mcp` package replaces bytes that are not UTF-8, takes the last of two equal fields, and answers
nothing where it cannot read a line, so that an agent waits for ever. A line is checked here before that reader has it.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, BinaryIO

import mcp_types as types
from pydantic import ValidationError

from wallet_cli.errors import InvalidInput
from wallet_cli.web.requests import MAX_BODY_BYTES, decode

MAX_LINE_BYTES = MAX_BODY_BYTES
MAX_DIGITS = 1000
"""Of a number: Python refuses to read much longer ones, and with them a whole line."""

LINES_HINT = "one JSON object a line, in UTF-8, each field once"


def next_line(source: BinaryIO) -> bytes:
    """The next line, empty at the end. Of one that is too long, no more is kept than shows that it is."""
    line = rest = source.readline(MAX_LINE_BYTES + 1)
    while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
        rest = source.readline(MAX_LINE_BYTES + 1)
    return line


async def lines_of(source: BinaryIO) -> AsyncIterator[bytes]:
    """The lines of a stream, each read when it is asked for, by a thread that nobody waits for: Ctrl-C ends the program
    while it reads.
    """
    loop = asyncio.get_running_loop()
    asked: SimpleQueue[asyncio.Future[bytes]] = SimpleQueue()

    def read() -> None:
        while True:
            future = asked.get()
            line = next_line(source)
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(_tell, future, line)

    threading.Thread(target=read, name="wallet-stdin", daemon=True).start()
    while True:
        future = loop.create_future()
        asked.put(future)
        if not (line := await future):
            return
        yield line


def _tell(future: asyncio.Future[bytes], line: bytes) -> None:
    if not future.done():  # not cancelled
        future.set_result(line)


def refusal(line: bytes) -> types.JSONRPCError | None:
    """How a line is answered that is not a message, and of which nothing is done; None for a message."""
    if len(line) > MAX_LINE_BYTES:
        error = InvalidInput(f"the line has more than {MAX_LINE_BYTES} bytes", hint=LINES_HINT)
        return _answer(None, types.INVALID_REQUEST, error)
    try:
        found: Any = decode(line, object, bounded=False, what="the line")
    except InvalidInput as error:
        error.hint = LINES_HINT
        return _answer(_id_of(line), types.PARSE_ERROR, error)
    try:
        message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValidationError:
        message = None
    # With an id of another type, a request would be taken for a notification, and never be answered.
    asks = isinstance(found, dict) and {"method", "id"} <= found.keys()
    if message is None or (asks and not isinstance(message, types.JSONRPCRequest)):
        hint = "an object with jsonrpc, method, params, and an id that is text or a whole number"
        return _answer(_id_of(line), types.INVALID_REQUEST, InvalidInput("the line is not a request", hint=hint))
    return None


def _answer(id_: types.RequestId | None, code: int, error: InvalidInput) -> types.JSONRPCError:
    told = types.ErrorData(code=code, message=error.message, data=error.as_json())
    return types.JSONRPCError(jsonrpc="2.0", id=id_, error=told)


def _id_of(line: bytes) -> types.RequestId | None:
    """The id of a request, where the rest is wrong: an agent waits for an answer with it. None if it is uncertain."""
    try:
        # Objects become tuples of pairs, so that an id that is given twice is seen.
        text = line.decode("utf-8", "surrogateescape")
        found = json.loads(text, object_pairs_hook=tuple, parse_int=_whole_number)
    except (ValueError, RecursionError):
        return None
    ids = [value for name, value in found if name == "id"] if isinstance(found, tuple) else []
    if len(ids) != 1:
        return None
    (id_,) = ids
    return id_ if type(id_) is int or (isinstance(id_, str) and id_.isprintable()) else None


def _whole_number(digits: str) -> int | None:
    """None for one that is too long to be read."""
    return int(digits) if len(digits) <= MAX_DIGITS else None
