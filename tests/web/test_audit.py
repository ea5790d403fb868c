"""Who did what over HTTP: each caller is named as the server knew them, and the trail is read in pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.engines import Engine
from support.server import Server


@pytest.fixture(scope="module")
def server(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("audited")) as server:
        yield server


def made(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()["data"]


def who(thing: dict[str, Any]) -> tuple[Any, Any]:
    return thing["via"], thing["actor"]


def test_what_is_done_over_http_names_who_did_it(server: Server) -> None:
    till, office = server.api(server.key("till")), server.api(server.key("office"))
    user_id = made(till.post("/users", json={"phone_number": "9886977544", "name": "Asha"}))["id"]
    wallet_id = made(office.post("/wallet/create", json={"user_id": user_id, "type": "main"}))["id"]
    ids = {"user_id": user_id, "wallet_id": wallet_id}
    user = server.api(made(till.post("/tokens", json={"user_id": user_id}))["token"])
    credit = made(till.post("/transactions/create", json=ids | {"amount": "50", "is_credit": True}))
    # A name that the caller says does not count.
    named = {"X-Forwarded-User": "mallory", "From": "mallory@example.org"}
    debit = made(user.post("/transactions/create", json=ids | {"amount": "5", "is_credit": False}, headers=named))
    rows = f"wallet,amount,kind\nw{wallet_id},7,credit\n"
    made(office.post("/import", content=rows, headers={"Content-Type": "text/csv"}))
    made(office.post("/wallet/freeze", json=ids))
    assert (who(credit), who(debit)) == (("key", "till"), ("token", f"user:{user_id}"))
    listed = made(user.get(f"/transactions/get/{user_id}/{wallet_id}"))["transactions"]
    assert list(map(who, listed)) == [("key", "office"), who(debit), who(credit)]

    events = made(till.get("/audit", params={"user": f"id:{user_id}"}))["events"]
    assert [(each["event"], *who(each)) for each in events] == [
        ("frozen", "key", "office"),
        ("opened", "key", "office"),
        ("registered", "key", "till"),
    ]
    assert {each["name"] for each in events} == {"Asha"}
    assert made(till.get("/audit", params={"wallet": f"w{wallet_id}"}))["events"] == events[:2]
    keys = [each for each in made(till.get("/audit"))["events"] if each["event"] == "key made"]
    assert [(each["details"]["key"]["name"], *who(each)) for each in keys] == [
        ("office", "terminal", "mira"),
        ("till", "terminal", "mira"),
    ]
    assert all("key_hash" not in each["details"]["key"] for each in keys)


def test_a_key_is_told_from_nobody_whatever_its_name(server: Server) -> None:
    """`local` is how the log calls everybody, where no key is asked for."""
    user_id = made(server.api(server.key("local")).post("/users", json={"phone_number": "9886977546"}))["id"]
    [event] = made(server.api(server.key("auditor")).get("/audit", params={"user": f"id:{user_id}"}))["events"]
    assert who(event) == ("key", "local")


def test_the_trail_is_read_in_pages(server: Server) -> None:
    api = server.api(server.key("pages"))
    user_id = made(api.post("/users", json={"phone_number": "9886977545"}))["id"]
    for type_ in ("main", "savings", "points"):
        ids = {"user_id": user_id, "wallet_id": 0}
        ids["wallet_id"] = made(api.post("/wallet/create", json={"user_id": user_id, "type": type_}))["id"]
        for path in ("/wallet/freeze", "/wallet/unfreeze"):
            made(api.post(path, json=ids))
    for query in ({}, {"user": str(user_id)}, {"wallet": f"{user_id}/savings"}):
        whole = made(api.get("/audit", params={**query, "limit": "1000", "count": "true"}))
        assert (whole["next_cursor"], whole["count"]) == (None, len(whole["events"]))
        found: list[Any] = []
        cursor, more = "", {}
        while cursor is not None:
            page = made(api.get("/audit", params={**query, "limit": "2", **more}))
            assert len(page["events"]) == 2 or page["next_cursor"] is None
            found += page["events"]
            cursor = page["next_cursor"]
            more = {"cursor": cursor}
        assert found == whole["events"]
        assert len({each["id"] for each in found}) == len(found) >= 3
        assert [each["at"] for each in found] == sorted((each["at"] for each in found), reverse=True)
    both = api.get("/audit", params={"user": str(user_id), "wallet": str(user_id)})
    assert (both.status_code, both.json()["code"]) == (400, "invalid_input")


@pytest.mark.on_file("who is named does not depend on the engine")
def test_without_keys_nobody_is_named(tmp_path: Path) -> None:
    with Server(tmp_path, "--no-auth") as server:
        assert made(server.api().post("/users", json={"phone_number": "9886977544"}))["id"] == 1
        (event,) = made(server.api().get("/audit", params={"user": "1"}))["events"]
        assert who(event) == ("no-auth", "local")
