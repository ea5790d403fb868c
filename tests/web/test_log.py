"""The log of a server: nothing waits for who reads it, and nothing fails because it cannot be written."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

import httpx
import pytest
from support.server import API, CLIENT_TIMEOUT_S, STOP_TIMEOUT_S, WALLET, surroundings
from support.waiting import wait_for

from wallet_cli.web import log

PIPE_BYTES = 4096
REQUESTS = 200
"""Their lines are ten times what the pipe takes."""


def small_pipe() -> tuple[IO[bytes], IO[bytes]]:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return open(reader, "rb"), open(writer, "wb", buffering=0)  # noqa: PTH123


def serve(folder: Path, stderr: IO[bytes], *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*WALLET, "serve", "--no-auth", "--access-log", *options],
        cwd=folder,
        env=surroundings(folder),
        stdin=subprocess.DEVNULL,
        stderr=stderr,
    )


@pytest.mark.on_file("what is written to stderr")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_log_that_nobody_reads_stops_nobody(tmp_path: Path, workers: int) -> None:
    reader, writer = small_pipe()
    with reader, serve(tmp_path, writer, "--port", "0", "--workers", str(workers)) as server:
        writer.close()  # where the server ends, the log does
        try:
            lines = iter(map(json.loads, reader))
            url = next(line["url"] for line in lines if line["event"] == "serving")
            with httpx.Client(base_url=url, timeout=CLIENT_TIMEOUT_S, trust_env=False) as client:
                for _ in range(REQUESTS):
                    assert client.get(f"{API}/wallets").status_code == 200
                assert client.get("/healthz").status_code == 200
            server.terminate()
            assert server.wait(STOP_TIMEOUT_S) == 0
        finally:
            server.kill()


@pytest.mark.on_file("what is written to stderr")
def test_a_server_starts_and_answers_where_no_line_can_be_written(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Path("/dev/full").open("wb", buffering=0) as full, serve(tmp_path, full, "--port", str(port)) as server:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:

                def is_ready() -> bool:
                    assert server.poll() is None
                    with suppress(httpx.TransportError):
                        return client.get("/readyz").status_code == 200
                    return False

                wait_for(is_ready)
            server.terminate()
            assert server.wait(STOP_TIMEOUT_S) == 0
        finally:
            server.kill()


def test_lines_that_had_no_room_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    room, logged = 5, 100
    monkeypatch.setattr(log, "MAX_WAITING", room)
    monkeypatch.setattr(log, "FINISH_S", 60.0)
    monkeypatch.setattr(log, "_writer", log._Writer())
    reader, writer = small_pipe()
    writer.write(b"." * (PIPE_BYTES - 1) + b"\n")
    with reader:
        with writer:
            monkeypatch.setattr(sys, "stderr", writer)
            for number in range(logged):
                log.log("request", number=number)
            assert reader.readline()
            log.finish()
            log.log("request", number=logged)
            log.finish()
        lines = [json.loads(line) for line in reader]
    numbers = [line["number"] for line in lines if line["event"] == "request"]
    dropped = [line["dropped"] for line in lines if line["event"] == "lines_dropped"]
    assert len(numbers) + sum(dropped) == logged + 1
    assert numbers[-room - 1 :] == list(range(logged - room, logged + 1))
    assert dropped


FILLS_UP = """
import resource
from wallet_cli.web.log import finish, log

def told(event):
    log(event)
    finish()

told("first")
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, most))
told("cut")
told("lost")
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
told("last")
"""


def test_a_line_that_was_cut_is_ended_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as stderr:
        subprocess.run([sys.executable, "-c", FILLS_UP], stderr=stderr, check=True)
    first, cut, *rest = path.read_text().splitlines()
    assert json.loads(first)["event"] == "first"
    assert len(first) + 1 + len(cut) == 100
    assert [(line["event"], line.get("dropped")) for line in map(json.loads, rest)] == [
        ("lines_dropped", 2),
        ("last", None),
    ]
