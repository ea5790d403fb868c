"""Calls that the tests of the endpoints make, and what they expect of any answer."""

from __future__ import annotations

import itertools
from typing import Any

import httpx

Owned = tuple[int, int]
"""The ids of a user and of a wallet of theirs."""


_numbers = itertools.count(9_886_900_000)


def new_user(api: httpx.Client) -> int:
    """Somebody new. A free phone number is found by asking, from the next one on that this process has not used."""
    for number in _numbers:
        made = api.post("/users", json={"phone_number": str(number)})
        if made.status_code == 201:
            return int(made.json()["data"]["id"])
        assert made.status_code == 409
    raise AssertionError("no number is free")


def new_wallet(api: httpx.Client, **more: Any) -> Owned:
    """A new user and their empty wallet, of the type `main`."""
    user_id = new_user(api)
    return user_id, made(call(api, "/wallet/create", user_id=user_id, **{"type": "main"} | more))["id"]


def ids(owned: Owned) -> dict[str, int]:
    """The fields that name a wallet in a body."""
    return {"user_id": owned[0], "wallet_id": owned[1]}


def call(api: httpx.Client, path: str, key: str = "", **body: Any) -> httpx.Response:
    """POST a body, with a key where one is given."""
    return api.post(path, json=body, headers={"Idempotency-Key": key} if key else {})


def made(answer: httpx.Response, status: int = 201) -> Any:
    """The data of a success."""
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"message", "data"}
    return answer.json()["data"]


def post(api: httpx.Client, owned: Owned, amount: Any, *, is_credit: bool = True, key: str = "", **more: Any) -> Any:
    """Credit or debit; the answer's status and body."""
    return call(api, "/transactions/create", key, **ids(owned), amount=amount, is_credit=is_credit, **more)


def transfer(api: httpx.Client, source: Owned, target: Owned, amount: Any, *, key: str = "", **more: Any) -> Any:
    """Move money from one wallet to another."""
    to = {"to_user_id": target[0], "to_wallet_id": target[1]}
    return call(api, "/transfers/create", key, **ids(source), **to, amount=amount, **more)


def balance(api: httpx.Client, owned: Owned) -> str:
    return str(api.get(f"/wallet/get/{owned[0]}/main").json()["data"]["balance"])


def failure(answer: httpx.Response, status: int, code: str, *, retryable: bool = False) -> Any:
    """The details of a refusal, whose envelope is as promised."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert {"message", "data", "code", "details", "retryable"} <= set(body)
    assert (body["data"], body["code"], body["retryable"]) == (None, code, retryable)
    return body["details"]


def item(owned: Owned, amount: Any, *, is_credit: bool = True, **more: Any) -> dict[str, Any]:
    """One of a batch."""
    return ids(owned) | {"amount": amount, "is_credit": is_credit} | more


def batch(api: httpx.Client, items: list[dict[str, Any]], **more: Any) -> httpx.Response:
    return api.post("/transactions/batch", json={"transactions": items} | more)
