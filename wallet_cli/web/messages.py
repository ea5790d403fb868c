"""One request and its answer: reading a limited body, the two envelopes, and answers that are files.

success  {"message": …, "data": …}
failure  {"message": …, "data": null, "code": …, "details": {…}, "retryable": …, "hint": …}

A failure whose message names wallets lists them in the header `Wallet-Mentions`, as JSON: each with `id`, `wallet` (its
name in the message) and `at`, the position of the name in characters. So a client whose user used another name for a
wallet can show that name.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from wallet_cli.errors import InvalidInput, WalletError
from wallet_cli.hints import over_http
from wallet_cli.web.http_errors import BodyTooLarge, UnsupportedMediaType

MAX_PARAMETERS = 50
RETRY_AFTER_S = b"1"
JSON_TYPE = "application/json"

REFUSED = "wallet.refused"
"""In a scope: the status with which the protocol has refused the request, whose handler sees only that it has ended."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Reply(NamedTuple):
    """A handler's answer: HTTP status, a message for a person, and the data."""

    status: int
    message: str
    data: Any


class Written(NamedTuple):
    """Data that is JSON already, in pieces that are sent one by one: a large answer keeps nobody waiting."""

    pieces: Sequence[bytes]


class Stream(NamedTuple):
    """A handler's answer that is a file: bytes, a chunk at a time (streaming.py).

    `work(ledger, *given)` makes the chunks, in a separate process (readers.py), and must be picklable. Its errors
    before the first chunk are answered as usual; after that the connection is cut, so that nobody takes a part for the
    whole.
    """

    status: int
    content_type: bytes
    work: Callable[..., Iterator[bytes]]
    given: tuple[Any, ...] = ()
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Further headers, such as Content-Disposition."""


class ClientLeft(Exception):
    """The caller closed the connection before the request or the answer was complete."""


def header(scope: Scope, name: bytes) -> bytes | None:
    """The value of a header (lower-case name); None if it is missing. Raises InvalidInput if it is repeated."""
    found: bytes | None = None
    for key, value in scope["headers"]:
        if key == name:
            if found is not None:
                raise InvalidInput(f"the header {name.decode()} is given more than once")
            found = value
    return found


MAY_BE_EMPTY = frozenset(("cursor", "limit", "format", "from", "to", "kind", "min", "max", "text"))
"""Pages and filters of lists: a form, or a client, sends each of its fields. Empty, they count as not given."""

_PLUS = re.compile(r"(?<![^&])(user|wallet)=\+([0-9]?)")
"""Parameters that may begin with a phone number, and a `+` before it that is not escaped."""

TIMES = frozenset(("at", "from", "to", "start_date", "end_date"))
SPACED_OFFSET = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d[\d:.,]*) (\d\d(?::?\d\d)?)", re.ASCII)
"""A time of day, a space, and then what can only be an offset from UTC."""


def query(scope: Scope, known: frozenset[str]) -> dict[str, str]:
    """The parameters of the URL. Raises InvalidInput for one unknown or repeated, or empty if it may not be.

    In a URL a `+` that is not written `%2B` is a space, but before a number it is read as a `+`. Where an offset from
    UTC must follow, a space can only have been a `+`.
    """
    if not scope["query_string"]:
        return {}
    try:
        pairs = parse_qsl(
            _PLUS.sub(_escaped, scope["query_string"].decode("ascii")),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError:
        hint = f"name=value, joined by &, at most {MAX_PARAMETERS} of them"
        raise InvalidInput("the query of the URL cannot be read", hint=hint) from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidInput("a parameter of the URL is given twice")
    unknown = set(found) - known
    if unknown:
        raise InvalidInput("unknown parameter in the URL", hint=f"known: {', '.join(sorted(known)) or 'none'}")
    empty = next((name for name, value in found.items() if not value and name not in MAY_BE_EMPTY), None)
    if empty is not None:
        raise InvalidInput(f"{empty} is empty", hint=f"leave {empty} out of the URL, or give it a value")
    return {name: _with_plus(value) if name in TIMES else value for name, value in found.items() if value}


def _escaped(plus: re.Match[str]) -> str:
    """A `+` as the URL should have it. Raises InvalidInput where no number follows."""
    name, number = plus.groups()
    if not number:
        raise InvalidInput(f"{name} does not begin with a digit or +", hint="write + as %2B")
    return f"{name}=%2B{number}"


def _with_plus(time: str) -> str:
    """A time, with a `+` before its offset that became a space."""
    match = SPACED_OFFSET.fullmatch(time)
    return time if match is None else f"{match[1]}+{match[2]}"


def media_type(scope: Scope, known: Sequence[str]) -> str:
    """The media type of the body, which must be one of `known`, uncoded and UTF-8. Raises UnsupportedMediaType."""
    if (header(scope, b"content-encoding") or b"identity").lower() != b"identity":
        raise UnsupportedMediaType("the body has a Content-Encoding", hint="send it as it is, without that header")
    given = (header(scope, b"content-type") or b"").decode("latin-1").lower()
    name, _, parameters = given.partition(";")
    name = name.strip()
    # A missing type is refused too: a browser sends it for a page's request without a CORS check.
    if name not in known:
        raise UnsupportedMediaType(f"the body is not {' or '.join(known)}", hint=f"Content-Type: {known[0]}")
    for parameter in parameters.split(";"):
        word, _, value = parameter.partition("=")
        if word.strip() == "charset" and value.strip().strip('"') not in ("utf-8", "utf8"):
            raise UnsupportedMediaType("the body is not in UTF-8", hint=f"Content-Type: {name}; charset=utf-8")
    return name


async def read_body(scope: Scope, receive: Receive, limit: int) -> list[bytes]:
    """The whole body, in the pieces in which it came, of at most `limit` bytes; the protocol limits the time.

    Raises BodyTooLarge (before reading, if the length is given), or ClientLeft.
    """
    length = header(scope, b"content-length")
    if length is not None and int(length) > limit:
        raise BodyTooLarge(f"the body has more than {limit} bytes")
    pieces, size = [], 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > limit:
            raise BodyTooLarge(f"the body has more than {limit} bytes")
        more = message.get("more_body", False)
    return pieces


async def send_reply(send: Send, reply: Reply, request_id: str, *, close: bool) -> None:
    if isinstance(reply.data, Written):
        pieces = [b'{"message":%s,"data":' % encoded(reply.message), *reply.data.pieces, b"}"]
    else:
        pieces = [encoded({"message": reply.message, "data": reply.data})]
    await send_pieces(send, reply.status, pieces, b"application/json", request_id, close=close)


async def send_failure(
    send: Send, error: WalletError, request_id: str, *, close: bool, allow: str | None = None
) -> None:
    extra = []
    if error.http_status == 405 and allow is not None:
        extra.append((b"allow", allow.encode()))
    if error.http_status == 503 and error.retryable:
        extra.append((b"retry-after", RETRY_AFTER_S))
    if error.http_status == 429:
        extra.append((b"retry-after", str(error.details["retry_after_s"]).encode()))
    if error.http_status == 401:
        extra.append((b"www-authenticate", b"Bearer"))
    mentions = mentions_of(error)
    if mentions is not None:
        extra.append((b"wallet-mentions", mentions))
    body = msgspec.json.encode(failure(error))
    await send_pieces(send, error.http_status, [body], b"application/json", request_id, close=close, extra=extra)


def encoded(value: Any) -> bytes:
    """A JSON value as bytes. The metadata of a transaction may have whole numbers of more than 64 bits."""
    try:
        return msgspec.json.encode(value)
    except OverflowError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def failure(error: WalletError) -> dict[str, Any]:
    """The envelope of a failure."""
    return {
        "message": error.message,
        "data": None,
        "code": error.code,
        "details": error.details,
        "retryable": error.retryable,
        "hint": over_http(error.hint),
    }


def mentions_of(error: WalletError) -> bytes | None:
    """The value of `Wallet-Mentions`; None if the message names no wallet."""
    mentions: list[dict[str, Any]] = []
    at = 0
    for part in error.parts:
        if isinstance(part, str):
            at += len(part)
        else:
            mentions.append({"id": part.wallet_id, "wallet": part.name, "at": at})
            at += len(part.name)
    return json.dumps(mentions, separators=(",", ":")).encode("ascii") if mentions else None


async def send_pieces(
    send: Send,
    status: int,
    pieces: Sequence[bytes],
    content_type: bytes,
    request_id: str,
    *,
    close: bool = False,
    extra: list[tuple[bytes, bytes]] | None = None,
) -> None:
    """Send an answer whose body is in pieces; other requests have their turn between two of them."""
    length = (b"content-length", b"%d" % sum(map(len, pieces)))
    headers = answer_headers(content_type, request_id, length, *(extra or ()), close=close)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    *first, last = pieces
    for piece in first:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": last})


def attachment(name: str) -> tuple[bytes, bytes]:
    """The header with a file's name, which has only letters, digits, dots and dashes."""
    return b"content-disposition", f'attachment; filename="{name}"'.encode("ascii")


def answer_headers(
    content_type: bytes, request_id: str, *more: tuple[bytes, bytes], close: bool
) -> list[tuple[bytes, bytes]]:
    """The headers of every answer."""
    headers = [
        (b"content-type", content_type),
        (b"x-request-id", request_id.encode("latin-1")),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *more,
    ]
    if close:
        headers.append((b"connection", b"close"))
    return headers
