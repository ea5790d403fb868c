"""`Idempotency-Key` where users and wallets are made: sent again, nothing is made twice and nothing is refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from web.calls import call, failure, made, new_user

KEYS = iter(range(10**6))


def fresh() -> str:
    return f"registration-{next(KEYS)}"


def test_a_registration_that_is_sent_again_is_answered_again(api: httpx.Client) -> None:
    key, body = fresh(), {"phone_number": "9886800001", "name": "Asha"}
    first = made(call(api, "/users", key, **body))
    assert "replayed" not in first
    assert made(call(api, "/users", key, **body), 200) == first | {"replayed": True}
    # The same number in another form, and spaces around the key, are the same request.
    again = api.post("/users", json=body | {"phone_number": "+91 98868 00001"}, headers={"Idempotency-Key": key})
    assert made(again, 200)["id"] == first["id"]
    failure(call(api, "/users", key, **body | {"name": "Another"}), 409, "key_reused")
    failure(call(api, "/users", key, **body | {"phone_number": "9886800002"}), 409, "key_reused")
    failure(call(api, "/users", fresh(), **body), 409, "user_exists")
    failure(call(api, "/users", **body), 409, "user_exists")


def test_a_refused_registration_leaves_its_key_free(api: httpx.Client) -> None:
    key = fresh()
    assert call(api, "/users", key, phone_number="9886800003").status_code == 201
    other = fresh()
    failure(call(api, "/users", other, phone_number="9886800003"), 409, "user_exists")
    assert call(api, "/users", other, phone_number="9886800004").status_code == 201


def test_a_wallet_that_is_opened_again_is_answered_again(api: httpx.Client) -> None:
    key, user_id = fresh(), new_user(api)
    body: dict[str, Any] = {"user_id": user_id, "type": "main", "currency": "EUR"}
    first = made(call(api, "/wallet/create", key, **body))
    again = made(call(api, "/wallet/create", key, **body), 200)
    assert (again["replayed"], again["id"]) == (True, first["id"])
    failure(call(api, "/wallet/create", key, **body | {"currency": "USD"}), 409, "key_reused")
    failure(call(api, "/wallet/create", key, **body | {"type": "spare"}), 409, "key_reused")
    failure(call(api, "/wallet/create", **body), 409, "wallet_exists")
    # Whatever has become of it since: the answer is what it was.
    ids = {"user_id": user_id, "wallet_id": first["id"]}
    limits = {"minimum_balance": "-20", "maximum_balance": "500", "daily_debit": "50"}
    assert call(api, "/wallet/limits", **ids | limits).status_code == 200
    assert made(call(api, "/wallet/create", key, **body), 200) == first | {"replayed": True}
    failure(call(api, "/wallet/create", key, **body | {"minimum_balance": "-20"}), 409, "key_reused")
    assert call(api, "/wallet/close", **ids).status_code == 200
    assert made(call(api, "/wallet/create", key, **body), 200) == first | {"replayed": True}
    # Nor does the ledger's own minimum, which decides where a wallet has none.
    try:
        told = {None: first}
        for minimum in ("-5", "2.5", "none", "-1"):
            made(call(api, "/ledger", minimum_balance=minimum), 200)
            opened = made(call(api, "/wallet/create", key + minimum, **body | {"type": f"of{minimum}"}))
            assert opened["minimum_balance"] == {"2.5": "2.50", "none": "0.00"}.get(minimum, f"{minimum}.00")
            told[minimum] = opened
        for name, answer in told.items():
            again = body if name is None else body | {"type": f"of{name}"}
            assert made(call(api, "/wallet/create", key + (name or ""), **again), 200) == answer | {"replayed": True}
    finally:
        made(call(api, "/ledger", minimum_balance="none"), 200)
    # Another user's keys are others.
    assert call(api, "/wallet/create", key, **body | {"user_id": new_user(api)}).status_code == 201


def test_settings_that_change_make_no_other_request_of_it(api: httpx.Client) -> None:
    user = {"phone_number": "9886800017"}
    first_user = made(call(api, "/users", "first-user", **user))
    wallet = {"user_id": first_user["id"], "type": "main", "minimum_balance": "20"}
    first_wallet = made(call(api, "/wallet/create", "first-wallet", **wallet))
    before = api.get("/ledger").json()["data"]
    try:
        assert call(api, "/ledger", currency="JPY", phone_region="GB").status_code == 200
        assert made(call(api, "/users", "first-user", **user), 200) == first_user | {"replayed": True}
        # In Denmark, where a number has eight digits, this is none.
        assert call(api, "/ledger", phone_region="DK").status_code == 200
        assert made(call(api, "/users", "first-user", **user), 200) == first_user | {"replayed": True}
        assert made(call(api, "/wallet/create", "first-wallet", **wallet), 200) == first_wallet | {"replayed": True}
    finally:
        assert call(api, "/ledger", currency=before["currency"], phone_region=before["phone_region"]).status_code == 200


@pytest.mark.parametrize("path", ["/users", "/wallet/create"])
@pytest.mark.parametrize("key", ["x" * 256, "a\tb"])
def test_a_key_that_is_none_is_refused(api: httpx.Client, path: str, key: str) -> None:
    body = {"phone_number": "9886800009"} if path == "/users" else {"user_id": 1, "type": "never"}
    failure(call(api, path, key, **body), 400, "invalid_input")
