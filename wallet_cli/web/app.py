"""The application: routes, and the one place where an error becomes an HTTP answer.

Starlette finds the route and runs the lifespan. Everything between the route and the handler is here: who calls, the
envelope, what is counted and what is logged.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from starlette.routing import Route, Router

from wallet_cli.errors import InternalError, WalletError
from wallet_cli.web import routes
from wallet_cli.web.docs import docs_page
from wallet_cli.web.exchange import (
    ClientLeft,
    Receive,
    Reply,
    Scope,
    Send,
    header,
    send_bytes,
    send_failure,
    send_reply,
)
from wallet_cli.web.log import log, new_request_id, request_id
from wallet_cli.web.openapi import API, openapi_json
from wallet_cli.web.problems import MethodNotAllowed, NoSuchRoute
from wallet_cli.web.routes import Call
from wallet_cli.web.site import Site

Handler = Callable[[Site, Call], Awaitable[Reply]]


class Operation(NamedTuple):
    """An endpoint of the API: its method, path, and handler."""

    method: str
    path: str
    handler: Handler


OPERATIONS = (
    Operation("POST", "/transactions/create", routes.create_transaction),
    Operation("GET", "/wallet/get/{user_id}/{type}", routes.get_wallet),
    Operation("GET", "/wallet/get/{user_id}", routes.get_wallets),
    Operation("POST", "/transactions/batch", routes.create_transactions),
    Operation("GET", "/transactions/get/{user_id}/{wallet_id}", routes.list_transactions),
    Operation("POST", "/transactions/get/total_in_period", routes.total_in_period),
    Operation("POST", "/users", routes.create_user),
    Operation("POST", "/wallet/create", routes.create_wallet),
    Operation("POST", "/tokens", routes.create_token),
)


class Endpoint:
    """One operation as Starlette calls it."""

    def __init__(self, site: Site, operation: Operation) -> None:
        self._site = site
        self._operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        site, (method, path, handler) = self._site, self._operation
        started_s = time.perf_counter()
        id_, status, caller = "", 0, "-"
        try:
            id_ = request_id(header(scope, b"x-request-id"))
            if scope["method"] != method and not (method == "GET" and scope["method"] == "HEAD"):
                raise MethodNotAllowed(f"use {method} here")
            who = site.door.caller(scope)
            caller = who.name
            reply = await handler(site, Call(scope, receive, who))
            status = reply.status
            await send_reply(send, reply, id_, close=site.draining)
        except ClientLeft:
            status = 499
        except WalletError as error:
            status = await self._fail(send, error, id_)
        except Exception as error:
            log("internal_error", request_id=id_, route=path, error=type(error).__name__, trace=_trace(error))
            status = await self._fail(send, InternalError("an unexpected error; it is in the log"), id_)
        seconds = time.perf_counter() - started_s
        site.metrics.answered(path, status, seconds)
        if site.access_log:
            log(
                "request",
                request_id=id_,
                method=scope["method"],
                route=path,
                status=status,
                caller=caller,
                milliseconds=round(seconds * 1000, 3),
            )

    async def _fail(self, send: Send, error: WalletError, id_: str) -> int:
        self._site.metrics.refused(error.code)
        # What the caller may still be sending is not read: the connection cannot be used again.
        close = self._site.draining or error.http_status in (408, 413)
        await send_failure(send, error, id_ or new_request_id(), close=close, allow=self._operation.method)
        return error.http_status


class Plain:
    """A page outside the API: no key, no envelope."""

    def __init__(self, site: Site, page: Callable[[Site], Awaitable[tuple[int, bytes, bytes]]]) -> None:
        self._site = site
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        id_ = new_request_id()
        if scope["method"] not in ("GET", "HEAD"):
            await send_failure(send, MethodNotAllowed("use GET here"), id_, close=False, allow="GET")
            return
        try:
            status, content_type, body = await self._page(self._site)
        except WalletError as error:
            await send_failure(send, error, id_, close=self._site.draining)
            return
        await send_bytes(send, status, body, content_type, id_, close=self._site.draining)


async def healthz(_site: Site) -> tuple[int, bytes, bytes]:
    """The process answers."""
    return 200, b"application/json", b'{"status":"ok"}'


async def readyz(site: Site) -> tuple[int, bytes, bytes]:
    """It can take a turn and write."""
    await site.check_ready()
    return 200, b"application/json", b'{"status":"ready"}'


async def metrics(site: Site) -> tuple[int, bytes, bytes]:
    return 200, b"text/plain; version=0.0.4; charset=utf-8", site.metrics.page(site.inbox.depth())


async def openapi(_site: Site) -> tuple[int, bytes, bytes]:
    return 200, b"application/json", openapi_json()


async def docs(_site: Site) -> tuple[int, bytes, bytes]:
    return 200, b"text/html; charset=utf-8", docs_page()


PAGES = {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics, "/openapi.json": openapi, "/docs": docs}


class Application:
    """The ASGI application of one server process."""

    def __init__(self, site: Site) -> None:
        self.site = site
        found = [Route(API + operation.path, Endpoint(site, operation)) for operation in OPERATIONS]
        found += [Route(path, Plain(site, page)) for path, page in PAGES.items()]
        self._router = Router(found, redirect_slashes=False, default=self._not_found, lifespan=self._lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and len(scope["path"]) > 1 and scope["path"].endswith("/"):
            scope["path"] = scope["path"].rstrip("/")  # a trailing slash is accepted
        await self._router(scope, receive, send)

    async def _not_found(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            error = NoSuchRoute("there is nothing at this path", hint="/docs lists what there is")
            await send_failure(send, error, new_request_id(), close=self.site.draining)
        else:  # a WebSocket
            await send({"type": "websocket.close"})

    @asynccontextmanager
    async def _lifespan(self, _router: Router) -> AsyncIterator[None]:
        self.site.start()
        try:
            yield
        finally:
            await self.site.stop()


def _trace(error: Exception) -> str | None:
    """Where it happened, with no values; with WALLET_DEBUG=1, all of it."""
    if os.environ.get("WALLET_DEBUG") == "1":
        return "".join(traceback.format_exception(error))
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-5:]))
