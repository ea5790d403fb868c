"""Answers that are sent a chunk at a time: whole or seen not to be, in a thread of their own, let go of at the end."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from support.server import API

from wallet_cli import settings
from wallet_cli.errors import StorageError, TransactionNotFound
from wallet_cli.services import users
from wallet_cli.services.context import open_ledger
from wallet_cli.services.tokens import open_tokens
from wallet_cli.web import app as app_module
from wallet_cli.web import site as site_module
from wallet_cli.web.app import Application, Operation
from wallet_cli.web.exchange import Reply, Stream
from wallet_cli.web.protocol import bounded_protocol
from wallet_cli.web.routes.call import Call
from wallet_cli.web.site import Site
from wallet_cli.web.streaming import CHUNK_CHARS, in_chunks, send_stream

TIMEOUT_S = 30

Chunks = Callable[[Site], Iterator[bytes]]


class _Server(uvicorn.Server):
    """One that says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.ready.set()


@contextmanager
def serving(db: Path, monkeypatch: pytest.MonkeyPatch, chunks: Chunks) -> Iterator[httpx.Client]:
    """A server in this process, whose GET /file streams `chunks`, and whose GET /note answers at once."""

    async def file(site: Site, call: Call) -> Stream:
        disposition = (b"content-disposition", b'attachment; filename="all.csv"')
        return Stream(200, b"text/csv; charset=utf-8", chunks(site), (disposition,))

    async def note(_site: Site, _call: Call) -> Reply:
        return Reply(200, "note", None)

    operations = (*app_module.OPERATIONS, Operation("GET", "/file", file), Operation("GET", "/note", note))
    monkeypatch.setattr(app_module, "OPERATIONS", operations)
    chosen = settings.load({"db": str(db)})
    site = Site(chosen, open_tokens(chosen)[0], auth=False, access_log=False)
    config = uvicorn.Config(
        Application(site), http=bounded_protocol(100), ws="none", lifespan="on", log_config=None, server_header=False
    )
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}{API}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert server.ready.wait(TIMEOUT_S)
            with httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(TIMEOUT_S)
    assert not thread.is_alive()


class Source:
    """Chunks that know where they were made, and whether they were let go of."""

    def __init__(self, *parts: bytes | Exception) -> None:
        self.parts = parts
        self.threads: list[int] = []
        self.closed = threading.Event()

    def __call__(self, _site: Site) -> Iterator[bytes]:
        try:
            for part in self.parts:
                self.threads.append(threading.get_ident())
                if isinstance(part, Exception):
                    raise part
                yield part
        finally:
            self.threads.append(threading.get_ident())
            self.closed.set()


def test_a_file_comes_whole_and_in_chunks(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(b"id,amount\n", b"", b"1-1,5.00\n" * 10_000)
    with serving(db, monkeypatch, source) as client:
        answer = client.get("/file", headers={"X-Request-ID": "abc"})
        assert (answer.status_code, answer.content) == (200, b"".join(map(bytes, source.parts)))  # type: ignore[arg-type]
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="all.csv"'
        assert answer.headers["X-Request-ID"] == "abc"
        assert answer.headers["Cache-Control"] == "no-store"
        assert source.closed.wait(TIMEOUT_S)
        assert client.get("/note").status_code == 200  # the connection can be used again
    assert len(set(source.threads)) == 1


def test_it_reads_the_ledger_through_a_connection_of_its_own(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_ledger(settings.load({"db": str(db)}), lambda _: None) as ledger:
        for number in range(3):
            users.register(ledger, f"988697754{number}")

    def chunks(site: Site) -> Iterator[bytes]:
        with site.reading() as ledger, ledger.store.snapshot():
            for user in ledger.store.users():
                yield f"{user.phone_e164}\n".encode()
            with pytest.raises(StorageError):
                users.register(ledger, "9886977549")

    with serving(db, monkeypatch, chunks) as client:
        assert client.get("/file").text == "+919886977540\n+919886977541\n+919886977542\n"


def test_an_empty_file(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(db, monkeypatch, Source()) as client:
        answer = client.get("/file")
        assert (answer.status_code, answer.content) == (200, b"")


def test_head_is_answered_without_the_rest(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(b"a", b"b")
    with serving(db, monkeypatch, source) as client:
        answer = client.head("/file")
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert source.closed.wait(TIMEOUT_S)
        assert client.get("/note").status_code == 200
    assert len(source.threads) == 2  # the first chunk, and the end


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(TransactionNotFound("there is no transaction 1-9"), 404, "transaction_not_found"), (ValueError(), 500, None)],
)
def test_what_is_wrong_before_the_first_chunk_is_answered(
    db: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, code: str | None
) -> None:
    source = Source(error)
    with serving(db, monkeypatch, source) as client:
        answer = client.get("/file")
        assert (answer.status_code, answer.json()["code"]) == (status, code or "internal_error")
        assert source.closed.wait(TIMEOUT_S)


def test_a_part_is_not_taken_for_the_whole(
    db: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What goes wrong later ends the connection before the answer's end; the log says why."""
    source = Source(b"a", StorageError("the disk is gone"))
    with serving(db, monkeypatch, source) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/file")
        assert source.closed.wait(TIMEOUT_S)
        assert client.get("/note").status_code == 200
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    (cut,) = [each for each in events if each["event"] == "cut_short"]
    assert (cut["route"], cut["error"]) == ("/file", "StorageError")
    assert "the disk is gone" not in json.dumps(cut)


def test_who_leaves_is_noticed(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without end is let go of when its only reader is gone."""
    closed = threading.Event()

    def endless(_site: Site) -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 1000
        finally:
            closed.set()

    with serving(db, monkeypatch, endless) as client:
        with client.stream("GET", "/file") as answer:
            assert next(answer.iter_raw())
        assert closed.wait(TIMEOUT_S)


def test_others_are_served_while_a_chunk_is_made(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def waits(_site: Site) -> Iterator[bytes]:
        asked.set()
        assert go_on.wait(TIMEOUT_S)
        yield b"done"

    with serving(db, monkeypatch, waits) as client:
        with client.stream("GET", "/note") as other:
            assert other.status_code == 200
        answers: list[httpx.Response] = []
        thread = threading.Thread(target=lambda: answers.append(client.get("/file")))
        thread.start()
        assert asked.wait(TIMEOUT_S)
        assert client.get("/note").status_code == 200
        go_on.set()
        thread.join(TIMEOUT_S)
        assert [answer.content for answer in answers] == [b"done"]


def test_there_are_only_so_many_at_once(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_module, "MAX_STREAMS", 1)
    go_on = threading.Event()

    def waits(_site: Site) -> Iterator[bytes]:
        yield b"first"
        assert go_on.wait(TIMEOUT_S)
        yield b"last"

    with serving(db, monkeypatch, waits) as client:
        with client.stream("GET", "/file") as first:
            received = first.iter_raw()
            assert next(received) == b"first"
            refused = client.get("/file")
            assert (refused.status_code, refused.json()["code"]) == (503, "busy")
            assert refused.headers["Retry-After"] == "1"
            go_on.set()
            assert list(received) == [b"last"]
        assert client.get("/file").content == b"firstlast"


@pytest.mark.parametrize("sizes", [[], [0], [1], [CHUNK_CHARS - 1, 1], [CHUNK_CHARS, 1], [1] * (2 * CHUNK_CHARS + 5)])
def test_parts_of_text_are_sent_in_chunks_that_are_worth_it(sizes: list[int]) -> None:
    parts = ["é" * size for size in sizes]
    chunks = [chunk.decode() for chunk in in_chunks(iter(parts))]
    assert "".join(chunks) == "".join(parts)
    assert all(len(chunk) >= CHUNK_CHARS for chunk in chunks[:-1])
    assert len(chunks) == sum(sizes) // CHUNK_CHARS + 1


def test_who_is_not_read_to_the_end_is_let_go_of() -> None:
    closed = threading.Event()

    def parts() -> Iterator[str]:
        try:
            while True:
                yield "x" * CHUNK_CHARS
        finally:
            closed.set()

    chunks = in_chunks(parts())
    assert next(chunks)
    assert not closed.is_set()
    chunks.close()  # type: ignore[attr-defined]
    assert closed.is_set()


def test_the_next_chunk_is_not_made_before_there_is_room_for_it() -> None:
    """A reader who takes nothing costs one chunk, not a whole ledger in memory."""
    made: list[int] = []

    def numbers() -> Iterator[bytes]:
        for number in range(1000):
            made.append(number)
            yield b"%d " % number

    async def run() -> None:
        full, left = asyncio.Event(), asyncio.Event()

        async def receive() -> dict[str, Any]:
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message.get("body") == b"4 ":
                full.set()
                await left.wait()

        stream = Stream(200, b"text/plain", numbers())
        sending = asyncio.create_task(send_stream(receive, send, stream, "id", head=False, close=False))
        await full.wait()
        assert made == [0, 1, 2, 3, 4]
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

    asyncio.run(run())
    assert made == [0, 1, 2, 3, 4]
