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


def test_what_is_set_is_in_force_for_the_next_request(api: httpx.Client) -> None:
    before = api.get("/ledger").json()["data"]
    numbers = iter(range(2079460200, 2079460299))
    try:
        for region, code, currency in [("GB", "+44", "GBP"), ("US", "+1", "USD"), ("IN", "+91", "INR")] * 3:
            api.get("/users")  # whoever reads now knows the settings of before
            assert call(api, "/ledger", currency=currency, phone_region=region).status_code == 200
            number = str(next(numbers))
            user = made(call(api, "/users", phone_number=number))
            assert user["phone_e164"] == f"{code}{number}"
            assert made(call(api, "/wallet/create", user_id=user["id"], type="main"))["currency"] == currency
    finally:
        assert call(api, "/ledger", currency=before["currency"], phone_region=before["phone_region"]).status_code == 200


REGIONS = [
    # How a number was sent, where, how it is sent again, and whether that is the same request.
    ("2079460100", "GB", {"phone_region": "GB"}, True),
    ("2079460101", "GB", {"phone_region": "US"}, False),
    ("2079460102", "GB", {"phone_region": "DK"}, None),
    ("2079460103", "GB", {"phone_region": "ZZ"}, None),
    ("9886800104", None, {}, True),
    ("9886800105", None, {"phone_region": "IN"}, True),
    ("9886942641", None, {"phone_region": "RU"}, False),
    ("9886942642", "RU", {}, True),
    ("+442079460105", "GB", {"phone_region": "US"}, True),
    ("+442079460106", None, {}, True),
]
"""None: it is no number there."""


@pytest.mark.parametrize(("number", "region", "again", "same"), REGIONS)
def test_a_number_of_another_country_is_another_request(
    api: httpx.Client, number: str, region: str | None, again: dict[str, str], same: bool | None
) -> None:
    key = f"{number} of {region} as {again}"
    body = {"phone_number": number, "name": "Asha"}
    first = made(call(api, "/users", key, **body | ({} if region is None else {"phone_region": region})))
    sent_again = call(api, "/users", key, **body | again)
    if same:
        assert made(sent_again, 200) == first | {"replayed": True}
    else:
        failure(sent_again, *((400, "invalid_input") if same is None else (409, "key_reused")))


@pytest.mark.parametrize("path", ["/users", "/wallet/create"])
@pytest.mark.parametrize("key", ["x" * 256, "a\tb"])
def test_a_key_that_is_none_is_refused(api: httpx.Client, path: str, key: str) -> None:
    body = {"phone_number": "9886800009"} if path == "/users" else {"user_id": 1, "type": "never"}
    failure(call(api, path, key, **body), 400, "invalid_input")
