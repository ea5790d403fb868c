"""Who may call, and what they may do: as a table, and what becomes of keys and tokens."""

from __future__ import annotations

import asyncio
import json
import os
import re
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import jwt
import pytest
from support import engines
from support.engines import Engine
from support.server import Server, wallet
from web.hostile import SECRET, claims, forge
from web.raw import dump

from wallet_cli import settings
from wallet_cli.services import operators
from wallet_cli.services.context import Ledger, open_ledger
from wallet_cli.services.tokens import open_tokens
from wallet_cli.web import site as site_module
from wallet_cli.web.app import OPERATIONS
from wallet_cli.web.site import Site

CALLERS = ("operator", "read-only", "own user", "other user", "expired", "revoked", "none")


class Place(NamedTuple):
    """A server with two users, a wallet of 100.00 each, two holds and two more wallets of user 1, and every caller."""

    server: Server
    clients: dict[str, httpx.Client]


@pytest.fixture(scope="module")
def place(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with Server(tmp_path_factory.mktemp("auth"), environ={"JWT_SECRET_KEY": SECRET}) as server:
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
    ("find a transaction", "GET", "/lookup/transaction?id=1-1", None, "200 200 200 404 401 401 401"),
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
ROWS = [
    pytest.param(method, path, body, caller, int(status), id=f"{name}: {caller}")
    for name, method, path, body, statuses in TABLE
    for caller, status in zip(CALLERS, statuses.split(), strict=True)
]


@pytest.mark.parametrize(("method", "path", "body", "caller", "status"), ROWS)
def test_who_may_call(place: Place, method: str, path: str, body: Any, caller: str, status: int) -> None:
    before = dump(place.server.db)
    client = place.clients[caller]
    if isinstance(body, bytes):
        kind = "application/x-ndjson" if body.startswith(b"{") else "text/csv"
        answer = client.request(method, path, content=body, headers={"Content-Type": kind})
    else:
        answer = client.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    if status >= 400:
        assert dump(place.server.db) == before


def test_the_table_has_every_operation() -> None:
    """And so nobody forgets to say who may call a new one."""
    asked = [(method, path.partition("?")[0]) for _, method, path, *_ in TABLE]
    for method, path, _ in OPERATIONS:
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


def test_the_scheme_is_read_in_any_case(place: Place) -> None:
    key = place.clients["operator"].headers["Authorization"].split(" ")[1]
    for scheme in ("bearer", "BEARER", "Bearer"):
        answer = place.server.api().get("/wallet/get/1", headers={"Authorization": f"{scheme} {key}"})
        assert answer.status_code == 200


# --- keys -----------------------------------------------------------------------------------------------------------


REVOKED_WITHIN_S = 1 + 5
"""A server in another place hears of it within a second; the rest is for a machine that does much else."""


def test_a_key_that_is_revoked_is_refused_at_once_by_a_server_that_runs(tmp_path: Path, engine: Engine) -> None:
    with Server(tmp_path) as server:
        key, other = server.key("till"), server.key("back-office")
        client, beside = server.api(key), server.api(other)
        assert client.get("/wallet/get/1").status_code == 404  # in, and on a connection that stays open
        revoked = server.wallet("key revoke till")
        assert revoked.code == 0
        until_s = time.monotonic() + (REVOKED_WITHIN_S if engine.name == "postgres" else 0)
        while (status := client.get("/wallet/get/1").status_code) == 404 and time.monotonic() < until_s:
            pass
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
            assert any(operators.hash_key(key) in content for content in contents)
        [(stored,)] = engines.rows(server.db, "SELECT key_hash FROM operators WHERE name = 'till'")
        assert stored == operators.hash_key(key)
        for said in (listed.out, listed.err, server.stderr):
            assert key not in said
        for secret in (key, key.removeprefix("wk_")):
            assert not [path for path, content in zip(files, contents, strict=True) if secret.encode() in content]


def test_keys_are_random_and_long(ledger: Ledger) -> None:
    keys = {operators.create(ledger, f"k{number}")["key"] for number in range(50)}
    assert len(keys) == 50
    assert all(key.startswith("wk_") and len(key) == len("wk_") + 43 for key in keys)


def test_a_key_without_q_is_shown_with_its_name(tmp_path: Path) -> None:
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
        key = operators.create(ledger, "till")["key"]
        operators.create(ledger, "idle")

    def last_used() -> dict[str, str | None]:
        with open_ledger(chosen, lambda _: None) as again:
            return {each["name"]: each["last_used_at"] for each in operators.listed(again)}

    async def serve() -> None:
        site = Site(chosen, open_tokens(chosen)[0], auth=True, access_log=False)
        site.start()
        try:
            scope = {"headers": [(b"authorization", f"Bearer {key}".encode())]}
            assert site.door.caller(scope).operator == "till"
            assert site.door.used == {"till"}
            async with asyncio.timeout(30):
                while site.door.used or last_used()["till"] is None:
                    await asyncio.sleep(0)
        finally:
            await site.stop()

    monkeypatch.setattr(site_module, "NOTE_USE_EVERY_S", 0.0)
    assert last_used() == {"till": None, "idle": None}
    asyncio.run(serve())
    used = last_used()
    assert used["till"] is not None
    assert used["idle"] is None


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
    said = jwt.decode(issued["token"], SECRET, algorithms=["HS256"], audience="wallet-api", issuer="wallet")
    assert set(said) == {"iss", "aud", "sub", "type", "iat", "exp", "jti"}
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


@pytest.mark.parametrize(("arguments", "code"), [("1 --expires 0", 2), ("1 --expires 525601", 2), ("2", 3), ("+1", 2)])
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
        tokens = list(pool.map(lambda _: wallet(tmp_path, "token 1 -q").out.strip(), range(6)))
    secret = secret_file(tmp_path).read_text()
    for token in tokens:
        assert jwt.decode(token, secret, algorithms=["HS256"], audience="wallet-api")["sub"] == "1"
