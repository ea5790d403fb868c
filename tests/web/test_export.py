"""Exports over HTTP: the same bytes as `wallet export` writes, as they are read, and nobody waits for a slow reader."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import apsw
import httpx
import pytest
from support.engines import Engine
from support.server import Server
from support.waiting import wait_for
from web.calls import Owned, call, failure, ids, made, new_user, new_wallet, post, transfer

TYPES = {
    "jsonl": ("application/x-ndjson", "jsonl"),
    "csv": ("text/csv; charset=utf-8", "csv"),
    "hledger": ("text/plain; charset=utf-8", "journal"),
    "beancount": ("text/plain; charset=utf-8", "beancount"),
}
CSV = {"Content-Type": "text/csv"}
NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def books(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose ledger has something of everything, and does not change."""
    with Server(tmp_path_factory.mktemp("books"), "--no-auth") as server:
        api = server.api()
        first, second = new_wallet(api), new_wallet(api)
        made(post(api, first, "100.00", note='café, "x"; y', key="k1", meta={"order": 2**70}))
        made(transfer(api, first, second, "10.00"))
        made(call(api, "/holds/capture", hold=made(call(api, "/holds/create", **ids(first), amount=3))["id"]))
        made(call(api, "/holds/create", **ids(second), amount="0.50"))
        made(call(api, "/transactions/reverse", transaction=f"{first[1]}-1", amount="1.00"))
        made(call(api, "/wallet/limits", **ids(second), daily_debit="50.00"), 200)
        made(call(api, "/wallet/freeze", **ids(second)), 200)
        yield server


@pytest.mark.parametrize("form", TYPES)
def test_it_is_what_the_command_writes(books: Server, form: str) -> None:
    for path, wallet, name in (("/export", "", "ledger"), ("/export/1/1", "1/main", "wallet-1")):
        answer = books.api().get(path, params={"format": form})
        done = books.wallet(f"export {wallet} --format {form}")
        assert (answer.status_code, done.code) == (200, 0)
        assert answer.content == done.out.encode()
        kind, ending = TYPES[form]
        assert answer.headers["content-type"] == kind
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}.{ending}"'
        assert answer.headers["transfer-encoding"] == "chunked"


def test_with_no_format_it_is_what_can_be_read_back(books: Server, tmp_path: Path) -> None:
    """Sent to an empty server, it makes the same ledger: exported again, the same bytes."""
    exported = books.api().get("/export").content
    with Server(tmp_path, "--no-auth") as other:
        data = made(other.api().post("/import", content=exported, headers=NDJSON), 200)
        assert (data["refused"], data["users_created"], data["wallets_created"]) == (0, 2, 2)
        assert other.api().get("/export").content == exported
        again = made(other.api().post("/import", content=exported, headers=NDJSON), 200)
        assert (again["applied"], again["replayed"], again["refused"]) == (0, data["applied"], 0)


def test_of_an_empty_ledger(tmp_path: Path) -> None:
    with Server(tmp_path, "--no-auth") as server:
        lines = server.api().get("/export").text.splitlines()
        assert [json.loads(line)["record"] for line in lines] == ["ledger", "end"]
        assert server.api().get("/export?format=csv").text.count("\n") == 1


def test_a_year_that_beancount_lacks_is_a_failure_and_no_file(api: httpx.Client, owned: Owned) -> None:
    made(post(api, owned, "1.00", at="1650-01-01"))
    for path in ("/export", f"/export/{owned[0]}/{owned[1]}"):
        answer = api.get(path, params={"format": "beancount"})
        assert answer.headers["content-type"] == "application/json"
        failure(answer, 400, "invalid_input")
        assert api.get(path, params={"format": "hledger"}).status_code == 200


def test_of_a_wallet_that_is_not_there(api: httpx.Client, owned: Owned) -> None:
    other = new_user(api)
    for path in (f"/export/{owned[0]}/999999", f"/export/999999/{owned[1]}", f"/export/{other}/{owned[1]}"):
        failure(api.get(path), 404, "wallet_not_found")
        assert api.head(path).status_code == 404


# --- slow readers -----------------------------------------------------------------------------------------------------

LINES = 9_000
NOTE = "n" * 800
"""So many, and so long, that no buffer between server and client holds them."""


def asked(server: Server, stack: ExitStack, path: str) -> socket.socket:
    """A connection with little room that has asked for a file and has its first byte."""
    sock = stack.enter_context(socket.socket())
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(60)
    sock.connect(server.address)
    sock.sendall(f"GET /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    assert sock.recv(1)
    return sock


def rest_of(sock: socket.socket) -> bytes:
    """What is still to come, to the end of the connection."""
    received = bytearray()
    while part := sock.recv(65_536):
        received += part
    return bytes(received)


def unchunked(body: bytes) -> bytes:
    """A body in chunks; fails for one that is cut short."""
    whole = bytearray()
    while True:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return bytes(whole)
        whole += body[:length]
        assert body[length : length + 2] == b"\r\n"
        body = body[length + 2 :]


def test_nobody_waits_for_who_reads_slowly(tmp_path: Path) -> None:
    """While some have begun to read and stand still, others write, read and export; then those have theirs whole."""
    with Server(tmp_path, "--no-auth") as server, ExitStack() as stack:
        api = server.api()
        owned = new_wallet(api)
        rows = f"{owned[0]}/main,1.00,credit,{NOTE}\n" * LINES
        file = f"wallet,amount,kind,note\n{rows}"
        assert made(api.post("/import", content=file, headers=CSV), 200)["applied"] == LINES
        before = api.get("/export").content

        slow = [asked(server, stack, "/export") for _ in range(4)]
        for number in range(50):
            made(post(api, owned, "2.00"))
            seq = made(api.get(f"/wallet/get/{owned[0]}/main"), 200)["transactions"]
            assert seq == LINES + number + 1
        assert server.wallet(f"tx add {owned[0]}/main 1 --debit").code == 0
        after = api.get("/export").content
        assert after.count(b"\n") == before.count(b"\n") + 51
        assert len(api.get(f"/wallet/statement/{owned[0]}/{owned[1]}?format=csv").text.splitlines()) == LINES + 52

        with ThreadPoolExecutor(len(slow)) as pool:
            for answer in pool.map(rest_of, slow):
                head, _, body = answer.partition(b"\r\n\r\n")
                assert head.startswith(b"TTP/1.1 200 ")
                assert unchunked(body) == before


@pytest.mark.on_file("the log of a server's database is its own to see to")
def test_a_slow_reader_does_not_keep_the_log_from_being_taken_back(engine: Engine, tmp_path: Path) -> None:
    """Its answer is made to the end and kept for it; from then on no snapshot is open."""
    with Server(tmp_path, "--no-auth") as server, ExitStack() as stack:
        api = server.api()
        owned = new_wallet(api)
        rows = f"{owned[0]}/main,1.00,credit,{NOTE}\n" * LINES
        made(api.post("/import", content=f"wallet,amount,kind,note\n{rows}", headers=CSV), 200)
        paths = ["/export", f"/wallet/statement/{owned[0]}/{owned[1]}"]
        slow = [asked(server, stack, path) for path in (*paths, f"{paths[1]}?format=html")]
        for _ in range(20):
            made(post(api, owned, "2.00"))
        wait_for(lambda: is_taken_back(tmp_path / "wallet.db"))
        for answer in map(rest_of, slow):
            assert answer.endswith(b"0\r\n\r\n")  # and it is whole


def is_taken_back(db: Path) -> bool:
    """Whether all of the log could be taken back into the file: nobody reads an older state."""
    with closing(apsw.Connection(str(db))) as connection:
        (blocked, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not blocked and db.with_name(f"{db.name}-wal").stat().st_size == 0


def test_a_slow_reader_does_not_keep_a_server_from_stopping(engine: Engine, tmp_path: Path) -> None:
    with Server(tmp_path, "--no-auth") as server, ExitStack() as stack:
        api = server.api()
        owned = new_wallet(api)
        rows = f"{owned[0]}/main,1.00,credit,{NOTE}\n" * LINES
        made(api.post("/import", content=f"wallet,amount,kind,note\n{rows}", headers=CSV), 200)
        for _ in range(3):
            asked(server, stack, "/export")
        began_s = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began_s < 10
