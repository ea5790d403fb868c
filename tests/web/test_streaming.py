"""Answers that are sent a chunk at a time: whole or seen not to be, made in a process, let go of at the end."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from support.server import API
from support.waiting import wait_for
from web import works
from web.works import living

from wallet_cli import settings
from wallet_cli.errors import StorageError, TransactionNotFound
from wallet_cli.operations import fields, users
from wallet_cli.operations.context import open_ledger
from wallet_cli.operations.tokens import open_tokens
from wallet_cli.web import app as app_module
from wallet_cli.web import log, readers, streaming
from wallet_cli.web.app import Application
from wallet_cli.web.long_reads import CHUNK_CHARS, in_chunks
from wallet_cli.web.messages import Reply, Stream
from wallet_cli.web.operations import File, Operation
from wallet_cli.web.protocol import bounded_protocol
from wallet_cli.web.routes.call import Call
from wallet_cli.web.server_state import ServerState

TIMEOUT_S = 30


class _Server(uvicorn.Server):
    """One that says when it listens."""

    def __init__(self, config: uvicorn.Config, server: ServerState) -> None:
        super().__init__(config)
        self._server = server
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._server.start()
        await super().startup(sockets=sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets=sockets)
        await self._server.stop()


@contextmanager
def serving(db: Path, monkeypatch: pytest.MonkeyPatch, work: Any, *given: Any) -> Iterator[httpx.Client]:
    """A server in this process, whose GET /file streams a work's chunks, and whose GET /note answers at once."""

    async def file(_site: ServerState, _call: Call) -> Stream:
        disposition = (b"content-disposition", b'attachment; filename="all.csv"')
        return Stream(200, b"text/csv; charset=utf-8", work, given, (disposition,))

    async def note(_site: ServerState, _call: Call) -> Reply:
        return Reply(200, "note", None)

    operations = (
        *app_module.OPERATIONS,
        Operation("GET", "/file", file, "Stream", File(("text/csv",))),
        Operation("GET", "/note", note, "Answer at once", fields.Verification),
    )
    monkeypatch.setattr(app_module, "OPERATIONS", operations)
    chosen = settings.load({"db": str(db)})
    server = ServerState(chosen, open_tokens(chosen)[0], auth=False, access_log=False)
    config = uvicorn.Config(
        Application(server),
        http=bounded_protocol(100, server.slices),
        ws="none",
        lifespan="off",
        log_config=None,
        server_header=False,
    )
    running = _Server(config, server)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}{API}"
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert running.ready.wait(TIMEOUT_S)
            with httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False) as client:
                yield client
        finally:
            running.should_exit = True
            thread.join(TIMEOUT_S)
    assert not thread.is_alive()


def under_way(client: httpx.Client) -> float:
    """How many long reads the server says are under way."""
    page = httpx.get(str(client.base_url).removesuffix(API + "/") + "/metrics", timeout=TIMEOUT_S, trust_env=False).text
    (line,) = [line for line in page.splitlines() if line.startswith("wallet_long_reads ")]
    return float(line.split()[1])


def connected(client: httpx.Client) -> socket.socket:
    """A bare connection to the same server."""
    return socket.create_connection((client.base_url.host, client.base_url.port or 0), TIMEOUT_S)


def await_end(client: httpx.Client) -> None:
    """Wait until no long read is under way."""
    wait_for(lambda: under_way(client) == 0)


def test_a_file_comes_whole_and_in_chunks(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = (b"id,amount\n", b"", b"1-1,5.00\n" * 10_000)
    with serving(db, monkeypatch, works.parts, *parts) as client:
        answer = client.get("/file", headers={"X-Request-ID": "abc"})
        assert (answer.status_code, answer.content) == (200, b"".join(parts))
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="all.csv"'
        assert answer.headers["X-Request-ID"] == "abc"
        assert answer.headers["Cache-Control"] == "no-store"
        await_end(client)
        assert client.get("/note").status_code == 200  # the connection can be used again


HTTP_10 = b"GET %s/file HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n" % API.encode()


def test_in_http_1_0_it_ends_with_the_connection(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = (b"id,amount\n", b"", b"1-1,5.00\n" * 10_000)
    with (
        serving(db, monkeypatch, works.parts, *parts) as client,
        connected(client) as sock,
        sock.makefile("rb") as file,
    ):
        sock.sendall(HTTP_10)
        head, _, body = file.read().partition(b"\r\n\r\n")
        assert body == b"".join(parts)
        assert b"\r\nconnection: close" in head
        assert b"transfer-encoding" not in head


def test_in_http_1_0_a_part_is_not_taken_for_the_whole(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = StorageError("the disk is gone")
    with serving(db, monkeypatch, works.parts, b"a", error) as client, connected(client) as sock:
        sock.sendall(HTTP_10)
        with pytest.raises(ConnectionResetError), sock.makefile("rb") as file:
            file.read()
        sock.close()
        await_end(client)


def test_it_reads_the_ledger(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_ledger(settings.load({"db": str(db)}), lambda _: None) as ledger:
        for number in range(3):
            ledger.run(users.register(ledger, f"988697754{number}"), "register")
    with serving(db, monkeypatch, works.phones) as client:
        assert client.get("/file").text == "+919886977540\n+919886977541\n+919886977542\n"


def test_it_only_reads(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(db, monkeypatch, works.writes) as client:
        answer = client.get("/file")
        assert (answer.status_code, answer.json()["code"]) == (503, "storage_error")
        assert client.get("/users").json()["data"]["users"] == []


def test_an_empty_file(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(db, monkeypatch, works.parts) as client:
        answer = client.get("/file")
        assert (answer.status_code, answer.content) == (200, b"")


def test_head_is_answered_without_the_rest(db: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with serving(db, monkeypatch, works.endless, tmp_path) as client:
        answer = client.head("/file")
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        await_end(client)
        assert client.get("/note").status_code == 200


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(TransactionNotFound("there is no transaction 1-9"), 404, "transaction_not_found"), (ValueError(), 500, None)],
)
def test_what_is_wrong_before_the_first_chunk_is_answered(
    db: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, code: str | None
) -> None:
    with serving(db, monkeypatch, works.parts, error) as client:
        answer = client.get("/file")
        assert (answer.status_code, answer.json()["code"]) == (status, code or "internal_error")
        await_end(client)


def test_a_part_is_not_taken_for_the_whole(
    db: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What goes wrong later ends the connection before the answer's end; the log says why."""
    with serving(db, monkeypatch, works.parts, b"a", StorageError("the disk is gone")) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/file")
        await_end(client)
        assert client.get("/note").status_code == 200
    log.finish()
    events = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    (cut,) = [each for each in events if each["event"] == "cut_short"]
    assert (cut["route"], cut["error"]) == ("/file", "StorageError")
    assert "the disk is gone" not in json.dumps(cut)


def test_a_process_that_is_killed_is_no_end_of_a_file(
    db: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with serving(db, monkeypatch, works.first_and_last, tmp_path) as client:
        with client.stream("GET", "/file") as answer:
            received = answer.iter_raw()
            assert next(received) == b"first"
            os.kill(*[int(each.name.removeprefix("begun-")) for each in tmp_path.glob("begun-*")], signal.SIGKILL)
            with pytest.raises(httpx.RemoteProtocolError):
                list(received)
        assert client.get("/note").status_code == 200


def test_who_leaves_is_noticed(db: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file without end is let go of when its only reader is gone."""
    with serving(db, monkeypatch, works.endless, tmp_path) as client:
        with client.stream("GET", "/file") as answer:
            assert next(answer.iter_raw())
        await_end(client)
        wait_for(lambda: not living(tmp_path))


def test_others_are_served_while_a_chunk_is_made(db: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with serving(db, monkeypatch, works.first_and_last, tmp_path) as client:
        answers: list[httpx.Response] = []
        thread = threading.Thread(target=lambda: answers.append(client.get("/file")))
        thread.start()
        wait_for(lambda: bool(living(tmp_path)))
        assert client.get("/note").status_code == 200
        (tmp_path / "go").touch()
        thread.join(TIMEOUT_S)
        assert [answer.content for answer in answers] == [b"firstlast"]


def test_there_are_only_so_many_at_once(db: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(streaming, "STREAMS", readers.STREAMS._replace(at_once=1))
    with serving(db, monkeypatch, works.first_and_last, tmp_path) as client:
        with client.stream("GET", "/file") as first:
            received = first.iter_raw()
            assert next(received) == b"first"
            refused = client.get("/file")
            assert (refused.status_code, refused.json()["code"]) == (503, "busy")
            assert refused.headers["Retry-After"] == "1"
            (tmp_path / "go").touch()
            assert list(received) == [b"last"]
        assert client.get("/file").content == b"firstlast"


@pytest.mark.parametrize("sizes", [[], [0], [1], [CHUNK_CHARS - 1, 1], [CHUNK_CHARS, 1], [1] * (2 * CHUNK_CHARS + 5)])
def test_parts_of_text_are_sent_in_chunks_that_are_worth_it(sizes: list[int]) -> None:
    parts = ["é" * size for size in sizes]
    chunks = [chunk.decode() for chunk in in_chunks(iter(parts))]
    assert "".join(chunks) == "".join(parts)
    assert all(len(chunk) >= CHUNK_CHARS for chunk in chunks[:-1])
    assert len(chunks) == sum(sizes) // CHUNK_CHARS + 1
