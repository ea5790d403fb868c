"""Hostile requests: each is answered as it deserves, says nothing that it should not, and changes nothing."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from support import engines
from support.engines import Engine
from support.server import Server
from web import hostile
from web.hostile import CREATE, SECRET, Hostile, amount, transaction
from web.raw import Answer, dump, exchange, read_answer

from wallet_cli.operations.api_keys import hash_key

HOSTILE = hostile.everything()
PHONES = ("9886977544", "9886977545")
FIELDS = {"message", "data", "code", "details", "retryable", "hint"}
CODES = {
    400: {"invalid_input"},
    401: {"unauthenticated"},
    403: {"forbidden"},
    404: {"user_not_found", "wallet_not_found", "transaction_not_found", "hold_not_found", "not_found"},
    405: {"method_not_allowed"},
    408: {"request_timeout"},
    409: {
        *("insufficient_funds", "user_exists", "wallet_exists", "key_reused", "time_conflict", "wallet_not_empty"),
        *("hold_not_open", "capture_exceeds_hold", "reversal_exceeds_original"),
    },
    413: {"too_large"},
    415: {"unsupported_media_type"},
}
SLOW_CONNECTIONS = 1000
GOOD_REQUESTS = 200


class Target(NamedTuple):
    """A server with two users, what hostile.py says that they have, and credentials of all kinds."""

    server: Server
    credentials: dict[str, str]

    @property
    def secrets(self) -> set[str]:
        """What no answer may say."""
        kinds = ("operator", "reader", "revoked", "user", "other", "operator_hash", "operator_basic")
        return {self.credentials[kind] for kind in kinds} | {SECRET}

    def send(self, request: Hostile) -> Answer | None:
        head = request.method == "HEAD"
        return exchange(self.server.address, request.bytes(self.credentials), head=head, finish=request.finish)


@pytest.fixture(scope="module")
def target(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("hostile")
    engines.give_id(engine.new(folder), hostile.LEDGER)
    with Server(folder, "--access-log", environ={"JWT_SECRET_KEY": SECRET}) as server:
        operator, reader, revoked = server.key("till"), server.key("reader", "--read-only"), server.key("gone")
        assert server.wallet("key revoke gone").code == 0
        api = server.api(operator)
        tokens = []
        for number, phone in enumerate(PHONES, 1):
            assert api.post("/users", json={"phone_number": phone}).status_code == 201
            assert api.post("/wallet/create", json={"user_id": number, "type": "main"}).status_code == 201
            opening = {"user_id": number, "wallet_id": number, "amount": "100.00", "is_credit": True}
            made = api.post("/transactions/create", json=opening, headers={"Idempotency-Key": "opening"})
            assert made.status_code == 201
            token = api.post("/tokens", json={"user_id": number, "expires_minutes": 60})
            tokens.append(token.json()["data"]["token"])
        for more in ({"type": "savings"}, {"type": "points", "currency": "PTS/0"}):
            assert api.post("/wallet/create", json={"user_id": 1} | more).status_code == 201
        for key in ("opening hold", "voided hold"):
            hold = {"user_id": 2, "wallet_id": 2, "amount": "10.00"}
            assert api.post("/holds/create", json=hold, headers={"Idempotency-Key": key}).status_code == 201
        assert api.post("/holds/void", json={"hold": "2-h2"}).status_code == 200
        credentials = {
            "operator": operator,
            "operator_cut": operator[:-1],
            "operator_upper": operator.upper(),
            "operator_hash": hash_key(operator).hex(),
            "operator_basic": base64.b64encode(f"till:{operator}".encode()).decode(),
            "reader": reader,
            "revoked": revoked,
            "user": tokens[0],
            "other": tokens[1],
        }
        yield Target(server, credentials)


def assert_failure(answer: Answer, *, has_body: bool = True) -> None:
    """The failure envelope, whole, as INTERFACE.md has it, with a code that goes with the status."""
    assert answer.headers["content-type"] == "application/json"
    if not has_body:
        return
    body = answer.json
    assert set(body) == FIELDS
    assert body["data"] is None
    assert body["code"] in CODES[answer.status]
    assert body["message"]
    assert isinstance(body["details"], dict)
    assert body["retryable"] is False


def test_there_are_enough_and_each_has_a_name() -> None:
    names = [request.name for request in HOSTILE]
    assert len(names) >= 200
    assert len(set(names)) == len(names), {name for name in names if names.count(name) > 1}


@pytest.mark.on_file("3,000 requests that are refused before a ledger is asked, or by the rules")
@pytest.mark.parametrize("request_", HOSTILE, ids=[ascii(each.name) for each in HOSTILE])
def test_hostile(target: Target, request_: Hostile) -> None:
    before = dump(target.server.db)

    answer = target.send(request_)

    assert (0 if answer is None else answer.status) == request_.status, answer
    if answer is not None:
        assert_failure(answer, has_body=request_.method != "HEAD")
        text = answer.body.decode() + json.dumps(answer.headers)
        assert not [secret for secret in target.secrets if secret in text]
    assert dump(target.server.db) == before


def test_a_good_request_is_told_apart(target: Target) -> None:
    """The requests above are refused for what is wrong with them, not for how this test sends them."""
    for bearer in ("{operator}", "{reader}", "{user}"):
        answer = target.send(Hostile("good", 200, bearer=bearer))
        assert answer is not None
        assert answer.status == 200
        assert answer.json["data"]["user_id"] == 1
    answer = target.send(Hostile("a token made by hand", 200, bearer=hostile.forge()))
    assert answer is not None
    assert answer.status == 200
    answer = target.send(hostile.post("not enough, but well said", 409, CREATE, amount('"5000"')))
    assert answer is not None
    assert answer.json["details"]["shortfall"] == "4900.00"


def test_a_revoked_key_and_one_that_never_was_are_answered_alike(target: Target) -> None:
    """Nobody learns from an answer which keys there are or were."""
    texts = []
    for credential in (target.credentials["revoked"], "wk_" + "A" * 43, target.credentials["operator_cut"]):
        answer = target.send(Hostile("key", 401, bearer=credential))
        assert answer is not None
        texts.append(answer.body)
    assert len(set(texts)) == 1


def test_another_users_wallet_and_none_are_answered_alike(target: Target) -> None:
    """But for the number that was asked for, nothing tells what is another's from what is nobody's."""
    for path in (
        *("/api/v1/wallet/get/{0}/main", "/api/v1/wallet/get/{0}", "/api/v1/transactions/get/1/{0}"),
        *("/api/v1/transactions/get/1/{0}/1", "/api/v1/transactions/get/1/{0}?kind=credit", "/api/v1/holds/get/1/{0}"),
        *("/api/v1/wallet/statement/1/{0}", "/api/v1/wallet/statement/1/{0}?format=pdf"),
        "/api/v1/lookup/wallet?wallet=w{0}",
    ):
        texts = []
        for number in (2, 77):
            answer = target.send(Hostile("other", 404, path=path.format(number), bearer="{user}"))
            assert answer is not None
            assert answer.status == 404
            texts.append(answer.body.replace(b" w%d" % number, b" N").replace(b" %d" % number, b" N"))
        assert texts[0] == texts[1]


def test_endless_chunks_are_cut_off(target: Target) -> None:
    """A body with no end and no length is read to its bound and no further."""
    before = dump(target.server.db)
    top = f"POST {CREATE} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {target.credentials['operator']}\r\n"
    top += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"1000\r\n" + b" " * 0x1000 + b"\r\n"
    with target.server.connection() as sock:
        sock.sendall(top.encode())
        sent = 0
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while sent < 1_000_000_000:
                sock.sendall(chunk)
                sent += len(chunk)
        answer = read_answer(sock)
    assert answer is not None
    assert answer.status == 413
    assert_failure(answer)
    assert sent < 100_000_000
    assert dump(target.server.db) == before


@contextlib.contextmanager
def open_files(wanted: int) -> Iterator[None]:
    """Room for that many open files in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        assert hard == resource.RLIM_INFINITY or hard >= wanted, f"this machine allows {hard} open files"
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.on_file("what is refused before a ledger is asked")
def test_half_sent_headers_on_a_thousand_connections(tmp_path: Path) -> None:
    """They cost the server a thousand small objects, and a client that behaves does not notice them."""
    options = ("--no-auth", "--max-connections", str(SLOW_CONNECTIONS + 10))
    with open_files(SLOW_CONNECTIONS + 500), Server(tmp_path, *options) as server, contextlib.ExitStack() as stack:
        client = server.api()
        assert client.post("/users", json={"phone_number": PHONES[0]}).status_code == 201
        assert client.post("/wallet/create", json={"user_id": 1, "type": "main"}).status_code == 201
        slow = [
            stack.enter_context(socket.create_connection(server.address, timeout=30)) for _ in range(SLOW_CONNECTIONS)
        ]
        for sock in slow:
            sock.sendall(b"GET /api/v1/wallet/get/1/main HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")

        credit = transaction(is_credit=True)
        statuses = []
        for number in range(GOOD_REQUESTS):
            for sock in slow[number % 10 :: 100]:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its time may be up
                    sock.sendall(b"a")
            statuses.append(client.post("/transactions/create", json=credit).status_code)
            statuses.append(client.get("/wallet/get/1/main").status_code)

        assert statuses == [201, 200] * GOOD_REQUESTS
        assert client.get("/wallet/get/1/main").json()["data"]["transactions"] == GOOD_REQUESTS


# A server without keys trusts the machine that it runs on, and so every web page that a browser there shows. What such
# a page can send without being asked for permission first must not be obeyed.
PAGES = {
    "a form": {"Content-Type": "application/x-www-form-urlencoded"},
    "text": {"Content-Type": "text/plain"},
    "a blob with no type": {},
    "JSON, from another site": {"Content-Type": "application/json", "Origin": "http://elsewhere.example"},
    "JSON, from a sandbox": {"Content-Type": "application/json", "Origin": "null"},
    "JSON, to a name that was bound anew": {"Content-Type": "application/json", "Host": "elsewhere.example:5000"},
}


@pytest.mark.parametrize("name", PAGES)
def test_no_web_page_writes_to_a_server_without_keys(open_server: Server, name: str) -> None:
    before = dump(open_server.db)
    headers = {"Host": "127.0.0.1"} | PAGES[name]
    body = b'{"phone_number":"9886977544"}'
    lines = [f"{field}: {value}" for field, value in headers.items()]
    start = f"POST /api/v1/users HTTP/1.1\r\nContent-Length: {len(body)}\r\n"
    answer = exchange(open_server.address, (start + "\r\n".join(lines) + "\r\n\r\n").encode() + body)
    assert answer is not None
    assert answer.status in (403, 415)
    assert_failure(answer)
    assert dump(open_server.db) == before


def test_no_web_page_reads_from_a_server_without_keys(open_server: Server) -> None:
    """A name of elsewhere that now means 127.0.0.1: for the browser it is the page's own site."""
    request = b"GET /api/v1/wallet/get/1 HTTP/1.1\r\nHost: elsewhere.example:5000\r\n\r\n"
    answer = exchange(open_server.address, request)
    assert answer is not None
    assert answer.status == 403
    assert_failure(answer)


@pytest.fixture(scope="module")
def open_server(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("open"), "--no-auth") as server:
        yield server


def test_the_log_says_nothing_that_identifies_or_tells(tmp_path: Path) -> None:
    """After good requests and all of the hostile ones, with the access log on: no number, token, key or amount."""
    with Server(tmp_path, "--access-log", environ={"JWT_SECRET_KEY": SECRET}) as server:
        operator = server.key("till")
        api = server.api(operator)
        assert api.post("/users", json={"phone_number": PHONES[0], "name": "Asha Rao"}).status_code == 201
        assert api.post("/wallet/create", json={"user_id": 1, "type": "main"}).status_code == 201
        good = transaction(amount="7654.32", is_credit=True, note="rent for May")
        assert api.post("/transactions/create", json=good, headers={"Idempotency-Key": "may-9"}).status_code == 201
        assert api.post("/transactions/create", json=good | {"amount": "8765.43"}).status_code == 201
        token = api.post("/tokens", json={"user_id": 1}).json()["data"]["token"]
        assert server.api(token).get("/wallet/get/1/main").json()["data"]["balance"] == "16419.75"
        assert server.api(token).get("/wallet/get/1/main", params={"access_token": token}).status_code == 400
        refused = api.post("/transactions/create", json=transaction(amount="98765.43"))
        assert refused.status_code == 409
        credentials = dict.fromkeys(("operator_cut", "operator_upper", "operator_hash", "operator_basic"), "x")
        credentials |= {"operator": operator, "reader": operator, "revoked": "wk_x", "user": token, "other": token}
        for request in HOSTILE[:: len(HOSTILE) // 100]:
            exchange(server.address, request.bytes(credentials), head=request.method == "HEAD", finish=request.finish)
        assert server.stop() == 0

        events = [line["event"] for line in server.log]
        assert events.count("request") > 50
        assert "internal_error" not in events
        said = [
            secret
            for secret in (
                *(
                    PHONES[0],
                    PHONES[0][-8:],
                    "Asha",
                    "rent for May",
                    "may-9",
                    operator,
                    token,
                    token.split(".")[2],
                    SECRET,
                ),
                *("7654.32", "765432", "8765.43", "876543", "98765.43", "16419.75", "1641975", "access_token"),
            )
            if secret in server.stderr
        ]
        assert not said
        assert not re.search(r"wk_[\w-]{20}|eyJ[\w-]{10}", server.stderr)
