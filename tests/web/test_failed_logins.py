"""Wrong keys: after so many, an address is told to wait, and the ledger is left alone. Right keys still pass."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.engines import Engine
from support.server import Server, wallet
from support.somebody import HAS_LIMIT
from support.waiting import wait_for
from web.hostile import SECRET

from wallet_cli.domain.model import ApiKey
from wallet_cli.errors import Unauthenticated
from wallet_cli.operations.api_keys import KEY_PREFIX, hash_key
from wallet_cli.operations.tokens import Tokens
from wallet_cli.web import auth, failed_logins
from wallet_cli.web.auth import Authenticator
from wallet_cli.web.failed_logins import BURST, FailedLogins
from wallet_cli.web.http_errors import RateLimited

PATH = "/wallet/get/1"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, which stands still."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def failures(failed: FailedLogins, address: str, times: int) -> list[float]:
    """How long each of so many failures is told to wait."""
    waits = []
    for _ in range(times):
        waits.append(failed.wait_s(address))
        if not waits[-1]:
            failed.count(address)
    return waits


def test_a_bucket_is_emptied_at_once_and_fills_again(clock: list[float]) -> None:
    failed = FailedLogins()
    assert failures(failed, "192.0.2.1", BURST + 3) == [0.0] * BURST + [1.0] * 3
    clock[0] += 0.75
    assert failed.wait_s("192.0.2.1") == 0.25
    clock[0] += 0.25
    assert failures(failed, "192.0.2.1", 2) == [0.0, 1.0]
    clock[0] += 3600
    assert failures(failed, "192.0.2.1", BURST + 1) == [0.0] * BURST + [1.0]


@pytest.mark.parametrize(
    ("address", "other", "is_same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("-", "192.0.2.1", False),
    ],
)
def test_who_shares_a_bucket(clock: list[float], address: str, other: str, is_same: bool) -> None:
    failed = FailedLogins()
    failures(failed, address, BURST)
    assert bool(failed.wait_s(other)) == is_same


def test_only_so_many_addresses_are_remembered(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose last failure was longest ago is forgotten first."""
    monkeypatch.setattr(failed_logins, "MAX_ADDRESSES", 3)
    failed = FailedLogins()
    for number in range(1, 4):
        failures(failed, f"192.0.2.{number}", BURST - (number == 1))
    failed.count("192.0.2.1")
    failed.count("192.0.2.4")
    assert [bool(failed.wait_s(f"192.0.2.{number}")) for number in range(1, 5)] == [True, False, True, False]
    assert len(failed._full_at_s) == 3


class Counted:
    """A store of operators that counts how often it is asked."""

    def __init__(self, *operators: ApiKey) -> None:
        self.all = list(operators)
        self.asked = 0

    def operator_by_hash(self, key_hash: bytes) -> ApiKey | None:
        self.asked += 1
        return next((each for each in self.all if each.key_hash == key_hash), None)

    def operator_by_name(self, name: str) -> ApiKey | None:
        self.asked += 1
        return next((each for each in self.all if each.name == name), None)

    def itself(self) -> None:
        """It is the ledger that was opened."""

    def operators(self) -> list[ApiKey]:
        self.asked += 1
        return self.all


def scope(credential: str, address: str = "192.0.2.1") -> Any:
    return {"client": (address, 1), "headers": [(b"authorization", f"Bearer {credential}".encode())]}


def key(name: str) -> str:
    return KEY_PREFIX + name.ljust(43, "x")


def operator(name: str) -> ApiKey:
    return ApiKey(name, hash_key(key(name)), False, 0, None, None)


@pytest.mark.parametrize("is_local", [True, False], ids=["in a file", "on another host"])
def test_the_ledger_is_asked_once_a_second_and_right_keys_pass(clock: list[float], is_local: bool) -> None:
    tokens = Tokens(SECRET, 60, 60)
    store: Any = Counted(operator("till"), operator("gone"))
    authenticator = Authenticator(lambda: store, tokens, "ledger", is_local=is_local)
    for _ in range(BURST):
        with pytest.raises(Unauthenticated):
            authenticator.caller(scope(key(secrets.token_hex(8))))
    assert store.asked == BURST
    store.asked = 0
    token = "eyJ" + tokens.issue("ledger", 7, None, "till")[3:]
    clock[0] += 0.5
    for _ in range(100):
        for wrong in (key(secrets.token_hex(8)), token[:-1], "x" * 5000):
            with pytest.raises(RateLimited) as caught:
                authenticator.caller(scope(wrong))
            assert caught.value.details == {"retry_after_s": 1}
        assert authenticator.caller(scope(key("till"))).operator == "till"
        assert authenticator.caller(scope(token)).user_id == 7
    # The list was read once. A right key is looked up as always: at each call in a file, else once, with its name.
    assert store.asked == 1 + (200 if is_local else 2)
    with pytest.raises(Unauthenticated):
        authenticator.caller(scope(key("nobody"), "192.0.2.2"))  # another address is not told to wait
    # A key that was made meanwhile counts a second later, at the latest; one that was revoked, as it always does.
    store.all = [operator("new"), *(operator(name)._replace(revoked_at_us=1) for name in ("gone", "till"))]
    authenticator._failed.count("192.0.2.1")  # still none left
    if is_local:
        for given in (key("till"), token):
            with pytest.raises(RateLimited):
                authenticator.caller(scope(given))
    clock[0] += auth.REMEMBER_S
    assert authenticator.caller(scope(key("new"))).operator == "new"
    with pytest.raises(RateLimited):
        authenticator.caller(scope(key("gone")))


@pytest.fixture(scope="module")
def server(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("limited"), environ={"JWT_SECRET_KEY": SECRET, HAS_LIMIT: "1"}) as server:
        yield server


def until_limited(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """The first answer that says to wait; on a machine that is slow, the bucket fills meanwhile."""
    return next(answer for answer in (ask() for _ in range(10_000)) if answer.status_code != 401)


def test_a_stranger_is_told_to_wait_and_others_are_served(server: Server) -> None:
    """From one address, as behind one proxy."""
    api = server.api(server.key("till"))
    assert api.post("/users", json={"phone_number": "9886977544"}).status_code == 201
    user = server.api(api.post("/tokens", json={"user_id": 1}).json()["data"]["token"])
    stranger = server.api()

    def wrong() -> httpx.Response:
        return stranger.get(PATH, headers={"Authorization": f"Bearer {key(secrets.token_hex(8))}"})

    assert [wrong().status_code for _ in range(BURST)] == [401] * BURST
    limited = until_limited(wrong)
    assert limited.headers["retry-after"] == "1"
    body = limited.json()
    assert (body["code"], body["retryable"], body["details"]) == ("rate_limited", True, {"retry_after_s": 1})
    # What needs no ledger to be refused is limited too.
    assert {stranger.get(PATH).status_code for _ in range(5)} <= {401, 429}
    for _ in range(BURST):
        assert (api.get(PATH).status_code, user.get(PATH).status_code) == (200, 200)
    # A right key without the right is told so.
    assert user.get("/users").status_code == 403

    wait_for(lambda: '"event": "rate_limited"' in server.stderr)
    page = server.client().get("/metrics").text
    assert 'wallet_turned_away_total{reason="the key is not valid"} ' in page
    assert 'wallet_turned_away_total{reason="rate_limited"} ' in page
    assert 'wallet_turned_away_total{reason="only an operator may do this"} 1.0' in page
    assert sum(line.startswith('{"time"') and '"rate_limited"' in line for line in server.lines) == 1
    # After a while, a wrong key is told that it is wrong.
    wait_for(lambda: wrong().status_code == 401)


def test_a_command_with_a_wrong_token_says_so(server: Server, tmp_path: Path) -> None:
    wrong = {"WALLET_DB": server.url, "WALLET_TOKEN": key("wrong")}
    until_limited(lambda: server.api().get(PATH))
    done = wallet(tmp_path, "users --json", wrong)
    assert (done.code, done.error["code"]) == (8, "unauthenticated"), done
    assert "WALLET_TOKEN" in done.error["hint"]
