"""Who may call, and what they may do: as a table, and what becomes of keys and tokens."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import stat
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import jwt
import pytest
from support import engines
from support.engines import Engine
from support.processes import held
from support.server import Server, process, wallet
from support.waiting import PAUSE_S, wait_for
from web.hostile import LEDGER, SECRET, claims, forge
from web.raw import dump

from wallet_cli import settings
from wallet_cli.engine.write_lock import WriteLock
from wallet_cli.errors import LedgerMoved, StorageError
from wallet_cli.operations import api_keys
from wallet_cli.operations.context import Ledger, open_ledger
from wallet_cli.operations.tokens import open_tokens
from wallet_cli.web import http_errors, requests
from wallet_cli.web import log as log_module
from wallet_cli.web import server_state as site_module
from wallet_cli.web.auth import Caller
from wallet_cli.web.messages import failure
from wallet_cli.web.operations import OPERATIONS
from wallet_cli.web.read_connections import CONNECTIONS
from wallet_cli.web.server_state import ServerState

CALLERS = ("operator", "read-only", "own user", "other user", "expired", "revoked", "none")


class Place(NamedTuple):
    """A server with two users, a wallet of 100.00 each, two holds and two more wallets of user 1, and every caller."""

    server: Server
    clients: dict[str, httpx.Client]


@pytest.fixture(scope="module")
def place(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("auth")
    engines.give_id(engine.new(folder), LEDGER)
    with Server(folder, environ={"JWT_SECRET_KEY": SECRET}) as server:
        keys = {name: server.key(name) for name in ("operator", "revoked")}
        keys["read-only"] = server.key("reader", "--read-only")
        assert server.wallet("key revoke revoked").code == 0
        api = server.api(keys["operator"])
        for number in (1, 2):
            assert api.post("/users", json={"phone_number": f"988697754{number}"}).status_code == 201
            assert api.post("/wallet/create", json={"user_id": number, "type": "main"}).status_code == 201
            credit = {"user_id": number, "wallet_id": number, "amount": 100, "is_credit": True}
            assert api.post("/transactions/create", json=credit).status_code == 201
        for type_ in ("savings", "spare"):
            assert api.post("/wallet/create", json={"user_id": 1, "type": type_}).status_code == 201
        for _ in range(2):
            assert api.post("/holds/create", json=IDS | {"amount": "1.00"}).status_code == 201
        keys["own user"] = server.wallet("token 1 -q --expires 60").out.strip()
        keys["other user"] = api.post("/tokens", json={"user_id": 2, "expires_minutes": 60}).json()["data"]["token"]
        keys["expired"] = forge(claims(exp=int(time.time()) - 1))
        yield Place(server, {name: server.api(key) for name, key in keys.items()} | {"none": server.api()})


IDS = {"user_id": 1, "wallet_id": 1}
DEBIT = IDS | {"amount": "0.01", "is_credit": False}
CREDIT = IDS | {"amount": "0.01", "is_credit": True}
# User 1 has a second wallet, 3; wallet 2 is user 2's.
TO_OWN = IDS | {"to_user_id": 1, "to_wallet_id": 3, "amount": "0.01"}
TO_OTHER = TO_OWN | {"to_user_id": 2, "to_wallet_id": 2}
HOLD = IDS | {"amount": "0.01"}
LIMITS = IDS | {"daily_debit": "1000.00"}
PART = b'{"numbers": [2]}\n{"wallet": "1/main", "amount": "0.01", "kind": "credit", "key": "part"}\n'
FILE = b"wallet,amount,kind\n1/main,0.01,credit\n"

# An operation on user 1 and wallet 1 (or on what is not there yet), and its status for each of CALLERS, in their order.
TABLE: tuple[tuple[str, str, str, Any, str], ...] = (
    ("get wallet", "GET", "/wallet/get/1/main", None, "200 200 200 404 401 401 401"),
    ("get wallets", "GET", "/wallet/get/1", None, "200 200 200 404 401 401 401"),
    ("list", "GET", "/transactions/get/1/1", None, "200 200 200 404 401 401 401"),
    ("total", "POST", "/transactions/get/total_in_period", IDS, "200 200 200 404 401 401 401"),
    ("debit", "POST", "/transactions/create", DEBIT, "201 403 201 404 401 401 401"),
    ("credit", "POST", "/transactions/create", CREDIT, "201 403 403 404 401 401 401"),
    ("batch", "POST", "/transactions/batch", {"transactions": [DEBIT]}, "200 403 200 200 401 401 401"),
    ("atomic", "POST", "/transactions/batch", {"transactions": [DEBIT], "atomic": True}, "200 403 200 404 401 401 401"),
    (
        "atomic credit",
        "POST",
        "/transactions/batch",
        {"transactions": [CREDIT], "atomic": True},
        "200 403 403 404 401 401 401",
    ),
    ("what the ledger says", "GET", "/ledger", None, "200 200 200 200 401 401 401"),
    ("set the ledger", "POST", "/ledger", {"minimum_balance": "0"}, "200 403 403 403 401 401 401"),
    ("register", "POST", "/users", {"phone_number": "9886977541"}, "409 403 403 403 401 401 401"),
    ("create wallet", "POST", "/wallet/create", {"user_id": 1, "type": "main"}, "409 403 403 403 401 401 401"),
    ("token", "POST", "/tokens", {"user_id": 1}, "201 403 403 403 401 401 401"),
    ("transfer between one's own", "POST", "/transfers/create", TO_OWN, "201 403 201 404 401 401 401"),
    ("transfer to another", "POST", "/transfers/create", TO_OTHER, "201 403 404 404 401 401 401"),
    (
        "transfer by another's id",
        "POST",
        "/transfers/create",
        TO_OTHER | {"to_user_id": 1},
        "404 403 404 404 401 401 401",
    ),
    ("show", "GET", "/transactions/get/1/1/1", None, "200 200 200 404 401 401 401"),
    ("show another's by the own id", "GET", "/transactions/get/1/2/1", None, "404 404 404 404 401 401 401"),
    ("find", "GET", "/transactions/get/1/1?kind=credit&text=x", None, "200 200 200 404 401 401 401"),
    (
        "reverse",
        "POST",
        "/transactions/reverse",
        {"transaction": "1-1", "amount": "0.01"},
        "201 403 403 403 401 401 401",
    ),
    (
        "reverse what is not there",
        "POST",
        "/transactions/reverse",
        {"transaction": "77-1"},
        "404 403 403 403 401 401 401",
    ),
    ("hold", "POST", "/holds/create", HOLD, "201 403 403 403 401 401 401"),
    (
        "capture",
        "POST",
        "/holds/capture",
        {"hold": "1-h1", "amount": "0.01", "keep": True},
        "201 403 403 403 401 401 401",
    ),
    ("void", "POST", "/holds/void", {"hold": "1-h2"}, "200 403 403 403 401 401 401"),
    ("list holds", "GET", "/holds/get/1/1", None, "200 200 200 404 401 401 401"),
    ("list another's holds by the own id", "GET", "/holds/get/1/2", None, "404 404 404 404 401 401 401"),
    ("freeze", "POST", "/wallet/freeze", {"user_id": 1, "wallet_id": 4}, "200 403 403 403 401 401 401"),
    ("unfreeze", "POST", "/wallet/unfreeze", IDS, "200 403 403 403 401 401 401"),
    ("close", "POST", "/wallet/close", IDS, "409 403 403 403 401 401 401"),
    ("limits", "POST", "/wallet/limits", LIMITS, "200 403 403 403 401 401 401"),
    ("list users", "GET", "/users", None, "200 200 403 403 401 401 401"),
    ("get a user", "GET", "/users/1", None, "200 200 403 403 401 401 401"),
    ("get nobody", "GET", "/users/77", None, "404 404 403 403 401 401 401"),
    ("list all wallets", "GET", "/wallets", None, "200 200 403 403 401 401 401"),
    ("statement", "GET", "/wallet/statement/1/1", None, "200 200 200 404 401 401 401"),
    ("statement as a page", "GET", "/wallet/statement/1/1?format=html", None, "200 200 200 404 401 401 401"),
    ("another's statement by the own id", "GET", "/wallet/statement/1/2", None, "404 404 404 404 401 401 401"),
    ("export", "GET", "/export", None, "200 200 403 403 401 401 401"),
    ("export a wallet", "GET", "/export/1/1?format=csv", None, "200 200 403 403 401 401 401"),
    ("export nobody's", "GET", "/export/77/1", None, "404 404 403 403 401 401 401"),
    ("import", "POST", "/import", FILE, "200 403 403 403 401 401 401"),
    ("try an import", "POST", "/import?dry_run=true", FILE, "200 403 403 403 401 401 401"),
    ("import what is no file", "POST", "/import", b"", "400 403 403 403 401 401 401"),
    ("import a part", "POST", "/import/part", PART, "200 403 403 403 401 401 401"),
    ("find a user", "GET", "/lookup/user?user=9886977541", None, "200 200 200 404 401 401 401"),
    ("find nobody", "GET", "/lookup/user?user=9886977549", None, "404 404 404 404 401 401 401"),
    ("find a wallet", "GET", "/lookup/wallet?wallet=9886977541", None, "200 200 200 404 401 401 401"),
    ("find a wallet by its id", "GET", "/lookup/wallet?wallet=w1", None, "200 200 200 404 401 401 401"),
    ("find no wallet by its id", "GET", "/lookup/wallet?wallet=w99", None, "404 404 404 404 401 401 401"),
    ("find a wallet in the past", "GET", "/lookup/wallet?wallet=1/main&at=2020", None, "200 200 200 404 401 401 401"),
    ("find a user's wallets", "GET", "/lookup/wallets?user=id:1", None, "200 200 200 404 401 401 401"),
    ("tell whose wallets are", "GET", "/lookup/holders?wallets=1,2", None, "200 200 200 200 401 401 401"),
    ("find a transaction", "GET", "/lookup/transaction?id=1-1", None, "200 200 200 404 401 401 401"),
    ("find users by name", "GET", "/lookup/users?name=asha", None, "200 200 403 403 401 401 401"),
    ("find a text", "GET", "/find?text=asha", None, "200 200 403 403 401 401 401"),
    ("the day book", "GET", "/history", None, "200 200 403 403 401 401 401"),
    ("who did what", "GET", "/audit", None, "200 200 403 403 401 401 401"),
    ("the day book, searched", "GET", "/history?text=tea", None, "200 200 403 403 401 401 401"),
    ("what is in the ledger", "GET", "/overview", None, "200 200 403 403 401 401 401"),
    ("verify", "GET", "/verify", None, "200 200 403 403 401 401 401"),
    ("verify a wallet", "GET", "/verify?wallet=1", None, "200 200 403 403 401 401 401"),
    ("list keys", "GET", "/keys", None, "200 200 403 403 401 401 401"),
    ("make a key", "POST", "/keys", {"name": "revoked"}, "409 403 403 403 401 401 401"),
    ("revoke a key", "POST", "/keys/revoke", {"name": "revoked"}, "200 403 403 403 401 401 401"),
    ("get wallet of nobody", "GET", "/wallet/get/77/main", None, "404 404 404 404 401 401 401"),
    ("debit of nobody", "POST", "/transactions/create", DEBIT | {"wallet_id": 77}, "404 403 404 404 401 401 401"),
    ("a body that is wrong", "POST", "/transactions/create", {}, "400 403 400 400 401 401 401"),
    ("a registration that is wrong", "POST", "/users", {}, "400 403 403 403 401 401 401"),
    ("no such path", "GET", "/nothing", None, "404 404 404 404 404 404 404"),
    ("no such method", "DELETE", "/wallet/get/1/main", None, "405 405 405 405 405 405 405"),
)


@pytest.mark.parametrize(("method", "path", "body", "statuses"), [pytest.param(*row[1:], id=row[0]) for row in TABLE])
def test_who_may_call(place: Place, method: str, path: str, body: Any, statuses: str) -> None:
    before = dump(place.server.db)
    for caller, status in zip(CALLERS, map(int, statuses.split()), strict=True):
        client = place.clients[caller]
        if isinstance(body, bytes):
            kind = "application/x-ndjson" if body.startswith(b"{") else "text/csv"
            answer = client.request(method, path, content=body, headers={"Content-Type": kind})
        else:
            answer = client.request(method, path, json=body)
        assert answer.status_code == status, (caller, answer.text)
        if status == 401:
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        after = dump(place.server.db)
        if status >= 400:
            assert after == before, caller
        before = after


def test_the_table_has_every_operation() -> None:
    """And so nobody forgets to say who may call a new one."""
    asked = [(method, path.partition("?")[0]) for _, method, path, *_ in TABLE]
    for method, path, *_ in OPERATIONS:
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
        assert any(verb == method and pattern.fullmatch(known) for verb, known in asked), f"{method} {path}"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"])
def test_the_pages_outside_the_api_need_no_key(place: Place, path: str) -> None:
    assert place.server.client().get(path).status_code == 200


def test_in_a_batch_each_item_is_asked_for_by_its_own_right(place: Place) -> None:
    """A user's batch may debit their own wallets; another's are not there, and credit is forbidden."""
    other = {"user_id": 2, "wallet_id": 2, "amount": "0.01", "is_credit": False}
    items = [DEBIT, CREDIT, other, other | {"user_id": 1}, other | {"is_credit": True}, DEBIT]
    data = place.clients["own user"].post("/transactions/batch", json={"transactions": items}).json()["data"]
    assert [each["status"] for each in data["results"]] == [201, 403, 404, 404, 404, 201]
    assert [each["code"] for each in data["results"][1:5]] == ["forbidden", *["wallet_not_found"] * 3]


def test_the_scheme_is_read_in_any_case_with_any_spaces_after_it(place: Place) -> None:
    key = place.clients["operator"].headers["Authorization"].split(" ")[1]
    for scheme in ("bearer", "BEARER", "Bearer", "Bearer  "):
        answer = place.server.api().get("/wallet/get/1", headers={"Authorization": f"{scheme} {key}"})
        assert answer.status_code == 200


# --- keys -----------------------------------------------------------------------------------------------------------


REVOKED_WITHIN_S = 1 + 5
"""A server in another place hears of it within a second; the rest is for a machine that does much else."""


def test_a_revoked_key_is_refused_at_once_by_a_running_server(tmp_path: Path, engine: Engine) -> None:
    with Server(tmp_path) as server:
        key, other = server.key("till"), server.key("back-office")
        client, beside = server.api(key), server.api(other)
        assert client.get("/wallet/get/1").status_code == 404  # in, and on a connection that stays open
        revoked = server.wallet("key revoke till")
        assert revoked.code == 0
        until_s = time.monotonic() + (REVOKED_WITHIN_S if engine.name == "postgres" else 0)
        while (status := client.get("/wallet/get/1").status_code) == 404 and time.monotonic() < until_s:
            time.sleep(PAUSE_S)
        assert status == 401
        assert beside.get("/wallet/get/1").status_code == 404
        assert server.wallet("key create till").code == 5  # a name is not given again
        assert server.api(server.key("till-2")).get("/wallet/get/1").status_code == 404  # a new key works at once


def test_a_key_is_shown_once_and_stored_hashed(tmp_path: Path) -> None:
    """The key is in no file of the ledger; a thief of all of them cannot call."""
    with Server(tmp_path, "--access-log") as server:
        made = server.wallet("key create till --json")
        key = json.loads(made.out)["key"]
        assert key not in made.err
        assert server.api(key).get("/wallet/get/1").status_code == 404
        listed = server.wallet("key list --json")
        assert [each["name"] for each in json.loads(listed.out)["keys"]] == ["till"]
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        contents = [path.read_bytes() for path in files]
        if isinstance(server.db, Path):
            assert server.db in files
            assert any(api_keys.hash_key(key) in content for content in contents)
        [(stored,)] = engines.rows(server.db, "SELECT key_hash FROM operators WHERE name = 'till'")
        assert stored == api_keys.hash_key(key)
        for said in (listed.out, listed.err, server.stderr):
            assert key not in said
        for secret in (key, key.removeprefix("wk_")):
            assert not [path for path, content in zip(files, contents, strict=True) if secret.encode() in content]


def test_keys_are_random_and_long(ledger: Ledger) -> None:
    keys = {ledger.run(api_keys.create(f"k{number}"), "key create")["key"] for number in range(50)}
    assert len(keys) == 50
    assert all(key.startswith("wk_") and len(key) == len("wk_") + 43 for key in keys)


def test_a_key_without_q_is_shown_with_its_name(tmp_path: Path) -> None:
    assert wallet(tmp_path, "register 9886977544").code == 0  # which makes the ledger
    made = json.loads(wallet(tmp_path, "key create till --read-only --json").out)
    assert (made["name"], made["read_only"], made["last_used_at"], made["revoked_at"]) == ("till", True, None, None)
    assert "key" in made
    again = wallet(tmp_path, "key create till --json")
    assert (again.code, json.loads(again.err)["error"]["code"]) == (5, "key_exists")
    missing = wallet(tmp_path, "key revoke nobody --json")
    assert (missing.code, json.loads(missing.err)["error"]["code"]) == (3, "key_not_found")


def test_the_last_use_of_a_key_is_noted(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Now and then, and not with a write a request."""
    chosen = settings.load({"db": str(db)})
    with open_ledger(chosen, lambda _: None) as ledger:
        key = ledger.run(api_keys.create("till"), "key create")["key"]
        ledger.run(api_keys.create("idle"), "key create")

    def last_used() -> dict[str, str | None]:
        with open_ledger(chosen, lambda _: None) as again:
            return {each["name"]: each["last_used_at"] for each in api_keys.listed(again)}

    async def serve() -> None:
        server = ServerState(chosen, open_tokens(chosen)[0], auth=True, access_log=False)
        server.start()
        try:
            scope = {"headers": [(b"authorization", f"Bearer {key}".encode())]}

            async def caller() -> Caller:
                return server.auth.caller(scope)

            assert (await server.waiting_aside(caller())).operator == "till"
            assert server.auth.used == {"till"}
            async with asyncio.timeout(30):
                while server.auth.used or last_used()["till"] is None:
                    await asyncio.sleep(0)
        finally:
            await server.stop()

    monkeypatch.setattr(site_module, "NOTE_USE_EVERY_S", 0.0)
    assert last_used() == {"till": None, "idle": None}
    asyncio.run(serve())
    used = last_used()
    assert used["till"] is not None
    assert used["idle"] is None


@pytest.mark.on_file("what is noted later does not ask who has the turn")
def test_a_use_that_cannot_be_noted_is_noted_later(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engines.tell(db, ["key create till"])
    chosen = settings.load({"db": str(db), "lock_timeout": "0"})
    told: list[str] = []
    monkeypatch.setattr(site_module, "log", lambda event, **_: told.append(event))
    monkeypatch.setattr(site_module, "NOTE_USE_EVERY_S", 0.0)

    async def serve() -> None:
        server = ServerState(chosen, open_tokens(chosen)[0], auth=True, access_log=False)
        server.start()
        try:
            with engines.turn_held(db):
                server.auth.used.add("till")
                async with asyncio.timeout(30):
                    while "note_use_failed" not in told:
                        await asyncio.sleep(0)
            async with asyncio.timeout(30):
                while not engines.rows(db, "SELECT 1 FROM operators WHERE last_used_at_us IS NOT NULL"):
                    await asyncio.sleep(0)
        finally:
            await server.stop()

    asyncio.run(serve())


def test_the_last_use_is_noted_when_the_server_stops(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        key = server.key("till")
        assert server.api(key).get("/wallet/get/1").status_code == 404
        assert server.stop() == 0
        (till,) = json.loads(server.wallet("key list --json").out)["keys"]
        assert till["last_used_at"] is not None


# --- tokens ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["terminal", "HTTP"])
def test_what_a_token_says(place: Place, source: str) -> None:
    """Whose it is, for what, from when to when; and nothing about the person."""
    before_s = int(time.time())
    if source == "terminal":
        issued = json.loads(place.server.wallet("token 1 --expires 7 --json").out)
    else:
        answer = place.clients["operator"].post("/tokens", json={"user_id": 1, "expires_minutes": 7})
        assert answer.status_code == 201
        issued = answer.json()["data"]
    assert set(issued) == {"token", "token_type", "user_id"}
    assert (issued["token_type"], issued["user_id"]) == ("Bearer", 1)
    said = jwt.decode(issued["token"], SECRET, algorithms=["HS256"], audience=LEDGER, issuer="wallet")
    assert set(said) == {"iss", "aud", "sub", "type", "iat", "exp", "jti"} | ({"key"} if source == "HTTP" else set())
    assert said.get("key") == ("operator" if source == "HTTP" else None)
    assert (said["sub"], said["type"]) == ("1", "user")
    assert before_s <= said["iat"] <= time.time()
    assert said["exp"] - said["iat"] == 7 * 60
    assert jwt.get_unverified_header(issued["token"]) == {"alg": "HS256", "typ": "JWT"}
    assert place.server.api(issued["token"]).get("/wallet/get/1/main").status_code == 200


def test_a_token_is_good_for_as_long_as_the_setting_says(tmp_path: Path) -> None:
    assert wallet(tmp_path, "register 9886977544").code == 0
    for environ, minutes in (({}, 5), ({"JWT_ACCESS_TOKEN_EXPIRES": "12"}, 12)):
        done = wallet(tmp_path, "token 9886977544 -q", {"JWT_SECRET_KEY": SECRET} | environ)
        said = jwt.decode(done.out.strip(), options={"verify_signature": False})
        assert said["exp"] - said["iat"] == minutes * 60


@pytest.mark.parametrize(("arguments", "code"), [("1 --expires 0", 2), ("1 --expires 1441", 2), ("2", 3), ("+1", 2)])
def test_tokens_that_are_not_given(tmp_path: Path, arguments: str, code: int) -> None:
    assert wallet(tmp_path, "register 9886977544").code == 0
    done = wallet(tmp_path, f"token {arguments}")
    assert (done.code, done.out) == (code, "")


def test_a_token_of_another_secret_is_refused(tmp_path: Path) -> None:
    with Server(tmp_path, environ={"JWT_SECRET_KEY": SECRET}) as server:
        assert server.wallet("register 9886977544").code == 0
        token = wallet(
            tmp_path, "token 1 -q", {"JWT_SECRET_KEY": "another secret of no less than 32 bytes"}
        ).out.strip()
        assert server.api(token).get("/wallet/get/1").status_code == 401
        assert server.api(server.wallet("token 1 -q").out.strip()).get("/wallet/get/1").status_code == 200


def secret_file(folder: Path) -> Path:
    (found,) = folder.rglob("jwt_secret_key*")
    return found


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_the_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    with umask(0):
        assert wallet(tmp_path, "register 9886977544").code == 0
        token = wallet(tmp_path, "token 1 -q").out.strip()
    path = secret_file(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    secret = path.read_text()
    assert len(secret.encode()) >= 32
    with Server(tmp_path) as server:
        assert server.api(token).get("/wallet/get/1").status_code == 200
        assert secret not in server.stderr
        assert secret not in server.wallet("config show").out
    assert path.read_text() == secret


def test_many_processes_make_one_secret(tmp_path: Path) -> None:
    assert wallet(tmp_path, "register 9886977544").code == 0
    with ThreadPoolExecutor(6) as pool:
        tokens = list(pool.map(lambda _: process(tmp_path, "token 1 -q").out.strip(), range(6)))
    secret = secret_file(tmp_path).read_text()
    [(ledger_id,)] = engines.rows(engines.ledger_in(tmp_path), "SELECT uuid FROM ledger")
    for token in tokens:
        assert jwt.decode(token, secret, algorithms=["HS256"], audience=ledger_id)["sub"] == "1"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_the_secret_that_is_kept_is_refused_where_others_may_read_it(tmp_path: Path, mode: int) -> None:
    assert wallet(tmp_path, "register 9886977544").code == 0
    assert wallet(tmp_path, "token 1").code == 0
    secret_file(tmp_path).chmod(mode)
    for line in ("token 1", "serve --port 0"):
        done = process(tmp_path, line)
        assert (done.code, done.out) == (2, "")
        assert f"mode {mode:04o}" in done.err
        assert "chmod 600" in done.err


# --- for how long, for which ledger, and by whose key ---------------------------------------------------------------


def test_a_token_is_good_for_one_ledger(tmp_path: Path, engine: Engine) -> None:
    """Two ledgers have the same secret, as those of one folder and one machine have; each has a user 1."""
    tokens, servers = [], []
    with ExitStack() as running:
        for number in (1, 2):
            folder = tmp_path / str(number)
            folder.mkdir()
            # Made for this test alone, as the others are copies of one.
            engines.give_id(engine.new(folder), f"{LEDGER[:-1]}{number}")
            server = running.enter_context(Server(folder, environ={"JWT_SECRET_KEY": SECRET}))
            assert server.wallet("register 9886977544").code == 0
            assert server.wallet("create 1").code == 0
            servers.append(server)
            tokens.append(server.wallet("token 1 -q").out.strip())
        for mine, server in enumerate(servers):
            for of, token in enumerate(tokens):
                status = server.api(token).get("/wallet/get/1/main").status_code
                assert status == (200 if of == mine else 401)


def test_each_ledger_that_is_made_has_an_id_of_its_own(tmp_path: Path) -> None:
    found = set()
    for name in ("a.db", "b.db"):
        assert wallet(tmp_path, f"--db {name} register 9886977544").code == 0
        [(ledger_id,)] = engines.rows(tmp_path / name, "SELECT uuid FROM ledger")
        assert str(uuid.UUID(ledger_id)) == ledger_id
        found.add(ledger_id)
    assert len(found) == 2


def test_a_token_ends_with_the_key_that_asked_for_it(tmp_path: Path, engine: Engine) -> None:
    """At once, on a connection that stays open; those of other keys, and of the terminal, go on."""
    with Server(tmp_path, environ={"JWT_SECRET_KEY": SECRET}) as server:
        first, second = server.key("till"), server.key("office")
        api = server.api(first)
        assert api.post("/users", json={"phone_number": "9886977544"}).status_code == 201
        assert api.post("/wallet/create", json={"user_id": 1, "type": "main"}).status_code == 201

        def asked(key: str) -> httpx.Client:
            answer = server.api(key).post("/tokens", json={"user_id": 1, "expires_minutes": 60})
            return server.api(answer.json()["data"]["token"])

        callers = [asked(first), asked(second), server.api(server.wallet("token 1 -q").out.strip())]
        assert [caller.get("/wallet/get/1/main").status_code for caller in callers] == [200, 200, 200]
        assert server.wallet("key revoke till").code == 0
        until_s = time.monotonic() + (REVOKED_WITHIN_S if engine.name == "postgres" else 0)
        while callers[0].get("/wallet/get/1/main").status_code == 200 and time.monotonic() < until_s:
            time.sleep(PAUSE_S)
        assert [caller.get("/wallet/get/1/main").status_code for caller in callers] == [401, 200, 200]
        refused = callers[0].post("/transactions/create", json=DEBIT)
        assert refused.status_code == 401


def test_no_token_lives_longer_than_the_bound(tmp_path: Path) -> None:
    """It is the bound in force that counts: one that was made under another ends with it."""
    with Server(tmp_path, environ={"JWT_SECRET_KEY": SECRET, "JWT_MAX_TOKEN_EXPIRES": "90"}) as server:
        api = server.api(server.key("till"))
        assert api.post("/users", json={"phone_number": "9886977544"}).status_code == 201
        long = api.post("/tokens", json={"user_id": 1, "expires_minutes": 91})
        assert (long.status_code, long.json()["code"]) == (400, "invalid_input")
        assert "jwt_max_token_expires" in long.text
        token = api.post("/tokens", json={"user_id": 1, "expires_minutes": 90}).json()["data"]["token"]
        assert server.api(token).get("/wallet/get/1").status_code == 200
        server.stop()
        server.environ["JWT_MAX_TOKEN_EXPIRES"] = "89"
        server.start()
        assert server.api(token).get("/wallet/get/1").status_code == 401
        done = server.wallet("token 1 --expires 90 --json")
        assert (done.code, "jwt_max_token_expires" in done.err) == (2, True)


def test_with_no_auth_a_token_names_no_key(tmp_path: Path) -> None:
    """Nobody's key asked for it; an operator may even be called as everybody is then."""
    with Server(tmp_path, "--no-auth", environ={"JWT_SECRET_KEY": SECRET}) as server:
        server.key("local")
        assert server.wallet("key revoke local").code == 0
        assert server.api().post("/users", json={"phone_number": "9886977544"}).status_code == 201
        token = server.api().post("/tokens", json={"user_id": 1}).json()["data"]["token"]
        assert "key" not in jwt.decode(token, options={"verify_signature": False})


# --- what users supply ----------------------------------------------------------------------------------------------

BINDING = {"at"}
"""Facts that bind the one who gives them: a day, and so a daily limit."""

FREE = {"user_id", "wallet_id", "to_user_id", "to_wallet_id", "amount", "is_credit", "note", "meta", "key"}
FREE |= {"transactions", "atomic", "start_date", "end_date"}


def test_every_field_that_a_user_may_send_is_known_to_bind_nobody() -> None:
    """A new one is to be thought of here: whether it may be theirs to say."""
    bodies_of_users = (
        requests.NewTransaction,
        requests.BatchItem,
        requests.Batch,
        requests.NewTransfer,
        requests.TotalQuery,
    )
    assert {field for body in bodies_of_users for field in body.__struct_fields__} == FREE | BINDING
    for name, method, path, body, statuses in TABLE:
        if method == "POST" and statuses.split()[2] in ("200", "201"):
            kind = {
                "/transactions/create": requests.NewTransaction,
                "/transactions/batch": requests.Batch,
                "/transfers/create": requests.NewTransfer,
                "/transactions/get/total_in_period": requests.TotalQuery,
            }[path]
            assert kind in bodies_of_users, (name, body)


@pytest.mark.parametrize("at", ["2020-01-01T00:00:00Z", "2024-04-19", "now", "x", ""])
def test_a_user_says_nowhere_when_a_transaction_was(place: Place, at: str) -> None:
    """Single, in a batch, and in one that is atomic; operators may."""
    before = dump(place.server.db)
    user = place.clients["own user"]
    dated = DEBIT | {"at": at}
    single = user.post("/transactions/create", json=dated)
    assert (single.status_code, single.json()["code"]) == (403, "forbidden")
    atomic = user.post("/transactions/batch", json={"transactions": [DEBIT, dated], "atomic": True})
    assert (atomic.status_code, atomic.json()["code"], atomic.json()["details"]) == (403, "forbidden", {"index": 1})
    results = user.post("/transactions/batch", json={"transactions": [dated]}).json()["data"]["results"]
    assert [each["status"] for each in results] == [403]
    for path, body in (("/transfers/create", TO_OWN), ("/transactions/get/total_in_period", IDS)):
        assert user.post(path, json=body | {"at": at}).status_code == 400
    assert dump(place.server.db) == before
    assert user.post("/transactions/create", json=DEBIT | {"at": None}).status_code == 201


def test_a_daily_limit_holds_whatever_a_user_says(tmp_path: Path) -> None:
    """6,000 went out under a limit of 100, a past day at a time."""
    with Server(tmp_path, environ={"JWT_SECRET_KEY": SECRET}) as server:
        api = server.api(server.key("till"))
        assert api.post("/users", json={"phone_number": "9886977544"}).status_code == 201
        assert api.post("/wallet/create", json={"user_id": 1, "type": "main"}).status_code == 201
        assert api.post("/wallet/limits", json=IDS | {"daily_debit": "100"}).status_code == 200
        first = IDS | {"amount": "10000", "is_credit": True, "at": "2020-01-01T00:00:00Z"}
        assert api.post("/transactions/create", json=first).status_code == 201
        user = server.api(server.wallet("token 1 -q").out.strip())
        days = [DEBIT | {"amount": "100", "at": f"2020-02-{day:02}T00:00:00Z"} for day in range(1, 29)]
        for body in days:
            assert user.post("/transactions/create", json=body).status_code == 403
        user.post("/transactions/batch", json={"transactions": days})
        assert user.post("/transactions/create", json=DEBIT | {"amount": "100"}).status_code == 201
        assert user.post("/transactions/create", json=DEBIT).json()["code"] == "limit_exceeded"
        assert user.get("/wallet/get/1/main").json()["data"]["balance"] == "9900.00"


# --- keys of users and of operators ---------------------------------------------------------------------------------


class Shop(NamedTuple):
    """An operator, and a user of no other test with 1,000.00 in the first of two wallets."""

    server: Server
    operator: httpx.Client
    user: httpx.Client
    id: int
    wallets: tuple[int, int]

    @property
    def ids(self) -> dict[str, int]:
        return {"user_id": self.id, "wallet_id": self.wallets[0]}

    @property
    def transfer(self) -> dict[str, int]:
        return self.ids | {"to_user_id": self.id, "to_wallet_id": self.wallets[1]}


@pytest.fixture(scope="module")
def counter(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, httpx.Client]]:
    folder = tmp_path_factory.mktemp("counter")
    engine.new(folder)
    with Server(folder, environ={"JWT_SECRET_KEY": SECRET}) as server:
        yield server, server.api(server.key("till"))


@pytest.fixture
def shop(counter: tuple[Server, httpx.Client]) -> Shop:
    server, api = counter

    def made(path: str, body: dict[str, Any]) -> Any:
        answer = api.post(path, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]

    user = made("/users", {"phone_number": f"98869{next(PHONES):05}"})["id"]
    first, second = (made("/wallet/create", {"user_id": user, "type": type_})["id"] for type_ in ("main", "spare"))
    made("/transactions/create", {"user_id": user, "wallet_id": first, "amount": "1000", "is_credit": True})
    token = made("/tokens", {"user_id": user, "expires_minutes": 60})["token"]
    return Shop(server, api, server.api(token), user, (first, second))


PHONES = itertools.count(77541)


WAYS = ("single", "batch", "atomic", "transfer")


def send(shop: Shop, client: httpx.Client, way: str, key: str, amount: str) -> tuple[int, Any]:
    """A debit of that amount by that key; its status and data, or code."""
    if way == "transfer":
        body = shop.transfer | {"amount": amount}
        answer = client.post("/transfers/create", json=body, headers={"Idempotency-Key": key})
    elif way == "single":
        debit = DEBIT | shop.ids | {"amount": amount}
        answer = client.post("/transactions/create", json=debit, headers={"Idempotency-Key": key})
    else:
        items = [DEBIT | shop.ids | {"amount": amount, "key": key}]
        answer = client.post("/transactions/batch", json={"transactions": items, "atomic": way == "atomic"})
        if answer.status_code == 200:
            [result] = answer.json()["data"]["results"]
            return result["status"], result["data"] or result["code"]
    return answer.status_code, answer.json()["data"] or answer.json()["code"]


@pytest.mark.parametrize("theirs", WAYS)
@pytest.mark.parametrize("ours", WAYS)
def test_a_users_key_pays_for_no_charge_and_blocks_none(shop: Shop, theirs: str, ours: str) -> None:
    """The user's debit by `order-7` is not the shop's charge by it, of the same amount or of another."""
    operator, user = shop.operator, shop.user
    for key, amount in (("order-7", "20"), ("order-8", "1")):
        assert send(shop, user, theirs, key, amount)[0] == 201
        status, charged = send(shop, operator, ours, key, "20")
        assert (status, "replayed" in charged) == (201, False)
        # Each meets only its own, and whoever comes first is no different.
        status, again = send(shop, user, theirs, key, amount)
        assert (status, again["replayed"]) == (200, True)
        status, again = send(shop, operator, ours, key, "20")
        assert (status, again["replayed"], again["id"]) == (200, True, charged["id"])
        assert send(shop, user, theirs, key, "3") == (409, "key_reused")
        assert send(shop, operator, ours, key, "3") == (409, "key_reused")
    assert send(shop, operator, ours, "order-9", "20")[0] == 201
    assert send(shop, user, theirs, "order-9", "20")[0] == 201
    listed = operator.get(f"/transactions/get/{shop.id}/{shop.wallets[0]}", params={"key": "order-7"}).json()["data"][
        "transactions"
    ]
    assert sorted(each.get("user_key", False) for each in listed) == [False, True]


def test_a_debit_of_a_user_with_no_key_says_nothing_of_keys(shop: Shop) -> None:
    for way in ("single", "transfer"):
        path, body = ("/transactions/create", DEBIT) if way == "single" else ("/transfers/create", TO_OWN)
        body = body | (shop.ids if way == "single" else shop.transfer)
        data = shop.user.post(path, json=body).json()["data"]
        assert "user_key" not in data.get("debit", data)
    assert shop.server.wallet("verify").code == 0


def test_through_the_remote_client_a_users_keys_are_their_own(shop: Shop) -> None:
    server, operator, user = shop.server, shop.operator, shop.user
    environ = {"WALLET_DB": server.url, "WALLET_TOKEN": user.headers["Authorization"].split()[1]}
    line = f"tx add id:{shop.id}"
    assert wallet(server.folder, line + " 20 --debit --key order-7", environ).code == 0
    status, charged = send(shop, operator, "single", "order-7", "20")
    assert (status, "replayed" in charged) == (201, False)
    again = json.loads(wallet(server.folder, line + " 20 --debit --key order-7 --json", environ).out)
    assert (again["replayed"], again["user_key"]) == (True, True)
    assert wallet(server.folder, line + " 20 --debit --at 2020-01-01", environ).code == 8
    assert server.wallet("verify").code == 0


# --- what is left behind by those who may not -----------------------------------------------------------------------


def events(server: Server, *codes: str) -> list[dict[str, Any]]:
    return [line for line in server.log if line["event"] in codes]


def test_wrong_keys_and_missing_rights_leave_a_trace_and_no_secret(tmp_path: Path) -> None:
    with Server(tmp_path, environ={"JWT_SECRET_KEY": SECRET}) as server:
        till, reader, gone = server.key("till"), server.key("reader", "--read-only"), server.key("gone")
        assert server.wallet("register 9886977544").code == 0
        assert server.wallet("key revoke gone").code == 0
        token = server.wallet("token 1 -q").out.strip()
        forged = jwt.encode({"sub": "7"}, "x" * 32, algorithm="HS256")
        wrong = "wk_" + "x" * 43
        credentials = (None, wrong, gone, forged, "garbage", "x" * 5000, token, reader)
        for credential in credentials:
            answer = server.api(credential).post("/users", json={"phone_number": "9886977545"})
            assert answer.status_code == (403 if credential in (token, reader) else 401)
        wait_for(lambda: len(events(server, "unauthenticated", "forbidden")) >= len(credentials))
        told = events(server, "unauthenticated", "forbidden")
        assert [(line["event"], line["caller"]) for line in told] == [
            ("unauthenticated", "nobody"),
            ("unauthenticated", f"key:{api_keys.hash_key(wrong).hex()[:8]}"),
            ("unauthenticated", f"key:{api_keys.hash_key(gone).hex()[:8]}"),
            ("unauthenticated", "user:7"),
            ("unauthenticated", "user:?"),
            ("unauthenticated", "user:?"),
            ("forbidden", "user:1"),
            ("forbidden", "operator:reader"),
        ]
        assert {line["address"] for line in told} == {"127.0.0.1"}
        assert all({"time", "request_id", "reason"} <= line.keys() for line in told)
        for secret in (till, reader, gone, token, forged, wrong, SECRET):
            assert secret not in server.stderr
        counted = server.client().get("/metrics").text
        assert 'wallet_refusals_total{code="unauthenticated"} 6.0' in counted
        assert 'wallet_refusals_total{code="forbidden"} 2.0' in counted


def test_nobody_can_fill_the_log(tmp_path: Path) -> None:
    """The first of each kind at once, and then how many more there were; of very many kinds, only how many."""
    with Server(tmp_path, environ={"JWT_SECRET_KEY": SECRET}) as server:
        api = server.api("wk_" + "x" * 43)
        for _ in range(50):
            assert api.get("/wallet/get/1").status_code == 401
        client = server.api()
        for number in range(1200):
            headers = {"Authorization": f"Bearer wk_{number}"}
            assert client.get("/wallet/get/1", headers=headers).status_code == 401
        assert server.stop() == 0
        told = events(server, "unauthenticated")
        assert len(told) < 1010
        [more] = [line for line in told if line.get("caller", "").startswith("key:") and "more" in line]
        assert more["more"] == 49
        assert sum(line.get("more", 1) for line in told) == 1250


def test_what_repeats_is_counted_anew_after_a_while(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(log_module.time, "monotonic", lambda: now[0])
    repeated = log_module.Repeated()
    for at in (0.0, 1.0, 2.0, 31.0, 32.0):
        now[0] = at
        repeated.log("forbidden", {"request_id": str(at)}, caller="user:1")
    log_module.finish()
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [(line.get("request_id"), line.get("more")) for line in lines] == [("0.0", None), (None, 2), ("31.0", None)]


# --- what strangers are told ----------------------------------------------------------------------------------------


@pytest.mark.on_file("what is in the way has a path and a process here")
def test_strangers_are_told_no_paths_and_no_processes(tmp_path: Path) -> None:
    """/readyz to anybody, and a write to a user; an operator is told who is in the way, and the log says it too."""
    with Server(tmp_path, environ={"JWT_SECRET_KEY": SECRET, "WALLET_LOCK_TIMEOUT": "0.2"}) as server:
        key = server.key("till")
        api = server.api(key)
        assert api.post("/users", json={"phone_number": "9886977544"}).status_code == 201
        assert api.post("/wallet/create", json={"user_id": 1, "type": "main"}).status_code == 201
        token = wallet(tmp_path, "token 1 -q", {"JWT_SECRET_KEY": SECRET}).out.strip()
        assert isinstance(server.db, Path)
        with held(WriteLock, server.db.with_name("wallet.db.lock"), "settling") as holder:
            answers = [
                server.client().get("/readyz"),
                server.client("wk_wrong").get("/readyz"),
                server.client(token).get("/readyz"),
                server.api(token).post("/transactions/create", json=DEBIT),
            ]
            for answer in answers:
                assert (answer.status_code, answer.json()["code"]) == (503, "busy")
                assert answer.json()["details"] == {}
                assert answer.json()["retryable"]
                for told in (str(tmp_path), "wallet.db", "settling", str(holder.pid)):
                    assert told not in answer.text
            for answer in (server.client(key).get("/readyz"), api.post("/transactions/create", json=CREDIT)):
                assert answer.status_code == 503
                assert answer.json()["details"]["holder"]["pid"] == holder.pid
        assert any(str(holder.pid) in line["reason"] for line in events(server, "failed"))
        assert server.client().get("/readyz").status_code == 200


def test_a_page_outside_the_api_looks_up_who_asks_as_the_api_does(tmp_path: Path) -> None:
    """Again and again, where it fails: on PostgreSQL it may take no connection for good."""
    with Server(tmp_path) as server:
        key = server.key("till")
        engines.execute(server.db, "UPDATE ledger SET state = 'moved', other = 'new.db', move = 'm', since_us = 1")
        wrong = [server.client(f"wk_{number}").get("/readyz") for number in range(CONNECTIONS + 1)]
        right = server.client(key).get("/readyz")
        assert [each.status_code for each in (*wrong, right)] == [503] * (CONNECTIONS + 2)
        assert {each.json()["message"] for each in wrong} == {"this ledger takes no writes here"}
        assert right.json()["details"]["to"] == "new.db"
        assert server.api(key).get("/users").status_code == 200
        assert not events(server, "internal_error")


def test_strangers_are_not_told_where_the_database_is(tmp_path: Path, engine: Engine) -> None:
    """Neither by /readyz, nor where a key is looked up that is nobody's."""
    with Server(tmp_path, environ={"JWT_SECRET_KEY": SECRET}) as server:
        url = str(server.db)
        error = http_errors.for_strangers(StorageError(f"cannot be reached: {url}", hint=f"look at {url}", path=url))
        assert url not in json.dumps(failure(error))
        assert (error.code, error.http_status, error.retryable) == ("storage_error", 503, True)
        moved = http_errors.for_strangers(LedgerMoved(f"moved to {url}", hint=url, to=url))
        assert url not in json.dumps(failure(moved))
        assert moved.code == "ledger_moved"
