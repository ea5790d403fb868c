"""Requests to one server over HTTP: what is sent, how long to wait, and what may be sent again.

A request is sent again only if that cannot do anything twice: it reads, it has a key from before its first try, its
repetition changes nothing, or it never left because there was no connection. Keys are never invented here: one would
stay in the transaction for ever. So if the answer to a write without a key is lost, or somebody else answers in the
server's place, its outcome is reported as unknown.

The certificate of a server is always checked. A token is sent only to its host, and unencrypted only to this machine.
Redirects are reported, not followed. Requests ask for unencoded answers; a gzip answer is unpacked here, in pieces, up
to the limit on answers.
"""

from __future__ import annotations

import json
import random
import re
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx

from wallet_cli import __version__
from wallet_cli.domain.host import check_encrypted, host_of
from wallet_cli.errors import UNKNOWN, InvalidInput, StorageError, UnknownOutcome, WalletError, causes, shown
from wallet_cli.remote.failures import error_of, is_failure, not_a_server
from wallet_cli.remote.shapes import check_of
from wallet_cli.settings import Settings

API = "/api/v1"
CONNECT_TIMEOUT_S = 5.0
ANSWER_MARGIN_S = 15.0
"""How much longer than the wait for a turn to wait for an answer."""

MAX_TRIES = 5
FIRST_PAUSE_S = 0.2
MAX_PAUSE_S = 5.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_PIECE_BYTES = 65_536
"""How much of a gzip to unpack at a time."""

GZIP = 16 + zlib.MAX_WBITS
PLAIN = ("", "identity")
UNAVAILABLE = (429, 502, 503, 504)

T = TypeVar("T")
Query = Mapping[str, str | None]
NO_QUERY: Query = MappingProxyType({})


class Failed(Exception):
    """A try that may be followed by another. `error` is told if it is the last one, of a read."""

    is_sent = True
    is_lost = False
    """Whether what came back says nothing of what became of the request."""

    def __init__(self, error: WalletError, *, after_s: float = 0.0, passes: bool = True) -> None:
        super().__init__(error.message)
        self.error = error
        self.after_s = after_s
        """How long the answer asks to wait."""
        self.passes = passes
        """Whether another try may end otherwise."""


class NotSent(Failed):
    """There was no connection, so nothing was sent."""

    is_sent = False


class Unavailable(Failed):
    """The server answers that it did nothing, and may do it later; or, by itself, that the outcome is unknown."""

    @property
    def is_lost(self) -> bool:  # type: ignore[override]
        return self.error.details.get("outcome") == UNKNOWN


class Lost(Failed):
    """The connection broke, no answer came in time, or what came is not the server's own: the outcome is unknown."""

    is_lost = True


class Call(NamedTuple):
    """A request. `shape` is that of the data in its answer. `again`: it may be sent twice. `reads`: it changes nothing,
    as no GET does. `patience_s` limits the wait for the answer.
    """

    method: str
    path: str
    query: Query
    shape: Any = None
    content: bytes | None = None
    content_type: str = "application/json"
    key: str | None = None
    again: bool = True
    reads: bool = False
    patience_s: float | None = None


class Server:
    """A server's address and the requests to it; a context manager, which closes the connections."""

    def __init__(self, url: str, client: httpx.Client, lock_timeout_s: float) -> None:
        self.url = url
        self._client = client
        client.event_hooks = {"response": [self._check_redirect]}
        self._lock_timeout_s = lock_timeout_s
        self._line: Any = None
        """The connection of the HTTP library."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises InvalidInput for an address, a token or a file of certificates that cannot be used."""
        url = checked_url(settings.db)
        secure = url.startswith("https:")
        headers = {
            "User-Agent": f"wallet-cli/{__version__}",
            "Accept": "application/json, */*",
            "Accept-Encoding": "identity",
        }
        token = settings.token_for(host_of(url) or "")
        if token is not None:
            if not re.fullmatch(r"[!-~]+", token):
                raise InvalidInput("the token is not valid: it has spaces or other invalid characters")
            headers["Authorization"] = f"Bearer {token}"
        lock_timeout_s = settings.lock_timeout_s
        client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(lock_timeout_s + ANSWER_MARGIN_S, connect=CONNECT_TIMEOUT_S),
            verify=_trusted(settings.ca_file) if secure else False,
            follow_redirects=False,
            # A proxy from the environment would see an unencrypted token; TLS passes through it unchanged.
            trust_env=secure,
        )
        return cls(url, client, lock_timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    # Requests.

    def get(
        self,
        path: str,
        shape: Any,
        query: Query = NO_QUERY,
        *,
        patience_s: float | None = None,
        again: bool = True,
    ) -> Any:
        """The data at a path, without parameters that are None. Raises the server's error."""
        return self._patiently(Call("GET", path, query, shape, again=again, patience_s=patience_s), self._data)

    def post(
        self,
        path: str,
        shape: Any,
        body: Mapping[str, Any],
        query: Query = NO_QUERY,
        *,
        key: str | None = None,
        again: bool = False,
        reads: bool = False,
    ) -> Any:
        """The data in the answer to a body. It is sent again if it has a key, or if `again` or `reads` allows it."""
        given = {name: value for name, value in body.items() if value is not None}
        content = json.dumps(given).encode("ascii")
        again = again or reads or key is not None
        request = Call("POST", path, query, shape, content, key=key, again=again, reads=reads)
        return self._patiently(request, self._data)

    def send(
        self, path: str, shape: Any, content: bytes, content_type: str, query: Query, *, reads: bool = False
    ) -> Any:
        """The data in the answer to a file, whose lines are all safe to send again."""
        return self._patiently(Call("POST", path, query, shape, content, content_type, reads=reads), self._data)

    @contextmanager
    def stream(self, path: str, kinds: Collection[str], **query: str | None) -> Iterator[Iterator[bytes]]:
        """The content at a path, of one of these types, in chunks as they arrive.

        Raises StorageError for another type, and for an incomplete answer.
        """
        request = Call("GET", path, query)
        with closing(self._patiently(request, self._opened)) as response:
            if response.headers.get("content-type", "").partition(";")[0] not in kinds:
                raise not_a_server(response.status_code, self.url)
            yield self._chunks(response)

    # Sending.

    def _patiently(self, request: Call, ask: Callable[[Call], T]) -> T:
        """Send, and repeat if that is safe and may help, with growing pauses that differ between clients."""
        until_s = time.monotonic() + self._lock_timeout_s
        is_unknown = False
        for tried in range(1, MAX_TRIES + 1):
            pause_s = min(MAX_PAUSE_S, FIRST_PAUSE_S * 2**tried) * random.uniform(0.5, 1.0)  # noqa: S311
            try:
                return ask(request)
            except Failed as failed:
                # A try that was lost may have been applied, whatever comes of those after it.
                is_unknown = is_unknown or (failed.is_lost and request.method != "GET" and not request.reads)
                told = failed.error
                if is_unknown and told.details.get("outcome") != UNKNOWN:
                    told = UnknownOutcome(told.message, again=request.again)
                again = failed.passes and (request.again or not failed.is_sent)
                pause_s = max(pause_s, failed.after_s)
            if not again or tried == MAX_TRIES or time.monotonic() + pause_s >= until_s:
                raise told
            time.sleep(pause_s)
        raise AssertionError("the last try has returned or raised")

    def _opened(self, request: Call) -> httpx.Response:
        """The response to a request, with its body still unread. Raises for every status except success."""
        try:
            with self._cut_after(self._patience_s(request)):
                response = self._client.send(self._built(request), stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
            certificate = _certificate_problem(error)
            if certificate is not None:
                told = StorageError(
                    f"the certificate of {self.url} is not trusted: {certificate}",
                    hint="set WALLET_CA_FILE to a file with the certificate of your own authority",
                )
                raise NotSent(told, passes=False) from None
            raise NotSent(
                StorageError(
                    f"cannot reach {self.url}: {_reason(error)}", hint="check WALLET_DB, and that `wallet serve` runs"
                )
            ) from None
        except httpx.LocalProtocolError:
            raise InvalidInput("the request cannot be written as HTTP") from None
        except httpx.TransportError as error:
            raise self._no_answer(error) from None
        if response.is_success:
            return response
        with closing(response):
            raise self._problem(response)

    def _problem(self, response: httpx.Response) -> Exception:
        """The error in an unsuccessful response."""
        until_s = time.monotonic() + self._lock_timeout_s + ANSWER_MARGIN_S
        answer = self._envelope(response, b"".join(self._chunks(response, MAX_ANSWER_BYTES, until_s)))
        if not is_failure(answer):
            return self._not_a_server(response)
        error = error_of(response.status_code, answer, self.url, response.headers.get("wallet-mentions", "[]"))
        if isinstance(error, StorageError) and error.code != StorageError.code:
            return Lost(error, passes=False)  # a failure that only newer servers have
        if response.status_code in UNAVAILABLE and type(error).retryable:
            return Unavailable(error, after_s=_seconds(response))
        return error

    def _patience_s(self, request: Call) -> float:
        """How long the head of an answer may take, and again its body."""
        return request.patience_s or self._lock_timeout_s + 2 * ANSWER_MARGIN_S

    @contextmanager
    def _cut_after(self, seconds: float) -> Iterator[None]:
        """Cut the connection if a `with` block takes longer. The HTTP library limits each wait, not their sum."""

        def cut() -> None:
            with suppress(OSError):  # it is already closed
                if self._line is not None:
                    self._line.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(seconds, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        except httpx.TransportError:
            if timer.finished.is_set():
                raise httpx.ReadTimeout("the answer did not begin in time") from None
            raise
        finally:
            timer.cancel()

    def _traced(self, event: str, info: Mapping[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._line = info["return_value"]

    def _data(self, request: Call) -> Any:
        with closing(self._opened(request)) as response:
            until_s = time.monotonic() + self._patience_s(request)
            body = b"".join(self._chunks(response, MAX_ANSWER_BYTES, until_s))
        data = self._envelope(response, body)["data"]
        if not check_of(request.shape)(data):
            raise self._not_a_server(response)
        return data

    def _built(self, request: Call) -> httpx.Request:
        headers = dict([_key_header(request.key)]) if request.key is not None else {}
        if request.content is not None:
            headers["Content-Type"] = request.content_type
        timeout = self._client.timeout
        if request.patience_s is not None:
            timeout = httpx.Timeout(request.patience_s, connect=CONNECT_TIMEOUT_S)
        return self._client.build_request(
            request.method,
            self.url + API + request.path,
            params={name: value for name, value in request.query.items() if value is not None},
            content=request.content,
            headers=headers,
            timeout=timeout,
            extensions={"trace": self._traced},
        )

    def _chunks(
        self, response: httpx.Response, most: int | None = None, until_s: float | None = None
    ) -> Iterator[bytes]:
        """The body in chunks, at most `most` bytes when unpacked. Raises Lost if it ends too soon.

        Without such a limit, only an unpacked body is read, part of which may be printed: then it raises StorageError.
        """
        encoding = response.headers.get("content-encoding", "").strip().lower()
        chunks = response.iter_raw()
        if encoding in ("gzip", "x-gzip") and most is not None:
            chunks = _unpacked(chunks)
        elif encoding not in PLAIN:
            raise self._not_a_server(response)
        size = 0
        try:
            for chunk in chunks:
                size += len(chunk)
                if most is not None and size > most:
                    raise self._not_a_server(response)
                if until_s is not None and time.monotonic() > until_s:
                    raise httpx.ReadTimeout("the answer did not end in time")
                yield chunk
        except (httpx.TransportError, httpx.DecodingError) as error:
            if most is not None:
                raise self._no_answer(error) from None
            raise StorageError(
                f"the answer of {self.url} was cut short: {_reason(error)}", hint="the printed output is incomplete"
            ) from None

    def _envelope(self, response: httpx.Response, body: bytes) -> dict[str, Any]:
        """The fields that every answer of a server has. Raises Lost for another one."""
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict) or not {"message", "data"} <= answer.keys():
            raise self._not_a_server(response)
        return answer

    def _check_redirect(self, response: httpx.Response) -> None:
        """Raises Lost for an answer that leads elsewhere, before the HTTP library reads where."""
        if response.has_redirect_location:
            where = shown(response.headers["location"])
            told = StorageError(
                f"the server at {self.url} redirects to another address: {where}",
                hint="if that is the right server, set WALLET_DB to it, without /api/v1 and the rest",
            )
            raise Lost(told, passes=False)

    def _not_a_server(self, response: httpx.Response) -> Lost:
        status = response.status_code
        error = not_a_server(status, self.url)
        return Lost(error, after_s=_seconds(response), passes=status in UNAVAILABLE)

    def _no_answer(self, error: Exception) -> Lost:
        return Lost(StorageError(f"no answer from {self.url}: {_reason(error)}", hint="try again"))


def checked_url(text: str) -> str:
    """The address of a server, without a slash at its end. Raises InvalidInput, which shows no password."""
    try:
        parts = urlsplit(text)
        port = parts.port
        httpx.URL(text)
    except (ValueError, httpx.InvalidURL):
        raise InvalidInput(
            "the address of the ledger cannot be read", hint="https://host, or https://host:port/path"
        ) from None
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(
            "the address of a ledger cannot have a name or a password", hint="put the token into WALLET_TOKEN"
        )
    if host_of(text) is None or parts.query or parts.fragment or port == 0:
        raise InvalidInput(
            f"not the address of a ledger: {shown(text)}", hint="https://host, or https://host:port/path"
        )
    check_encrypted(text)
    return f"{parts.scheme.lower()}://{parts.netloc}{parts.path}".rstrip("/")


def _unpacked(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpacks gzip, in pieces of at most MAX_PIECE_BYTES. Raises httpx.DecodingError."""
    unpack = zlib.decompressobj(GZIP)
    try:
        for chunk in chunks:
            more = True
            while more:
                if unpack.eof:
                    raise httpx.DecodingError("there is more after the end of its gzip")
                piece = unpack.decompress(chunk, MAX_PIECE_BYTES)
                yield piece
                chunk = unpack.unconsumed_tail or unpack.unused_data
                more = bool(chunk) or (len(piece) == MAX_PIECE_BYTES and not unpack.eof)
    except zlib.error as error:
        raise httpx.DecodingError(str(error)) from None
    if not unpack.eof:
        raise httpx.DecodingError("its gzip has no end")


def _trusted(ca_file: str | None) -> ssl.SSLContext:
    """The well-known authorities, or those of SSL_CERT_FILE, and the user's own. Raises InvalidInput."""
    try:
        context = httpx.create_ssl_context()
        if ca_file is not None:
            context.load_verify_locations(ca_file)
    except (OSError, ValueError) as error:
        name = ca_file if ca_file is not None else "SSL_CERT_FILE"
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise InvalidInput(
            f"cannot read certificates from {shown(name)}: {reason}", hint="give a file in PEM format"
        ) from None
    return context


def _key_header(key: str) -> tuple[str, str]:
    """The header for a key: every key except the plainest ones is encoded, as in RFC 8187.

    A key that begins with a quote is encoded: in the plain header, quotes around a key do not belong to it.
    """
    key = key.strip()
    if key.isascii() and not key.startswith('"'):
        return "Idempotency-Key", key
    return "Idempotency-Key*", f"UTF-8''{quote(key, safe='')}"


def _certificate_problem(error: BaseException) -> str | None:
    """The problem with a certificate, if that caused an error."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message or str(cause)
        if isinstance(cause, ssl.SSLError):
            return f"no TLS can be agreed on ({cause.reason or cause})"
    return None


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "it took too long"
    text = str(error) or type(error).__name__
    return re.sub(r"^\[Errno -?\d+\] ", "", text)


def _seconds(response: httpx.Response) -> float:
    """How long an answer asks to wait, if Retry-After is a number of seconds."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0
