"""What a server may send that is meant to harm whoever asks it: each ends in one error, in little memory and time."""

from __future__ import annotations

import contextlib
import gzip
import json
import resource
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from support.cli import Outcome, run

from wallet_cli.errors import StorageError
from wallet_cli.import_export.imports.reading import Line
from wallet_cli.remote import http, open_remote
from wallet_cli.remote.client import Client
from wallet_cli.remote.imports import RemoteLook
from wallet_cli.settings import load

pytestmark = pytest.mark.on_file("what a stranger answers does not ask where a ledger is kept")

USERS = b'{"message": "users", "data": {"users": [], "next_cursor": null}}'
TOKEN = "wk_a-token-that-nobody-has-0123456789abcdefgh"
MEBIBYTE = 1024 * 1024


def answer(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", "Connection: close", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


@contextlib.contextmanager
def stranger(*parts: bytes, pause_s: float = 0.0) -> Iterator[str]:
    """The address of somebody who answers every request with these bytes, with a pause after each part."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), caller:
                caller.recv(65_536)
                for part in parts:
                    caller.sendall(part)
                    if pause_s and over.wait(pause_s):
                        return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def asked(url: str, monkeypatch: pytest.MonkeyPatch, line: str = "users") -> Outcome:
    monkeypatch.setenv("WALLET_DB", url)
    monkeypatch.setenv("WALLET_TOKEN", TOKEN)
    monkeypatch.setenv("WALLET_LOCK_TIMEOUT", "0.1")
    return run(line.split())


@cache
def bomb() -> bytes:
    """128 MiB of spaces, packed into 128 KiB; made by the first test that sends it."""
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = b" " * MEBIBYTE
    return b"".join([pack.compress(piece) for _ in range(128)]) + pack.flush()


@cache
def layered() -> bytes:
    return gzip.compress(bomb())


@pytest.mark.parametrize("line", ["users", "export", "statement 1", "tx add 1 1 --debit --key k"])
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (bomb, ["Content-Encoding: gzip"]),
        (layered, ["Content-Encoding: gzip, gzip"]),
        (layered, ["Content-Encoding: gzip", "Content-Encoding: gzip"]),
        (layered, ["Content-Encoding: gzip"]),
        (lambda: zlib.compress(USERS), ["Content-Encoding: deflate"]),
        (lambda: USERS, ["Content-Encoding: br"]),
        (lambda: USERS, ["Content-Encoding: zstd"]),
        (lambda: USERS, ["Content-Encoding: identity, gzip"]),
        (lambda: USERS, ["Content-Encoding: gzip"]),
        (lambda: gzip.compress(USERS)[:-6], ["Content-Encoding: gzip"]),
        (lambda: gzip.compress(USERS) + gzip.compress(b" "), ["Content-Encoding: gzip"]),
        (lambda: gzip.compress(USERS) + b"more", ["Content-Encoding: gzip"]),
    ],
    ids=["one layer", "two layers", "two headers", "hidden layer", "deflate", "br", "zstd", "list", "none", "cut",
         "two members", "more"],
)  # fmt: skip
def test_what_is_packed_is_never_unpacked_beyond_the_bound(
    line: str, body: Callable[[], bytes], headers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """128 MiB are behind 128 KiB, or behind less than 1 KiB of two layers."""
    packed = body()
    monkeypatch.setattr(http, "MAX_ANSWER_BYTES", MEBIBYTE)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started_s = time.monotonic()
    with stranger(answer(packed, *headers)) as url:
        done = asked(url, monkeypatch, line)
    assert (done.code, done.out) == (7, ""), done
    assert done.err.startswith("error: ")
    assert TOKEN not in done.err
    assert time.monotonic() - started_s < 20
    # In KiB; the bomb itself is in this process.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 48 * 1024


def test_one_layer_within_the_bound_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that packs although nobody asked it to."""
    for encoding in ("gzip", "x-gzip", "GZIP"):
        with stranger(answer(gzip.compress(USERS), f"Content-Encoding: {encoding}")) as url:
            assert asked(url, monkeypatch).code == 0
    with stranger(answer(USERS, "Content-Encoding: identity")) as url:
        assert asked(url, monkeypatch).code == 0


def test_pieces_are_whole_whatever_they_are_cut_into(monkeypatch: pytest.MonkeyPatch) -> None:
    text = bytes(range(256)) * 4096
    packed = gzip.compress(text)
    for size in (1, 7, len(packed)):
        chunks = (packed[at : at + size] for at in range(0, len(packed), size))
        pieces = list(http._unpacked(chunks))
        assert b"".join(pieces) == text
        assert max(map(len, pieces)) <= http.MAX_PIECE_BYTES


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip", "chunked, chunked", "identity"])
def test_codings_of_the_transfer_are_not_unpacked(coding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["HTTP/1.1 200 OK", "Connection: close", "Content-Type: application/json", f"Transfer-Encoding: {coding}"]
    head = "\r\n".join([*lines, "", ""])
    with stranger(head.encode() + layered()) as url:
        assert asked(url, monkeypatch).code == 7


def test_nobody_is_asked_to_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def once() -> None:
            caller, _ = listener.accept()
            with caller:
                heard.append(caller.recv(65_536))
                caller.sendall(answer(USERS))

        thread = threading.Thread(target=once)
        thread.start()
        assert asked(f"http://127.0.0.1:{listener.getsockname()[1]}", monkeypatch).code == 0
        thread.join()
    assert b"accept-encoding: identity\r\n" in heard[0].lower()


@pytest.mark.parametrize("line", ["users", "export", "tx add 1 1 --debit --key k"])
@pytest.mark.parametrize("where", ["head", "body", "failure"])
def test_an_answer_that_comes_a_byte_at_a_time_has_a_deadline(
    line: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each wait is short; it is the sum of them that is bounded."""
    monkeypatch.setattr(http, "ANSWER_MARGIN_S", 0.3)
    if (line, where) == ("export", "body"):
        pytest.skip("a file may take as long as it takes, while it comes")
    slow = [b"X", b": ", *[b"x"] * 1000]
    status = b"409 Conflict" if where == "failure" else b"200 OK"
    start = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n" % status
    head = start if where == "head" else start + b"Content-Length: 5000\r\n\r\n"
    started_s = time.monotonic()
    with stranger(head, *slow, pause_s=0.1) as url:
        done = asked(url, monkeypatch, line)
    assert (done.code, done.out) == (7, ""), done
    assert time.monotonic() - started_s < 15


def test_a_statement_whose_line_has_no_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from wallet_cli.remote import statements

    monkeypatch.setattr(statements, "MAX_HEAD_CHARS", 1000)
    endless = (b'"' if number == 0 else b"x" * 100 for number in range(10**9))
    with pytest.raises(StorageError, match="did not send a statement"):
        next(statements._lines(statements._Text(endless)))


EARLIER = {"wallet": "w1", "digest": "import:cafe", "content": "c5/x", "how_often": 1, "found": "1/9/c5/x"}
LOOKED_UP: dict[str, tuple[str, object, object]] = {
    "lines": ("find", [7, 1, "1/x"], [7, 1, "1/x"]),
    "lines, of a newer server": ("find", [7, 1, "1/x", {"of": "the future"}], [7, 1, "1/x"]),
    "lines, of an older one": ("find", [7, 1], None),
    "lines, as other kinds": ("find", [7, "1", "1/x"], None),
    "wallets": ("wallets", [1, "w1"], ["w1", "w1"]),
    "wallets, of a newer server": ("wallets", [1, "w1", 5], ["w1", "w1"]),
    "wallets, of an older one": ("wallets", [1], None),
    "earlier": ("earlier", EARLIER, [*EARLIER.values()]),
    "earlier, of a newer server": ("earlier", {"of": "the future"} | EARLIER, [*EARLIER.values()]),
    "earlier, of an older one": ("earlier", {name: EARLIER[name] for name in EARLIER if name != "found"}, None),
    "earlier, without names": ("earlier", [1, "import:cafe", "c5/x", 1, 2, "1/9/c5/x"], None),
}
"""What an import asks, what a server answers, and what that says; None if it is an answer of another version."""


@pytest.mark.parametrize("name", LOOKED_UP)
def test_what_is_looked_up_for_an_import_may_have_more_and_not_less(name: str) -> None:
    asks, sent, meant = LOOKED_UP[name]
    content = json.dumps({"message": "part done", "data": {"found": [sent]}}).encode()
    with stranger(answer(content)) as url, open_remote(load({"db": url, "token": TOKEN})) as ledger:
        assert isinstance(ledger, Client)
        look = RemoteLook(ledger)
        given = [Line(7, "transaction", {"wallet": "w1"}, "")] if asks == "find" else ["w1"]
        with contextlib.nullcontext() if meant else pytest.raises(StorageError, match=r"^the server at"):
            assert [list(each) for each in getattr(look, asks)(given, *[""] * (asks != "wallets"))] == [meant]


@pytest.mark.parametrize("number", [0, 2, -1, 10**20])
def test_a_wallet_that_was_not_asked_about_is_none_of_the_file(number: int) -> None:
    content = json.dumps({"message": "part done", "data": {"found": [[number, "w9"]]}}).encode()
    with stranger(answer(content)) as url, open_remote(load({"db": url, "token": TOKEN})) as ledger:
        assert isinstance(ledger, Client)
        assert list(RemoteLook(ledger).wallets(["w1"])) == []
