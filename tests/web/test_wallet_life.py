"""Freezing, unfreezing and closing wallets, and their limits, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from web.calls import Owned, call, failure, ids, made, new_wallet, post, transfer


def set_status(api: httpx.Client, owned: Owned, verb: str) -> httpx.Response:
    return call(api, f"/wallet/{verb}", **ids(owned))


def limits(api: httpx.Client, owned: Owned, **given: Any) -> httpx.Response:
    return call(api, "/wallet/limits", **ids(owned), **given)


def test_a_frozen_wallet_can_be_read_and_not_changed(api: httpx.Client, owned: Owned) -> None:
    other = new_wallet(api)
    made(post(api, owned, "10.00"))
    made(post(api, other, "10.00"))
    for _ in range(2):  # what is so already stays so
        assert made(set_status(api, owned, "freeze"), 200)["status"] == "frozen"
    for refused in (
        post(api, owned, 1),
        post(api, owned, 1, is_credit=False),
        transfer(api, owned, other, 1),
        transfer(api, other, owned, 1),
        call(api, "/holds/create", **ids(owned), amount=1),
    ):
        assert failure(refused, 409, "wallet_not_active")["status"] == "frozen"
    assert made(api.get(f"/wallet/get/{owned[0]}/main"), 200)["balance"] == "10.00"
    assert made(set_status(api, owned, "unfreeze"), 200)["status"] == "active"
    made(post(api, owned, 1))


def test_closing_needs_an_empty_wallet_and_is_for_good(api: httpx.Client, owned: Owned) -> None:
    made(post(api, owned, "10.00"))
    hold = made(call(api, "/holds/create", **ids(owned), amount=4))["id"]
    details = failure(set_status(api, owned, "close"), 409, "wallet_not_empty")
    assert (details["balance"], details["held"]) == ("10.00", "4.00")
    made(call(api, "/holds/void", hold=hold), 200)
    made(post(api, owned, "10.00", is_credit=False))
    assert made(set_status(api, owned, "close"), 200)["status"] == "closed"
    assert failure(set_status(api, owned, "unfreeze"), 409, "wallet_not_active")["status"] == "closed"
    assert failure(limits(api, owned, daily_debit=1), 409, "wallet_not_active")["status"] == "closed"
    assert failure(post(api, owned, 1), 409, "wallet_not_active")["status"] == "closed"


def test_limits_are_set_one_by_one_and_lifted_by_none(api: httpx.Client, owned: Owned) -> None:
    """As numbers, read exactly, and as strings; what is not given stays."""

    def now(**given: Any) -> tuple[Any, ...]:
        data = made(limits(api, owned, **given), 200)
        return data["minimum_balance"], data["maximum_balance"], data["daily_debit"]

    assert now() == ("0.00", None, None)
    assert now(minimum_balance=-0.1) == ("-0.10", None, None)
    assert now(maximum_balance="9007199254740.93") == ("-0.10", "9007199254740.93", None)
    assert now(daily_debit=9007199254740.93) == ("-0.10", "9007199254740.93", "9007199254740.93")
    assert now(daily_debit="none", minimum_balance="1.00") == ("1.00", "9007199254740.93", None)
    assert now(minimum_balance="none", maximum_balance="none") == ("0.00", None, None)
    failure(limits(api, owned, minimum_balance="2.00", maximum_balance="1.00"), 400, "invalid_input")


@pytest.mark.parametrize(
    ("limit", "posting", "expected"),
    [
        ({"maximum_balance": "10.50"}, {"amount": "0.51"}, {"limit": "maximum_balance", "available": "0.50"}),
        (
            {"daily_debit": "2.00"},
            {"amount": "2.01", "is_credit": False},
            {"limit": "daily_debit", "available": "2.00"},
        ),
    ],
)
def test_a_refusal_names_the_limit(
    api: httpx.Client, owned: Owned, limit: dict[str, str], posting: dict[str, Any], expected: dict[str, str]
) -> None:
    made(post(api, owned, "10.00"))
    made(limits(api, owned, **limit), 200)
    details = failure(post(api, owned, **posting), 409, "limit_exceeded")
    assert expected | {"shortfall": "0.01"} == {name: details[name] for name in (*expected, "shortfall")}


def test_a_negative_minimum_is_an_overdraft(api: httpx.Client, owned: Owned) -> None:
    made(limits(api, owned, minimum_balance="-5.00"), 200)
    assert made(post(api, owned, "5.00", is_credit=False))["balance"] == "-5.00"
    failure(post(api, owned, "0.01", is_credit=False), 409, "insufficient_funds")


@pytest.mark.parametrize("path", ["/wallet/freeze", "/wallet/unfreeze", "/wallet/close", "/wallet/limits"])
def test_a_wallet_that_is_not_that_users(api: httpx.Client, owned: Owned, path: str) -> None:
    other = new_wallet(api)
    for pair in ((owned[0], 999_999), (owned[0], other[1]), (999_999, owned[1])):
        failure(call(api, path, **ids(pair)), 404, "wallet_not_found")
