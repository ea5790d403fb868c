"""Transfers, reversals and metadata over HTTP: linked, exact, applied once."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from support.server import Server
from web.calls import Owned, balance, batch, call, failure, ids, item, made, new_wallet, post, transfer
from web.raw import dump

# --- transfers ------------------------------------------------------------------------------------------------------


def test_a_transfer_is_two_transactions_that_name_each_other(api: httpx.Client, owned: Owned) -> None:
    other = new_wallet(api)
    made(post(api, owned, "10.00"))
    answer = transfer(api, owned, other, "4.05", key="t1", note="rent", meta={"order": 7})
    moved = made(answer)
    assert answer.json()["message"] == "transfer done"
    assert set(moved) == {"id", "debit", "credit"}
    debit, credit = moved["debit"], moved["credit"]
    assert (moved["id"], debit["kind"], credit["kind"]) == (f"{owned[1]}-2", "debit", "credit")
    assert (debit["id"], credit["id"]) == (credit["transfer"], debit["transfer"]) == (f"{owned[1]}-2", f"{other[1]}-1")
    for leg in (debit, credit):
        assert (leg["amount"], leg["note"], leg["meta"]) == ("4.05", "rent", {"order": 7})
    assert (debit["key"], credit["key"]) == ("t1", None)
    assert (balance(api, owned), balance(api, other)) == ("5.95", "4.05")

    again = made(transfer(api, owned, other, 4.05, key="t1", note="rent", meta={"order": 7}), 200)
    assert again == moved | {"replayed": True}
    assert (balance(api, owned), balance(api, other)) == ("5.95", "4.05")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"amount": "10.01"}, 409, "insufficient_funds"),
        ({"amount": "0"}, 400, "invalid_input"),
        ({"amount": "1.001"}, 400, "invalid_input"),
        ({"to": "itself"}, 400, "invalid_input"),
        ({"to": "points"}, 400, "invalid_input"),
        ({"to_wallet_id": 999_999}, 404, "wallet_not_found"),
        ({"to_user_id": 999_999}, 404, "wallet_not_found"),
        ({"wallet_id": 999_999}, 404, "wallet_not_found"),
        ({"key": "used", "amount": "2.00"}, 409, "key_reused"),
    ],
    ids=str,
)
def test_a_transfer_that_is_refused_moves_nothing(
    api: httpx.Client, server: Server, owned: Owned, change: dict[str, Any], status: int, code: str
) -> None:
    other, points = new_wallet(api), new_wallet(api, currency="PTS/0")
    made(post(api, owned, "10.00", key="used"))
    before = dump(server.db)
    change = dict(change)
    target = {"itself": owned, "points": points}.get(change.pop("to", ""), other)
    body = ids(owned) | {"to_user_id": target[0], "to_wallet_id": target[1], "amount": "1.00"} | change
    failure(call(api, "/transfers/create", body.pop("key", ""), **body), status, code)
    assert dump(server.db) == before


# --- reversals ------------------------------------------------------------------------------------------------------


def reverse(api: httpx.Client, transaction: str, key: str = "", **more: Any) -> httpx.Response:
    return call(api, "/transactions/reverse", key, transaction=transaction, **more)


def shown(api: httpx.Client, owned: Owned, seq: int) -> Any:
    return made(api.get(f"/transactions/get/{owned[0]}/{owned[1]}/{seq}"), 200)


def test_a_reversal_in_parts_and_never_more_than_the_original(api: httpx.Client, owned: Owned) -> None:
    first = made(post(api, owned, "10.00"))["id"]
    part = made(reverse(api, first, "r1", amount=0.1, note="wrong", meta={"by": "till"}))
    assert (part["kind"], part["amount"], part["reverses"], part["key"]) == ("debit", "0.10", first, "r1")
    assert (part["note"], part["meta"]) == ("wrong", {"by": "till"})
    again = made(reverse(api, first, "r1", amount="0.10", note="wrong", meta={"by": "till"}), 200)
    assert again == part | {"replayed": True}
    details = failure(reverse(api, first, amount="9.91"), 409, "reversal_exceeds_original")
    assert (details["available"], details["shortfall"]) == ("9.90", "0.01")
    rest = made(reverse(api, first, amount=None))
    assert rest["amount"] == "9.90"
    failure(reverse(api, first), 409, "reversal_exceeds_original")
    failure(reverse(api, rest["id"]), 409, "not_reversible")
    detail = shown(api, owned, 1)
    assert (detail["reversed"], detail["reversals"]) == ("10.00", [part["id"], rest["id"]])
    assert balance(api, owned) == "0.00"


def test_a_reversal_keeps_to_the_floor_unless_it_is_forced(api: httpx.Client, owned: Owned) -> None:
    first = made(post(api, owned, "10.00"))["id"]
    made(post(api, owned, "3.00", is_credit=False))
    details = failure(reverse(api, first), 409, "insufficient_funds")
    assert details["shortfall"] == "3.00"
    forced = made(reverse(api, first, force=True))
    assert (forced["forced"], forced["balance"]) == (True, "-3.00")


def test_a_transfer_is_taken_back_on_both_sides(api: httpx.Client, owned: Owned) -> None:
    other = new_wallet(api)
    made(post(api, owned, "10.00"))
    moved = made(transfer(api, owned, other, "4.00"))
    back = made(reverse(api, moved["debit"]["id"]))
    assert (back["wallet_id"], back["kind"], back["reverses"]) == (owned[1], "credit", moved["debit"]["id"])
    assert (balance(api, owned), balance(api, other)) == ("10.00", "0.00")
    assert shown(api, other, 1)["reversals"] == [back["transfer"]]


def test_a_reversal_of_what_is_not_there(api: httpx.Client, owned: Owned) -> None:
    for id_ in (f"{owned[1]}-1", "999999-1", "1-9223372036854775807"):
        failure(reverse(api, id_), 404, "transaction_not_found")


# --- metadata -------------------------------------------------------------------------------------------------------

RICH = {
    "order": 1041,
    "tags": ["a", {"deep": None}],
    "ok": True,
    "text": "café 😀",
    "big": 123456789012345678901234567890,
}


def test_metadata_comes_back_as_it_went_in(api: httpx.Client, owned: Owned) -> None:
    """Whole numbers of any size too, alone, in a list, in a batch, and where the request is sent again."""
    first = made(post(api, owned, 1, key="m", meta=RICH))
    assert first["meta"] == RICH
    assert made(post(api, owned, 1, key="m", meta=dict(reversed(RICH.items()))), 200)["meta"] == RICH
    failure(post(api, owned, 1, key="m", meta=RICH | {"order": 1042}), 409, "key_reused")
    failure(post(api, owned, 1, key="m"), 409, "key_reused")
    data = made(batch(api, [item(owned, 1, meta=RICH), item(owned, 1)]), 200)
    assert [each["data"].get("meta") for each in data["results"]] == [RICH, None]
    assert made(api.get(f"/transactions/get/{owned[0]}/{owned[1]}"), 200)["transactions"][-1]["meta"] == RICH
    assert shown(api, owned, 1)["meta"] == RICH


@pytest.mark.parametrize("meta", [None, {}])
def test_no_metadata_is_not_answered(api: httpx.Client, owned: Owned, meta: Any) -> None:
    assert "meta" not in made(post(api, owned, 1, meta=meta))


def test_in_a_batch_metadata_that_is_refused_is_its_items_own(api: httpx.Client, owned: Owned) -> None:
    """What is no object at all is a fault of the body, as it is in every other field."""
    data = made(batch(api, [item(owned, 1, meta={"a": 0.5}), item(owned, 1, meta={"a": "0.5"})]), 200)
    assert [(each["status"], each.get("code")) for each in data["results"]] == [(400, "invalid_input"), (201, None)]
    failure(batch(api, [item(owned, 1), item(owned, 1, meta=[1])]), 400, "invalid_input")
    assert failure(
        batch(api, [item(owned, 1), item(owned, 1, meta={"a": 0.5})], atomic=True), 400, "invalid_input"
    ) == {"index": 1}


def test_metadata_of_just_4_kib(api: httpx.Client, owned: Owned) -> None:
    whole = {"a": "x" * (4096 - len('{"a":""}'))}
    assert len(json.dumps(whole, separators=(",", ":"))) == 4096
    assert made(post(api, owned, 1, meta=whole))["meta"] == whole
    failure(post(api, owned, 1, meta={"a": whole["a"] + "x"}), 400, "invalid_input")
