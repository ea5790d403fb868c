"""Holds over HTTP: what is held cannot be spent, and each ends once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from web.calls import Owned, call, failure, ids, made, post


def hold(api: httpx.Client, owned: Owned, amount: Any, key: str = "", **more: Any) -> httpx.Response:
    return call(api, "/holds/create", key, **ids(owned), amount=amount, **more)


def capture(api: httpx.Client, id_: str, key: str = "", **more: Any) -> httpx.Response:
    return call(api, "/holds/capture", key, hold=id_, **more)


def void(api: httpx.Client, id_: str) -> httpx.Response:
    return call(api, "/holds/void", hold=id_)


def money(api: httpx.Client, owned: Owned) -> tuple[str, str, str]:
    """Balance, held, available."""
    data = made(api.get(f"/wallet/get/{owned[0]}/main"), 200)
    return data["balance"], data["held"], data["available"]


def test_held_money_is_not_available(api: httpx.Client, owned: Owned) -> None:
    made(post(api, owned, "10.00"))
    placed = made(hold(api, owned, 0.1, "h", expires="1d", note="table 4"))
    assert placed == {
        "id": f"{owned[1]}-h1",
        "wallet_id": owned[1],
        "status": "open",
        "amount": "0.10",
        "captured": "0.00",
        "held": "0.10",
        "currency": "INR",
        "created_at": placed["created_at"],
        "expires_at": placed["expires_at"],
        "ended_at": None,
        "note": "table 4",
        "key": "h",
    }
    assert placed["created_at"] < placed["expires_at"]
    assert money(api, owned) == ("10.00", "0.10", "9.90")
    assert made(hold(api, owned, "0.10", "h", expires="1d", note="table 4"), 200) == placed | {"replayed": True}
    failure(hold(api, owned, "0.11", "h", expires="1d", note="table 4"), 409, "key_reused")
    details = failure(post(api, owned, "9.91", is_credit=False), 409, "insufficient_funds")
    assert (details["available"], details["held"], details["shortfall"]) == ("9.90", "0.10", "0.01")
    failure(hold(api, owned, "9.91"), 409, "insufficient_funds")
    assert money(api, owned) == ("10.00", "0.10", "9.90")


def test_capture_in_parts(api: httpx.Client, owned: Owned) -> None:
    made(post(api, owned, "10.00"))
    id_ = made(hold(api, owned, "6.00"))["id"]
    failure(capture(api, id_, amount="6.01"), 409, "capture_exceeds_hold")
    first = made(capture(api, id_, "c1", amount=2.5, keep=True, note="starter"))
    assert (first["kind"], first["amount"], first["hold"], first["note"]) == ("debit", "2.50", id_, "starter")
    assert made(capture(api, id_, "c1", amount="2.50", keep=True, note="starter"), 200) == first | {"replayed": True}
    assert money(api, owned) == ("7.50", "3.50", "4.00")
    made(capture(api, id_, amount="1.00"))  # the rest is released
    assert money(api, owned) == ("6.50", "0.00", "6.50")
    assert failure(capture(api, id_), 409, "hold_not_open")["status"] == "captured"
    assert failure(void(api, id_), 409, "hold_not_open")["status"] == "captured"


def test_all_of_a_hold_is_captured_where_no_amount_is_given(api: httpx.Client, owned: Owned) -> None:
    made(post(api, owned, "10.00"))
    id_ = made(hold(api, owned, "6.00"))["id"]
    assert made(capture(api, id_, amount=None))["amount"] == "6.00"


def test_a_voided_hold_is_free_again(api: httpx.Client, owned: Owned) -> None:
    made(post(api, owned, "10.00"))
    id_ = made(hold(api, owned, "6.00"))["id"]
    ended = made(void(api, id_), 200)
    assert (ended["status"], ended["held"], ended["captured"]) == ("voided", "0.00", "0.00")
    assert money(api, owned) == ("10.00", "0.00", "10.00")
    assert failure(void(api, id_), 409, "hold_not_open")["status"] == "voided"


@pytest.mark.parametrize("id_", ["{}-h1", "999999-h1", "1-h9223372036854775807"])
def test_a_hold_that_is_not_there(api: httpx.Client, owned: Owned, id_: str) -> None:
    failure(capture(api, id_.format(owned[1])), 404, "hold_not_found")
    failure(void(api, id_.format(owned[1])), 404, "hold_not_found")


def test_holds_are_listed_a_page_at_a_time(api: httpx.Client, owned: Owned) -> None:
    made(post(api, owned, "10.00"))
    for number in range(1, 6):
        made(hold(api, owned, number)) if number < 4 else made(void(api, f"{owned[1]}-h{number - 3}"), 200)
    path = f"/holds/get/{owned[0]}/{owned[1]}"
    first = made(api.get(path, params={"limit": 2}), 200)
    rest = made(api.get(path, params={"limit": 2, "cursor": first["next_cursor"]}), 200)
    assert [each["id"] for each in first["holds"] + rest["holds"]] == [f"{owned[1]}-h{n}" for n in (3, 2, 1)]
    assert [each["status"] for each in first["holds"] + rest["holds"]] == ["open", "voided", "voided"]
    assert rest["next_cursor"] is None
    failure(api.get(f"/holds/get/{owned[0]}/999999"), 404, "wallet_not_found")


def test_a_capture_and_a_void_at_once_and_one_wins(api: httpx.Client, owned: Owned) -> None:
    made(post(api, owned, "100.00"))
    with ThreadPoolExecutor(4) as pool:
        for _ in range(50):
            id_ = made(hold(api, owned, "1.00"))["id"]
            asked = [pool.submit(capture, api, id_), pool.submit(void, api, id_), pool.submit(capture, api, id_)]
            statuses = Counter(each.result().status_code for each in asked)
            assert statuses[409] == 2, statuses
    balance, held, available = money(api, owned)
    assert (held, balance) == ("0.00", available)
