"""The states of a connection, each with its deadline; one reading of what comes on it; and bounds over all of them.

The table in docs/serve.md lists the states. The server here is one in a hurry: its deadlines are short, each by another
amount, so that it shows which one has passed.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import server as support_server
from support.engines import Engine
from support.server import Server
from support.waiting import wait_for
from web.raw import Answer, exchange, read_answer

from wallet_cli.web import protocol

HURRIED = {
    "HEADER_DEADLINE_S": 0.6,
    "BODY_DEADLINE_S": 0.9,
    "KEEP_ALIVE_S": 1.2,
    "WRITE_DEADLINE_S": 1.5,
    "HANG_UP_DEADLINE_S": 0.6,
}
MOST = 20
LARGE_BYTES = 4 * 1024 * 1024
IN_A_HURRY = f"""
import sys
from wallet_cli.__main__ import start
from wallet_cli.web import long_work, protocol

vars(protocol).update({HURRIED} | {{"BODY_DEADLINE_S": float(sys.argv.pop(1))}})
protocol.MAX_LARGE_BODIES_BYTES = {LARGE_BYTES}
protocol.BUFFER_BYTES, protocol.PART_BYTES = 5000, 100  # whatever comes in is read in many parts
long_work.SLICE_S = 0.0
start()
"""
SLOWEST_S = 20.0
"""Longer than any deadline here, on the slowest machine."""

GET = b"GET /api/v1/wallet/get/1/main HTTP/1.1\r\nHost: 127.0.0.1\r\n"
WELL = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
CREATE = b"POST /api/v1/transactions/create HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
BATCH = CREATE.replace(b"create", b"batch")
CREDIT = json.dumps({"user_id": 1, "wallet_id": 1, "amount": "1.00", "is_credit": True}).encode()


@pytest.fixture(scope="module")
def server(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with hurried(tmp_path_factory.mktemp("hurry"), BODY) as running:
        yield running


@pytest.fixture(scope="module")
def patient(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same, but a body may take as long as a slow machine needs for a large one."""
    with hurried(tmp_path_factory.mktemp("patient"), SLOWEST_S) as running:
        yield running


@contextlib.contextmanager
def hurried(folder: Path, body_deadline_s: float) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(support_server, "PROGRAM", [sys.executable, "-X", "utf8", "-c", IN_A_HURRY, str(body_deadline_s)])
        with Server(folder, "--no-auth", "--max-connections", str(MOST)) as running:
            api = running.api()
            for number, phone in enumerate(("9886977544", "9886977545"), 1):
                assert api.post("/users", json={"phone_number": phone}).status_code == 201
                assert api.post("/wallet/create", json={"user_id": number, "type": "main"}).status_code == 201
            yield running


def count(server: Server) -> int:
    """How many transactions wallet 1 has."""
    answer = exchange(server.address, GET + b"Connection: close\r\n\r\n")
    assert answer is not None
    return int(answer.json["data"]["transactions"])


def ended(sock: socket.socket) -> bytes:
    """What comes until the server closes; fails where it does not."""
    sock.settimeout(SLOWEST_S)
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while more := sock.recv(65_536):
            received += more
    return received


def with_length(head: bytes, body: bytes, *, length: int | None = None) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % (len(body) if length is None else length) + body


# --- each state has a deadline ----------------------------------------------------------------------------------------

pytestmark = pytest.mark.on_file("what a connection does before a ledger is asked")


def closed_after(server: Server, sent: bytes, seconds: float, trickle: bytes = b"", answers: int = 0) -> bytes:
    """Send something, and then, if given, a little again and again: closed when `seconds` have passed, no sooner."""
    with server.connection() as sock:
        sock.sendall(sent)
        for _ in range(answers):
            answer = read_answer(sock)
            assert answer is not None
            assert answer.status == 200
        begun = time.monotonic()
        done = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not done.wait(0.1):
                    sock.sendall(trickle)

        dripping = threading.Thread(target=drip)
        if trickle:
            dripping.start()
        try:
            received = ended(sock)
        finally:
            done.set()
            if trickle:
                dripping.join()
        assert seconds - 0.2 < time.monotonic() - begun < SLOWEST_S
        return received


HEADER, BODY, IDLE = HURRIED["HEADER_DEADLINE_S"], HURRIED["BODY_DEADLINE_S"], HURRIED["KEEP_ALIVE_S"]
SILENT = {
    "connected, and nothing sent": (b"", HEADER, b"", 0),
    "connected, and line ends alone": (b"\r\n", HEADER, b"\r\n", 0),
    "half a request line": (b"GET /api", HEADER, b"", 0),
    "a request line, a letter at a time": (b"GET /", HEADER, b"a", 0),
    "half the headers": (GET, HEADER, b"", 0),
    "a header, a letter at a time": (GET + b"X-A: ", HEADER, b"a", 0),
    "headers, one at a time": (GET, HEADER, b"X-A: b\r\n", 0),
    "an answer, and nothing more": (WELL + b"\r\n", IDLE, b"", 1),
    "an answer, and one line end": (WELL + b"\r\n\r\n", IDLE, b"", 1),
    "an answer, and line ends one at a time": (WELL + b"\r\n", IDLE, b"\r\n", 1),
    "an answer, and half the next request": (WELL + b"\r\n" + GET, HEADER, b"", 1),
    "an answer, and the next request a letter at a time": (WELL + b"\r\nGET /", HEADER, b"a", 1),
    "an answer, and its request's body never comes": (with_length(WELL, b"", length=50), BODY, b"", 1),
    "an answer, and its request's body a letter at a time": (with_length(WELL, b"", length=500), BODY, b"a", 1),
}


@pytest.mark.parametrize("state", SILENT)
def test_a_state_ends_at_its_deadline(server: Server, state: str) -> None:
    """Closed without another word, however little by little something comes."""
    sent, seconds, trickle, answers = SILENT[state]
    assert closed_after(server, sent, seconds, trickle, answers) == b""


@pytest.mark.parametrize("trickle", [b"", b" "])
@pytest.mark.parametrize("framing", [b"Content-Length: 500\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n400\r\n"])
def test_a_body_that_does_not_come_is_told_so(server: Server, framing: bytes, trickle: bytes) -> None:
    received = closed_after(server, CREATE + framing, BODY, trickle)
    assert received.startswith(b"HTTP/1.1 408 ")
    assert b"request_timeout" in received
    assert b'"retryable":false' in received


def figure(server: Server, named: str) -> float:
    """A figure of /metrics, 0 where there is none yet."""
    answer = exchange(server.address, b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    assert answer is not None
    found = [line.rpartition(" ")[2] for line in answer.body.decode().splitlines() if line.startswith(f"{named} ")]
    return float(found[0]) if found else 0.0


def refusals(server: Server, code: str) -> float:
    return figure(server, f'wallet_refusals_total{{code="{code}"}}')


def test_what_is_refused_without_the_application_is_counted(server: Server) -> None:
    requests = 'wallet_requests_total{route="/transactions/create",status="%d"}'
    slow, wrong, late, left = (
        refusals(server, "request_timeout"),
        refusals(server, "invalid_input"),
        figure(server, requests % 408),
        figure(server, requests % 499),
    )
    closed_after(server, CREATE + b"Content-Length: 500\r\n\r\n", BODY)
    exchange(server.address, b"GET /healthz HTTP/1.1\r\n\r\n")  # without a host
    assert refusals(server, "request_timeout") == slow + 1
    assert refusals(server, "invalid_input") == wrong + 1
    wait_for(lambda: figure(server, requests % 408) == late + 1)
    assert figure(server, requests % 499) == left


def test_trailers_without_end_end(server: Server) -> None:
    head = CREATE + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-A: "
    assert closed_after(server, head, BODY, b"a").startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("last", [b"", b"Connection: close\r\n"])
def test_an_answer_that_nobody_reads_is_given_up(server: Server, last: bytes) -> None:
    """Whether more of it waits than is kept for a caller, or just the end of it before the connection is closed."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(server.address)
        request = b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        sock.settimeout(1.0)
        with contextlib.suppress(TimeoutError, ConnectionError):
            for _ in range(90):
                sock.sendall(request + b"\r\n")
            sock.sendall(request + last + b"\r\n")
        wait_until_gone(sock)


ALIVE = ("01", "04", "05")
"""Established; and closed by the one side alone."""


def wait_until_gone(sock: socket.socket, trickle: bytes = b"") -> None:
    """Until the server's end of a connection is no more, which the kernel's table of connections tells."""
    mine, theirs = f":{sock.getsockname()[1]:04X}", f":{sock.getpeername()[1]:04X}"
    until = time.monotonic() + SLOWEST_S
    while time.monotonic() < until:
        with contextlib.suppress(ConnectionError):
            sock.sendall(trickle)
        rows = [line.split()[1:4] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        if not [1 for local, remote, state in rows if (local[-5:], remote[-5:]) == (theirs, mine) and state in ALIVE]:
            return
        time.sleep(0.05)
    raise AssertionError("the connection is still there")


def test_who_sends_on_after_a_refusal_can_read_it(server: Server) -> None:
    """A closed port would answer with a reset, which takes the refusal with it."""
    with server.connection() as sock:
        sock.sendall(with_length(CREATE, b" " * 60_000, length=70_000))
        answer = read_answer(sock)
        assert answer is not None
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert sock.recv(1) == b""
        wait_until_gone(sock, b" ")


def test_the_table_in_the_docs_is_this(server: Server) -> None:
    """Every deadline of the protocol stands in the table, with its seconds."""
    text = (Path(__file__).parents[2] / "docs" / "serve.md").read_text()
    rows = [line for line in text.splitlines() if line.strip().startswith("|") and re.search(r"\d s\b", line)]
    said = {float(number) for row in rows for number in re.findall(r"\b([\d.]+) s\b", row)}
    assert {getattr(protocol, name) for name in HURRIED} <= said


# --- one reading ------------------------------------------------------------------------------------------------------

SWITCHES = {
    "websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    "anything": b"connection: keep-alive, UPGRADE\r\nUPGRADE: foo/2, bar\r\n",
    "Upgrade alone": b"Upgrade: h2c\r\n",
    "HTTP2-Settings alone": b"HTTP2-Settings: AAMAAABk\r\n",
}
SMUGGLED = with_length(CREATE, CREDIT)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nIdempotency-Key: trailer\r\n\r\n" % (len(CREDIT), CREDIT)


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("framing", [b"Content-Length: %d\r\n\r\n" % len(CREDIT) + CREDIT, CHUNKED])
@pytest.mark.parametrize("pieces", ["whole", "split after the head", "split in the head", "a byte at a time"])
def test_who_asks_for_another_protocol_is_answered_in_this(
    server: Server, name: str, framing: bytes, pieces: str
) -> None:
    """The request is done, with its body, whenever that comes; and what stands behind it is nobody's request."""
    before = count(server)
    request = CREATE + SWITCHES[name] + framing
    end = request.index(b"\r\n\r\n") + 4
    parts = {
        "whole": [request + SMUGGLED],
        "split after the head": [request[:end], request[end:], SMUGGLED],
        "split in the head": [request[: end - 30], request[end - 30 : end + 3], request[end + 3 :] + SMUGGLED],
        "a byte at a time": [*(request[i : i + 1] for i in range(len(request))), SMUGGLED],
    }[pieces]
    with server.connection() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionError):
            for part in parts:
                sock.sendall(part)
                time.sleep(0.03 if len(parts) < 5 else 0)
        received = ended(sock)
    assert received.startswith(b"HTTP/1.1 201 ")
    assert received.count(b"HTTP/1.1 ") == 1
    assert b"connection: close\r\n" in received
    assert b'"key":null' in received
    assert count(server) == before + 1


OTHER_PROTOCOLS = {
    **{name: WELL + fields for name, fields in SWITCHES.items()},
    "CONNECT to a path": WELL.replace(b"GET ", b"CONNECT "),
    "CONNECT to this host": b"CONNECT http://127.0.0.1/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n",
}
SMUGGLED_CHUNK = b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)


@pytest.mark.parametrize("head", OTHER_PROTOCOLS.values(), ids=OTHER_PROTOCOLS)
@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"Content-Length: %d" % len(SMUGGLED), SMUGGLED),
        (b"Transfer-Encoding: chunked", SMUGGLED_CHUNK),
        (b"Accept: */*", SMUGGLED),
    ],
    ids=["length", "chunks", "no body"],
)
def test_the_body_for_another_protocol_is_no_request(server: Server, head: bytes, framing: bytes, body: bytes) -> None:
    """As it is sent through a proxy, which takes the body for a body: here it is a request in itself."""
    before = count(server)
    with server.connection() as sock:
        sock.sendall(head + framing + b"\r\n\r\n")
        time.sleep(0.05)
        with contextlib.suppress(ConnectionError):
            sock.sendall(body)
        received = ended(sock)
    assert received.count(b"HTTP/1.1 ") == 1
    assert b"connection: close\r\n" in received
    assert count(server) == before


def test_a_client_of_http_1_0_is_told_no_100(server: Server) -> None:
    """It would take that for the answer."""
    head = CREATE.replace(b"HTTP/1.1", b"HTTP/1.0")
    head += b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(CREDIT)
    with server.connection() as sock:
        sock.sendall(head)
        time.sleep(0.05)
        sock.sendall(CREDIT)
        assert ended(sock).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize("ending", ["CONNECT", "PRI", "close", "1.0", "a fault"])
def test_nothing_is_read_behind_the_last_request(server: Server, ending: str) -> None:
    before = count(server)
    first = {
        "CONNECT": b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "PRI": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "close": WELL + b"Connection: close\r\n\r\n",
        "1.0": b"GET /healthz HTTP/1.0\r\n\r\n",
        "a fault": WELL + b"Host: elsewhere.example\r\n\r\n",
    }[ending]
    for parts in ([first + SMUGGLED], [first, SMUGGLED]):
        with server.connection() as sock:
            with contextlib.suppress(ConnectionError):
                for part in parts:
                    sock.sendall(part)
            assert ended(sock).count(b"HTTP/1.1 ") == 1
    assert count(server) == before


@pytest.mark.parametrize("field", [b"Idempotency-Key: t", b"Host: a", b"Upgrade: h2c", b"Authorization: Bearer a"])
def test_a_trailer_is_no_header(server: Server, field: bytes) -> None:
    """Neither of its request nor of the next one."""
    whole = CREATE + CHUNKED.replace(b"Idempotency-Key: trailer", field)
    with server.connection() as sock:
        for _ in range(2):
            sock.sendall(whole)
            answer = read_answer(sock)
            assert answer is not None
            assert answer.status == 201
            assert answer.json["data"]["key"] is None
        sock.sendall(SMUGGLED)
        answer = read_answer(sock)
        assert answer is not None
        assert answer.json["data"]["key"] is None


@pytest.mark.parametrize("field", [b"Content-Length: 3", b"Transfer-Encoding: chunked", b"Connection: close"])
def test_a_trailer_that_says_where_a_request_ends_ends_the_connection(server: Server, field: bytes) -> None:
    with server.connection() as sock:
        sock.sendall((CREATE + CHUNKED.replace(b"Idempotency-Key: trailer", field)) + SMUGGLED)
        begun = time.monotonic()
        received = ended(sock)
    assert received.count(b"HTTP/1.1 ") == 1
    assert b"connection: close\r\n" in received
    assert time.monotonic() - begun < HEADER


@pytest.mark.parametrize("fault", [b"rubbish\r\n\r\n", GET + b"Host: a\r\n\r\n", with_length(CREATE, b"", length=9)])
def test_a_refusal_waits_for_the_answers_before_it(server: Server, fault: bytes) -> None:
    """Told at once, it would be taken for the answer to the request before."""
    with server.connection() as sock:
        sock.sendall(SMUGGLED * 3 + fault)
        answers = [int(status) for status in re.findall(rb"HTTP/1.1 (\d+) ", ended(sock))]
    assert answers == [201, 201, 201, 408 if fault.startswith(b"POST") else 400]


def test_pipelined_requests_are_answered_in_order_up_to_a_bound(server: Server) -> None:
    paths = [b"/api/v1/wallet/get/%d" % (1 + number % 2) for number in range(400)]
    with server.connection() as sock:
        sock.sendall(b"".join(b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % path for path in paths))
        raw = ended(sock)
    owners = [int(number) for number in re.findall(rb'"user_id":(\d+)', raw)]
    assert owners == [1 + number % 2 for number in range(len(owners))]
    assert len(owners) in range(protocol.MAX_PIPELINED, 401)


@pytest.mark.parametrize(("size", "status"), [(protocol.MAX_URL_BYTES, 404), (protocol.MAX_URL_BYTES + 1, 400)])
def test_a_url_may_have_so_many_bytes(server: Server, size: int, status: int) -> None:
    """To read one of 30 KB with escapes took the loop 2 to 5 ms."""
    with server.connection() as sock:
        sock.sendall(b"GET /" + b"a" * (size - 1) + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = read_answer(sock)
        assert answer is not None
        assert answer.status == status


@pytest.mark.parametrize(("more", "status"), [(99, 200), (100, 400)])
def test_a_request_may_have_so_many_headers(server: Server, more: int, status: int) -> None:
    """Each is looked at several times: 6,000 took the loop 2 ms."""
    with server.connection() as sock:
        for _ in range(2):  # each request anew
            sock.sendall(WELL + b"X-A:\r\n" * more + b"\r\n")
            answer = read_answer(sock)
            assert answer is not None
            assert answer.status == status
            if status == 400:
                assert "more than 100 headers" in answer.json["message"]
                break


# --- bounds over all connections --------------------------------------------------------------------------------------


def test_the_longest_idle_connection_makes_room(server: Server) -> None:
    """However many say nothing, or half of something, there is room for who asks."""
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(server.connection()) for _ in range(MOST + 10)]
        for number, sock in enumerate(socks):
            with contextlib.suppress(ConnectionError):
                sock.sendall((b"", b"\r\n", b"GET /", WELL + b"\r\n")[number % 4])
        for _ in range(5):
            answer = exchange(server.address, WELL + b"Connection: close\r\n\r\n")
            assert answer is not None
            assert answer.status == 200
        assert socks[0].recv(1) == b""


def test_where_none_is_idle_the_new_one_is_told_so(server: Server) -> None:
    before = refusals(server, "busy")
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(server.connection()) for _ in range(MOST)]
        for sock in busy:
            sock.sendall(with_length(CREATE, CREDIT[:-1], length=len(CREDIT)))
        until = time.monotonic() + BODY / 2
        told: Answer | None = None
        while told is None and time.monotonic() < until:
            with server.connection() as sock, contextlib.suppress(ConnectionError):
                told = read_answer(sock)
        assert told is not None
        assert (told.status, told.json["code"], told.headers["retry-after"]) == (503, "busy", "1")
        for sock in busy:
            sock.sendall(CREDIT[-1:])
        statuses = [answer.status for answer in map(read_answer, busy) if answer is not None]
        assert statuses == [201] * MOST
    assert refusals(server, "busy") > before


def test_half_sent_bodies_take_so_much_memory_and_no_more(patient: Server) -> None:
    """Over the bound, the one that has been coming longest is refused; a small one gets in, and one that is quick."""
    size = 1024 * 1024
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(patient.connection()) for _ in range(8)]
        for sock in slow:
            sock.sendall(with_length(BATCH, b" " * size, length=size + 1))
        refused = [read_answer(sock) for sock in slow[:2]]
        for answer in refused:
            assert answer is not None
            assert (answer.status, answer.json["code"], answer.headers["retry-after"]) == (503, "busy", "1")
        begun = time.monotonic()
        small = exchange(patient.address, with_length(CREATE + b"Connection: close\r\n", CREDIT))
        assert small is not None
        assert small.status == 201
        large = b'{"transactions": [' + CREDIT + b"]" + b" " * 50_000 + b"}"
        quick = exchange(patient.address, with_length(BATCH + b"Connection: close\r\n", large))
        assert quick is not None
        assert quick.status == 200
        assert time.monotonic() - begun < SLOWEST_S


def test_what_was_answered_takes_no_memory_of_those_behind_it(server: Server) -> None:
    """On one connection, each request is sent before the one before it is answered."""
    request = with_length(BATCH, b'{"transactions": [' + CREDIT + b"]" + b" " * 60_000 + b"}")
    number, ahead = 3 * LARGE_BYTES // 2 // len(request), 10
    statuses: list[bytes] = []
    with server.connection() as sock:
        sock.sendall(request * ahead)
        received, sent = b"", ahead
        while len(statuses) < number and (more := sock.recv(65_536)):
            received += more
            statuses = re.findall(rb"HTTP/1.1 (\d+)", received)
            while sent < min(number, len(statuses) + ahead):
                sock.sendall(request)
                sent += 1
    assert statuses == [b"200"] * number


# --- through a proxy --------------------------------------------------------------------------------------------------

NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 100; }}
http {{
    access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    upstream wallet {{ server {host}:{port}; keepalive 1; }}
    server {{
        listen 127.0.0.1:{listen};
        location / {{
            proxy_pass http://wallet; proxy_http_version 1.1; proxy_request_buffering off;
            proxy_set_header Host 127.0.0.1; proxy_set_header Connection $http_x_pass;
            proxy_set_header Upgrade $http_upgrade;
        }}
    }}
}}
"""


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_through_a_proxy_nobody_gets_anothers_answer(server: Server, tmp_path: Path) -> None:
    """A body in which a request for wallet 2 stands, behind an Upgrade, on the connection that all share."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    host, upstream = server.address
    config = tmp_path / "nginx.conf"
    config.write_text(NGINX.format(folder=tmp_path, host=host, port=upstream, listen=port))
    nginx = shutil.which("nginx")
    assert nginx is not None
    with subprocess.Popen([nginx, "-c", str(config)], stderr=subprocess.DEVNULL) as proxy:
        try:
            wait_for_port(port)
            address = ("127.0.0.1", port)
            theirs = GET.replace(b"/1/", b"/2/") + b"\r\n"
            for _ in range(20):
                with socket.create_connection(address, timeout=SLOWEST_S) as sock:
                    sock.sendall(WELL + b"X-Pass: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n" % len(theirs))
                    time.sleep(0.01)
                    sock.sendall(theirs)
                    first = read_answer(sock)
                mine: Any = exchange(address, GET + b"Connection: close\r\n\r\n")
                assert first is not None
                assert first.json == {"status": "ok"}
                assert mine.json["data"]["user_id"] == 1
        finally:
            proxy.terminate()
            proxy.wait(SLOWEST_S)


def wait_for_port(port: int) -> None:
    until = time.monotonic() + SLOWEST_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            assert time.monotonic() < until
            time.sleep(0.02)
