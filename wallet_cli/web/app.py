"""The application: routes, and the one place where an error becomes an HTTP answer.

Starlette finds the route. Everything between the route and the handler is here: authentication,
the envelope, metrics and the log.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable

from starlette.routing import Route, Router
from starlette.types import ASGIApp

from wallet_cli.errors import InternalError, WalletError
from wallet_cli.web.auth import Caller
from wallet_cli.web.docs import docs_page
from wallet_cli.web.http_errors import MethodNotAllowed, NoSuchRoute, for_users
from wallet_cli.web.log import log, request_id
from wallet_cli.web.messages import (
    REFUSED,
    ClientLeft,
    Receive,
    Scope,
    Send,
    Stream,
    header,
    send_failure,
    send_pieces,
    send_reply,
)
from wallet_cli.web.openapi import API, openapi_json
from wallet_cli.web.operations import OPERATIONS, Operation
from wallet_cli.web.read_worker import where
from wallet_cli.web.readers import ReadFailed
from wallet_cli.web.routes.call import Call
from wallet_cli.web.server_state import ServerState
from wallet_cli.web.streaming import CutShort, send_stream


def by_path(operations: Iterable[Operation]) -> dict[str, dict[str, Operation]]:
    """The operations of each path, by method."""
    found: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        found.setdefault(operation.path, {})[operation.method] = operation
    return found


PAGE_METHODS = "GET, HEAD"


class Endpoint:
    """One path of the API, as an app for Starlette."""

    def __init__(self, server: ServerState, path: str, operations: dict[str, Operation]) -> None:
        self._site = server
        self._path = path
        self._operations = operations
        self._allowed = ", ".join(PAGE_METHODS if method == "GET" else method for method in operations)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._site.waiting_aside(self._answer(scope, receive, send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        server, path = self._site, self._path
        started_s = time.perf_counter()
        id_, status, caller, who = request_id(scope), 0, "-", None
        try:
            operation = self._operation(scope["method"])
            who = server.auth.caller(scope)
            caller = who.name
            server.check_in_place()
            operation.may_call(who)
            reply = await operation.handler(server, Call(scope, receive, who, server.slices))
            status = reply.status
            if isinstance(reply, Stream):
                head = scope["method"] == "HEAD"
                await send_stream(server.readers, receive, send, who, reply, id_, head=head, close=server.draining)
            else:
                await send_reply(send, reply, id_, close=server.draining)
        except ClientLeft:
            status = scope.get(REFUSED, 499)
        except CutShort as cut:
            error = cut.__cause__
            name, trace = _told(error or cut)
            log("cut_short", request_id=id_, route=path, error=name, trace=trace)
        except WalletError as error:
            server.note_refusal(error, scope, who)
            status = await self._fail(send, error if _is_operator(who) else for_users(error), id_)
        except Exception as error:
            status = await self._fail(send, unexpected(error, id_, path), id_)
        seconds = time.perf_counter() - started_s
        server.metrics.answered(path, status, seconds)
        if server.access_log:
            log(
                "request",
                request_id=id_,
                method=scope["method"],
                route=path,
                status=status,
                caller=caller,
                milliseconds=round(seconds * 1000, 3),
            )

    def _operation(self, method: str) -> Operation:
        found = self._operations.get("GET" if method == "HEAD" else method)
        if found is None:
            raise MethodNotAllowed(f"use {' or '.join(self._operations)} here")
        return found

    async def _fail(self, send: Send, error: WalletError, id_: str) -> int:
        self._site.metrics.refused(error.code)
        # The rest of the request is not read: the connection cannot be used again.
        close = self._site.draining or error.http_status in (408, 413)
        await send_failure(send, error, id_, close=close, allow=self._allowed)
        return error.http_status


def _is_operator(who: Caller | None) -> bool:
    return who is not None and not who.is_user


class Plain:
    """A page outside the API, without an envelope. It needs no key; with an operator's key, it says why it fails."""

    def __init__(self, server: ServerState, page: Callable[[ServerState], Awaitable[tuple[int, bytes, bytes]]]) -> None:
        self._site = server
        self._page = page

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        await self._site.waiting_aside(self._answer(scope, send))

    async def _answer(self, scope: Scope, send: Send) -> None:
        id_ = request_id(scope)
        if scope["method"] not in ("GET", "HEAD"):
            await send_failure(send, MethodNotAllowed("use GET here"), id_, close=False, allow=PAGE_METHODS)
            return
        try:
            status, content_type, body = await self._page(self._site)
        except WalletError as error:
            who = self._caller(scope)
            self._site.note_refusal(error, scope, who)
            told = error if _is_operator(who) else for_users(error)
            await send_failure(send, told, id_, close=self._site.draining)
            return
        except Exception as error:
            await send_failure(send, unexpected(error, id_, scope["path"]), id_, close=self._site.draining)
            return
        await send_pieces(send, status, [body], content_type, id_, close=self._site.draining)

    def _caller(self, scope: Scope) -> Caller | None:
        """The caller, if the request names one."""
        try:
            given = header(scope, b"authorization") is not None
            return self._site.auth.caller(scope) if given else None
        except WalletError as error:
            self._site.note_refusal(error, scope, None)
            return None


async def healthz(_site: ServerState) -> tuple[int, bytes, bytes]:
    """Says that the process answers."""
    return 200, b"application/json", b'{"status":"ok"}'


async def readyz(server: ServerState) -> tuple[int, bytes, bytes]:
    """Says whether the server can take a turn and write. Why it cannot is told to the log and to operators: anybody may
    call this.
    """
    await server.check_ready()
    return 200, b"application/json", b'{"status":"ready"}'


async def metrics(server: ServerState) -> tuple[int, bytes, bytes]:
    server.note_what_is_under_way()
    return 200, b"text/plain; version=0.0.4; charset=utf-8", server.metrics.page()


async def openapi(_site: ServerState) -> tuple[int, bytes, bytes]:
    return 200, b"application/json", openapi_json()


async def docs(_site: ServerState) -> tuple[int, bytes, bytes]:
    return 200, b"text/html; charset=utf-8", docs_page()


PAGES = {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics, "/openapi.json": openapi, "/docs": docs}


class Application:
    """The ASGI application of one server process."""

    def __init__(self, server: ServerState) -> None:
        self.server = server
        found: dict[str, ASGIApp] = {
            API + path: Endpoint(server, path, operations) for path, operations in by_path(OPERATIONS).items()
        }
        found |= {path: Plain(server, page) for path, page in PAGES.items()}
        self._whole = {path: page for path, page in found.items() if "{" not in path}
        """The endpoints of paths without parameters, which need no search."""
        routes = [Route(path, page) for path, page in found.items() if "{" in path]
        self._router = Router(routes, redirect_slashes=False, default=self._not_found)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if len(scope["path"]) > 1 and scope["path"].endswith("/"):
                scope["path"] = scope["path"].rstrip("/")  # however many there are
            page = self._whole.get(scope["path"])
            if page is not None:
                await page(scope, receive, send)
                return
        await self._router(scope, receive, send)

    async def _not_found(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            error = NoSuchRoute("there is nothing at this path", hint=f"/docs lists all paths; they begin with {API}")
            await send_failure(send, error, request_id(scope), close=self.server.draining)
        else:  # a WebSocket
            await send({"type": "websocket.close"})


def unexpected(error: Exception, id_: str, path: str) -> InternalError:
    """Log an error that no rule raises, and return what its caller is told."""
    name, trace = _told(error)
    log("internal_error", request_id=id_, route=path, error=name, trace=trace)
    return InternalError("an unexpected error: see the server log")


def _told(error: BaseException) -> tuple[str, str]:
    """An error for the log: its class, and where it happened, here or in the process of a long read."""
    if isinstance(error, ReadFailed):
        return error.name, error.where
    return type(error).__name__, where(error)
