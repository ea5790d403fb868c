"""A real `wallet serve` for the tests: a process on a free port, with a ledger, a folder and settings of its own.

    with Server(folder, "--no-auth") as server:
        server.client().get("/healthz")

A server is started in less than a second and may be shared by the tests of a module. What it writes to stderr is kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from unittest import mock
from urllib.parse import urlsplit

import httpx

from support import answered, cli, engines, processes
from support.cli import Outcome
from support.engines import Address
from wallet_cli import settings

API = "/api/v1"
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60
CLIENT_TIMEOUT_S = 60
LIMITS = httpx.Limits(keepalive_expiry=None)
"""What was idle is not closed: where threads share a client, one may close what another has just picked."""
WALLET = [sys.executable, "-X", "utf8", "-m", "wallet_cli"]
PROGRAM = WALLET
"""Tests put a faulty one in its place."""
VARIABLES = {name for setting in settings.SETTINGS for name in setting.variables}


def surroundings(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment in which nothing of this machine's settings is seen; home is in `folder`, the ledger is its."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in VARIABLES and not name.startswith(("WALLET_", "XDG_", "PROMETHEUS_"))
    }
    chosen = {"HOME": str(folder / "home"), "TZ": "UTC"} | dict(more or {})
    return kept | chosen | {"WALLET_DB": chosen.get("WALLET_DB") or str(engines.ledger_in(folder))}


def wallet(folder: Path, line: str | Sequence[str], environ: Mapping[str, str] | None = None) -> Outcome:
    """Run a command line in a folder, beside whatever serves there: in this process, whose main thread has to ask."""
    assert threading.current_thread() is threading.main_thread()
    arguments = shlex.split(line) if isinstance(line, str) else list(line)
    with contextlib.chdir(folder), mock.patch.dict(os.environ, surroundings(folder, environ), clear=True):
        return cli.run(arguments)


def process(folder: Path, line: str | Sequence[str], environ: Mapping[str, str] | None = None) -> Outcome:
    """The same in a process of its own: 70 ms of a processor, for tests of what a process has to itself."""
    arguments = shlex.split(line) if isinstance(line, str) else line
    done = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=folder,
        env=surroundings(folder, environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=STOP_TIMEOUT_S,
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


class Server:
    """`wallet serve OPTIONS`, on a free port of 127.0.0.1 unless `options` say otherwise.

    `folder` is its working directory, and its home; its ledger is that of the folder, on the engine of the test that
    runs. `start` returns when it listens; it raises AssertionError, with what was said on stderr, if it does not.
    """

    def __init__(self, folder: Path, *options: str, environ: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.options = options
        self.environ = dict(environ or {})
        db = surroundings(folder, environ)["WALLET_DB"]
        self.db: Address = db if "://" in db else Path(db)
        self.url = ""
        self.lines: list[str] = []
        """What was written to stderr, since the first start."""
        self._serving = threading.Event()
        self._clients: list[httpx.Client] = []

    def start(self) -> Self:
        """Start the process; again after `stop` or `kill`, to restart it on the same ledger."""
        self._serving.clear()
        self.url = ""
        options = self.options if "--port" in self.options else (*self.options, "--port", "0")
        said, writer = os.pipe()
        with open(writer, "wb") as stderr:  # noqa: PTH123
            self.process = self._process(["serve", *options], surroundings(self.folder, self.environ), stderr)
        self._reader = threading.Thread(target=self._read, args=(said,), daemon=True)
        self._reader.start()
        assert self._serving.wait(START_TIMEOUT_S), f"no answer: {self.stderr}"
        if not self.url:
            self._ended()
            raise AssertionError(f"it did not start: exit {self.process.returncode}: {self.stderr}")
        return self

    def _process(
        self, arguments: list[str], environ: dict[str, str], stderr: BinaryIO
    ) -> subprocess.Popen[bytes] | processes.Child:
        """From the nursery; or afresh, where the program is a faulty one, or a library comes before all others."""
        with Path(os.devnull).open("r+b") as nothing:
            streams = nothing, nothing, stderr
            if PROGRAM is WALLET and "LD_PRELOAD" not in environ:
                numbers = [stream.fileno() for stream in streams]
                return processes.nursery().fork(arguments, numbers, self.folder, environ)
            command = [*PROGRAM, *arguments]
            return subprocess.Popen(command, cwd=self.folder, env=environ, stdin=nothing, stdout=nothing, stderr=stderr)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, for sockets."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    @property
    def stderr(self) -> str:
        """All that was said on stderr so far."""
        return "".join(self.lines)

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of the log so far. Every line is one JSON object."""
        return [json.loads(line) for line in list(self.lines)]

    def client(self, bearer: str | None = None, base: str = "") -> httpx.Client:
        """A client of its own connections, closed with the server; `bearer` is a key or a token."""
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        made = httpx.Client(
            base_url=self.url + base,
            headers=headers,
            timeout=CLIENT_TIMEOUT_S,
            limits=LIMITS,
            trust_env=False,
            verify=not self.url.startswith("http:"),  # which reads the certificates of the machine: 22 ms
            event_hooks={"response": [partial(answered.check, authenticated="--no-auth" not in self.options)]},
        )
        self._clients.append(made)
        return made

    def api(self, bearer: str | None = None) -> httpx.Client:
        """The same, for paths below /api/v1."""
        return self.client(bearer, API)

    @contextlib.contextmanager
    def connection(self, timeout_s: float = CLIENT_TIMEOUT_S) -> Iterator[socket.socket]:
        """A bare connection, for what no well-behaved client would send."""
        with socket.create_connection(self.address, timeout=timeout_s) as sock:
            yield sock

    def wallet(self, line: str | Sequence[str]) -> Outcome:
        """Run a command line on the same ledger, with the same settings, outside of the server."""
        return wallet(self.folder, line, self.environ)

    def terminal(self, line: str | Sequence[str]) -> Outcome:
        """The same, in a process of its own."""
        return process(self.folder, line, self.environ)

    def key(self, name: str, *options: str) -> str:
        """Make an operator key and return it."""
        done = self.wallet(["key", "create", name, "-q", *options])
        assert done.code == 0, done.err
        return done.out.strip()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and return the exit code (minus the signal, where that ended it).

        Its clients hang up first: for the idle ones a server would wait a moment.
        """
        for client in self._clients:
            client.close()
        self._clients.clear()
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self._ended()

    def kill(self) -> int:
        """End it as a power cut would."""
        return self.stop(signal.SIGKILL)

    def _ended(self) -> int:
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        finally:
            # A server that does not end on a signal must not outlive the test.
            self.process.kill()
            self.process.wait()
            self._reader.join(STOP_TIMEOUT_S)

    def _read(self, said: int) -> None:
        with open(said, "rb") as stream:
            for line in stream:
                text = line.decode()
                self.lines.append(text)
                if '"event": "serving"' in text:
                    self.url = json.loads(text)["url"]
                    self._serving.set()
        self._serving.set()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
