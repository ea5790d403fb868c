"""Running the server: one process or several, signals, and the checks before the port opens."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

import uvicorn

from wallet_cli import settings as all_settings
from wallet_cli.domain.host import is_loopback
from wallet_cli.domain.purpose import Purpose
from wallet_cli.errors import InvalidInput, LedgerMoved, StorageError, shown
from wallet_cli.operations import seals
from wallet_cli.operations.context import Which, open_ledger, which
from wallet_cli.operations.tokens import Tokens, open_tokens
from wallet_cli.paths import typed_path
from wallet_cli.settings import Settings
from wallet_cli.storage.move_state import check_writable
from wallet_cli.web.listener import BACKLOG, accept_rest, admit_no_more, listen
from wallet_cli.web.log import finish, log, take_over_logging
from wallet_cli.web.metrics_folder import forget_gauges, metrics_folder
from wallet_cli.web.protocol import bounded_protocol
from wallet_cli.web.supervisor import supervise

if TYPE_CHECKING:
    from wallet_cli.web.server_state import ServerState

DRAIN_S = 30
LONG_READ_GRACE_S = 2.0
"""How long a stopping server continues its long reads."""

MAX_WORKERS = 64
ACCEPT_REST_S = 0.05
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class ServeOptions(NamedTuple):
    """How to serve; plain values, so that they can be passed to worker processes."""

    flags: dict[str, str]
    host: str
    port: int
    workers: int
    auth: bool
    access_log: bool
    max_connections: int


def serve(options: ServeOptions) -> int:
    """Serve until SIGTERM or SIGINT; accepted requests are answered first. Returns the exit code.

    Raises InvalidInput for unsafe options or settings, StorageError for a port or a folder that cannot be used.
    """
    try:
        _check(options)
        with metrics_folder() if options.workers > 1 else nullcontext():
            return _serve(options)
    finally:
        finish()


def _serve(options: ServeOptions) -> int:
    """The settings and the ledger are those of the start: a worker that is started again is handed the same."""
    settings = all_settings.load(options.flags, notify=lambda text: log("warning", message=text))
    tokens, warning = open_tokens(settings)
    if warning:
        log("warning", message=warning)
    if not options.auth:
        log("warning", message="--no-auth: everybody on this machine may do everything")
    # Where the key of seals cannot be made, nothing else is.
    public_key = None if settings.seal_to is None else seals.public_key()
    known = _prepare_ledger(settings, options)
    if settings.seal_to is not None:
        # Before the port opens.
        seals.make_seal_folder(typed_path(settings.seal_to).absolute())
        every_s = settings.seal_every_us / 1_000_000
        log("sealing", folder=settings.seal_to, every_s=every_s, public_key=public_key)
    if options.workers == 1:
        worker = Worker(options, settings, tokens, known)
        listener = listen(options.host, options.port)
        worker.run_on(listener, partial(_say_serving, options, listener.getsockname()))
        return 0
    listener = listen(options.host, options.port)
    return supervise(
        options.workers,
        lambda ready: Worker(options, settings, tokens, known).run_on(listener, ready),
        started=partial(_say_serving, options, listener.getsockname()),
        stopping=lambda: _leave_to_workers(listener),
        died=forget_gauges,
    )


class Worker(uvicorn.Server):
    """One serving process: it stops gracefully on the first signal, and at once on the second.

    Signals count from the first line on, even during imports. One of several processes leaves the second signal to its
    supervisor, which kills it then: a signal that is sent to all of them, as by Ctrl-C, comes to it twice.
    """

    def __init__(self, options: ServeOptions, settings: Settings, tokens: Tokens, known: Which) -> None:
        self._alone = options.workers == 1
        self._is_told = False
        """Whether it is told to stop."""
        self.server: ServerState | None = None
        signal.signal(signal.SIGTERM, self.handle_exit)
        signal.signal(signal.SIGINT, self.handle_exit if self._alone else signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)  # a supervisor forks with them blocked
        # Imported here, because the parent of several workers must not load or open it.
        from wallet_cli.web.app import Application
        from wallet_cli.web.server_state import ServerState

        take_over_logging()
        self.server = ServerState(settings, tokens, known, auth=options.auth, access_log=options.access_log)
        super().__init__(
            uvicorn.Config(
                Application(self.server),
                http=bounded_protocol(  # type: ignore[arg-type]
                    options.max_connections, self.server.slices, self.server.metrics.refused
                ),
                loop="uvloop",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_graceful_shutdown=DRAIN_S,
            )
        )
        if self._is_told:  # uvicorn's own beginning does not know it
            self._stop()

    def run_on(self, listener: socket.socket, ready: Callable[[], None]) -> None:
        """Serve on an open port; `ready` is called when the server answers requests."""
        self._ready = ready
        self.run(sockets=[listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        assert self.server is not None
        self.server.start()
        await super().startup(sockets=sockets)
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A requested stop is a success, not a death by signal; so uvicorn's own handlers are not installed."""
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._is_told and self._alone:
            os._exit(128 + sig)
        self._is_told = True
        self._stop()

    def _stop(self) -> None:
        self.should_exit = True
        if self.server is not None:
            self.server.draining = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept the connections that are already waiting, and no more; then uvicorn ends the connections."""
        log("stopping")
        assert sockets is not None
        [listener] = sockets
        if self._alone:  # with several workers, their supervisor has done it for all
            admit_no_more(listener)
        loop = asyncio.get_running_loop()
        loop.call_later(LONG_READ_GRACE_S, self._end_long_reads)
        await asyncio.sleep(ACCEPT_REST_S)
        rest = listener.dup()
        for server in self.servers:
            server.close()
        for connection in accept_rest(rest):
            await loop.connect_accepted_socket(self._protocol, connection)
        rest.close()
        await super().shutdown(sockets=sockets)
        assert self.server is not None
        await self.server.stop()
        log("stopped")

    def _end_long_reads(self) -> None:
        """End the long reads, and cut off callers that have not yet received their answer."""
        assert self.server is not None
        self.server.readers.end_all()
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            is_answering = cycle is not None and cycle.response_started and not cycle.response_complete
            if is_answering or connection.transport.get_write_buffer_size():
                connection.transport.abort()

    def _protocol(self) -> asyncio.Protocol:
        """A connection's protocol, created as uvicorn does it."""
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made


def _check(options: ServeOptions) -> None:
    if not 1 <= options.workers <= MAX_WORKERS:
        raise InvalidInput(f"not a number of workers: {options.workers}", hint=f"1 to {MAX_WORKERS}")
    if not 0 <= options.port <= 65_535:
        raise InvalidInput(f"not a port: {options.port}", hint="1 to 65535; 0 picks a free one")
    if options.max_connections < 1:
        raise InvalidInput(f"not a number of connections: {options.max_connections}", hint="at least 1")
    if not options.auth and not is_loopback(options.host):
        raise InvalidInput(
            f"--no-auth is only for this machine, not for {shown(options.host)}",
            hint="leave --no-auth out, or use --host 127.0.0.1",
        )


def _leave_to_workers(listener: socket.socket) -> None:
    """Close the port for all, and release it here: nobody would accept from a port that this process holds open."""
    admit_no_more(listener)
    listener.close()


def _say_serving(options: ServeOptions, address: tuple[Any, ...]) -> None:
    host, port = address[:2]
    shown_host = f"[{host}]" if ":" in host else host
    log("serving", url=f"http://{shown_host}:{port}", workers=options.workers, auth=options.auth)


def _prepare_ledger(settings: Settings, options: ServeOptions) -> Which:
    """Create or migrate the ledger before the port opens, and say how to begin if nobody can call yet. Returns which
    ledger it is.

    This also checks the settings that every request needs: a wrong one is for the operator to correct, not a caller.
    """
    with open_ledger(settings, lambda text: log("ledger", message=text), purpose=Purpose.MAKE) as ledger:
        for name in ("currency", "phone_region", "minimum_balance"):
            ledger.settings.check(name)
        for warning in ledger.store.warnings:
            log("warning", message=warning)
        try:
            check_writable(ledger.store.itself())
        except (LedgerMoved, StorageError) as error:
            log("warning", message=f"{error.message}: {error.hint}")
            return which(ledger.store)
        if options.auth and not any(each.revoked_at_us is None for each in ledger.store.operators()):
            log(
                "no_operator_key",
                message="nobody can call yet: create the first operator key with `wallet key create NAME`",
            )
        return which(ledger.store)
