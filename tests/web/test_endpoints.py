"""Every endpoint, as the interface promises it: the payloads, the envelopes, the statuses, and what stays true."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis
from prometheus_client.mmap_dict import MmapedDict
from support import engines
from support import server as running
from support.processes import held
from support.server import API, Server, process, surroundings, wallet
from support.waiting import wait_for
from web.calls import Owned, balance, batch, failure, item, made, new_user, new_wallet, post
from web.raw import dump, exchange, read_answer

from wallet_cli.engine.write_lock import WriteLock
from wallet_cli.errors import WalletError
from wallet_cli.import_export.exports import FORMATS as EXPORTS
from wallet_cli.operations.tokens import SAMPLE_SECRET
from wallet_cli.web.metrics_folder import PREFIX
from wallet_cli.web.routes.statements import FORMS as STATEMENTS

# The endpoints and payloads of the original application's README, in its order, and the status of each.
SEED = (
    ("/users", '{"phone_number": "9886977544"}', 201),
    ("/wallet/create", '{"user_id": 1, "type": "type1"}', 201),
    ("/wallet/get/1/type1", None, 200),
    ("/transactions/create", '{"user_id": 1, "wallet_id": 1, "amount": 20, "is_credit": true}', 201),
    ("/transactions/get/1/1", None, 200),
    (
        "/transactions/get/total_in_period",
        '{"user_id": 1, "wallet_id": 1, "start_date": "2024-04-19T05:27:13", "end_date": "2024-04-19T05:40:00"}',
        200,
    ),
)
SEED_DOTENV = f"""\
JWT_SECRET_KEY='{SAMPLE_SECRET}'
FLASK_ENV='development'
JWT_ACCESS_TOKEN_EXPIRES=5
MINIMUM_BALANCE=20
"""
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


# --- the seed -------------------------------------------------------------------------------------------------------


def curl_lines(url: str, key: str | None) -> str:
    """The seed's requests as lines for a shell; each prints its status and its body."""
    lines = []
    for path, payload, _ in SEED:
        parts = ["curl --silent --noproxy '*' --write-out '%{http_code}\\n' --output -", f"'{url}{API}{path}'"]
        if payload is not None:
            parts.append(f"--header 'Content-Type: application/json' --data '{payload}'")
        if key is not None:
            parts.append('--header "Authorization: Bearer $KEY"')
        lines.append(" ".join(parts))
    return "\n".join(lines)


def by_curl(server: Server, key: str | None) -> list[tuple[int, Any]]:
    script = "set -e\n" + curl_lines(server.url, key)
    environ = surroundings(server.folder, {"KEY": key or ""})
    done = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, timeout=60, check=True)
    return [(int(line[-3:]), json.loads(line[:-3])) for line in done.stdout.splitlines()]


def by_httpx(server: Server, key: str | None) -> list[tuple[int, Any]]:
    """The same, where there is no curl."""
    api = server.api(key)
    answers = []
    for path, payload, _ in SEED:
        if payload is None:
            answer = api.get(path)
        else:
            answer = api.post(path, content=payload, headers={"Content-Type": "application/json"})
        answers.append((answer.status_code, answer.json()))
    return answers


@pytest.mark.parametrize("auth", [False, True], ids=["no-auth", "with a key"])
def test_the_lines_of_the_seed_in_order(tmp_path: Path, auth: bool) -> None:
    with Server(tmp_path, *(() if auth else ("--no-auth",))) as server:
        key = server.key("till") if auth else None
        run = by_curl if shutil.which("curl") and shutil.which("bash") else by_httpx
        answers = run(server, key)

    assert [status for status, _ in answers] == [status for _, _, status in SEED]
    assert all(set(body) == {"message", "data"} for _, body in answers)
    user, opened, found, created, listed, total = (body["data"] for _, body in answers)
    made = user.pop("created_at"), opened.pop("created_at"), created.pop("at")
    assert all(TIME.fullmatch(time) for time in made)
    assert user == {"id": 1, "phone_number": "9886977544", "phone_e164": "+919886977544", "name": None}
    assert opened == {
        "id": 1,
        "user_id": 1,
        "type": "type1",
        "currency": "INR",
        "status": "active",
        "balance": "0.00",
        "held": "0.00",
        "available": "0.00",
        "minimum_balance": "0.00",
        "transactions": 0,
        "maximum_balance": None,
        "daily_debit": None,
        "wallet": "1/type1",
    }
    assert found == opened | {"created_at": made[1]}
    assert created == {
        "id": "1-1",
        "wallet_id": 1,
        "seq": 1,
        "kind": "credit",
        "is_credit": True,
        "amount": "20.00",
        "balance": "20.00",
        "currency": "INR",
        "note": None,
        "key": None,
        "via": "key" if auth else "no-auth",
        "actor": "till" if auth else "local",
    }
    assert listed == {"transactions": [created | {"at": made[2]}], "next_cursor": None}
    assert total == {
        "wallet_id": 1,
        "currency": "INR",
        "from": "2024-04-19T05:27:13.000000Z",
        "to": "2024-04-19T05:40:00.999999Z",
        "opening_balance": "0.00",
        "credit_total": "0.00",
        "debit_total": "0.00",
        "credit_count": 0,
        "debit_count": 0,
        "net": "0.00",
        "closing_balance": "0.00",
        "wallet": "1/type1",
    }


def test_the_dotenv_of_the_seed_is_honoured(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(SEED_DOTENV)
    with Server(tmp_path, "--no-auth") as server:
        warnings = [line["message"] for line in server.log if line["event"] == "warning"]
        assert any("jwt_secret_key" in text and "development" in text for text in warnings)
        assert SAMPLE_SECRET not in server.stderr
        api = server.api()
        owned = new_user(api), api.post("/wallet/create", json={"user_id": 1, "type": "main"}).json()["data"]["id"]
        assert post(api, owned, 30).status_code == 201
        details = failure(post(api, owned, 11, is_credit=False), 409, "insufficient_funds")
        assert details == {"balance": "30.00", "available": "10.00", "minimum_balance": "20.00", "shortfall": "1.00"}
        assert post(api, owned, 10, is_credit=False).status_code == 201
        assert balance(api, owned) == "20.00"


# --- starting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "said"),
    [
        ("", {"JWT_SECRET_KEY": SAMPLE_SECRET}, 2, "jwt_secret_key"),
        ("", {"JWT_SECRET_KEY": SAMPLE_SECRET, "FLASK_ENV": "production"}, 2, "jwt_secret_key"),
        ("", {"JWT_SECRET_KEY": "short", "FLASK_ENV": "testing"}, 2, "shorter than 32 bytes"),
        ("--no-auth", {"JWT_SECRET_KEY": SAMPLE_SECRET}, 2, "jwt_secret_key"),
        ("--no-auth --host 0.0.0.0", {}, 2, "--no-auth"),
        ("--no-auth --host ::", {}, 2, "--no-auth"),
        ("--no-auth --host 192.0.2.1", {}, 2, "--no-auth"),
        ("--no-auth --host example.com", {}, 2, "--no-auth"),
        ("--workers 0", {}, 2, "workers"),
        ("--port 65536", {}, 2, "port"),
        ("--max-connections 0", {}, 2, "connections"),
        ("", {"MINIMUM_BALANCE": "much"}, 2, "minimum_balance"),
        ("", {"JWT_ACCESS_TOKEN_EXPIRES": "0"}, 2, "jwt_access_token_expires"),
        ("", {"WALLET_CURRENCY": "rupees"}, 2, "currency"),
        ("", {"WALLET_DB": "/proc/no/such/wallet.db"}, 7, ""),
    ],
)
def test_what_is_unsafe_is_not_started(
    tmp_path: Path, arguments: str, environ: dict[str, str], code: int, said: str
) -> None:
    server = Server(tmp_path, *arguments.split(), environ=environ)
    try:
        server.start()
    except AssertionError:
        assert server.process.returncode == code
    else:
        server.stop()
        pytest.fail("it started")
    assert said in server.stderr
    assert SAMPLE_SECRET not in server.stderr


def test_a_short_secret_is_enough_for_development_and_said_to_be(tmp_path: Path) -> None:
    with Server(tmp_path, environ={"JWT_SECRET_KEY": "short", "FLASK_ENV": "development"}) as server:
        assert any("development" in line.get("message", "") for line in server.log)


def test_the_port_of_the_seed_is_the_default(tmp_path: Path) -> None:
    help_ = " ".join(wallet(tmp_path, "serve --help").out.split())
    assert re.search(r"--port [^-]*\[default: 5000\]", help_)
    assert re.search(r"--host [^-]*\[default: 127\.0\.0\.1\]", help_)


def test_a_port_in_use_is_exit_7(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = process(tmp_path, f"serve --port {port}")
    assert done.code == 7
    assert str(port) in done.err


def test_a_server_without_an_operator_key_says_how_to_make_one(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        assert "wallet key create" in next(line["message"] for line in server.log if line["event"] == "no_operator_key")
        server.key("first")
        server.stop()
        server.lines.clear()
        server.start()
        assert "no_operator_key" not in server.stderr


# --- users and wallets ----------------------------------------------------------------------------------------------


def test_a_user_once(api: httpx.Client) -> None:
    user_id = new_user(api)
    phone = "+14155552671"
    first = api.post("/users", json={"phone_number": phone, "name": "Zoë"})
    assert first.status_code == 201
    assert first.json()["data"]["id"] == user_id + 1
    assert first.json()["data"]["name"] == "Zoë"
    failure(api.post("/users", json={"phone_number": "+1 415 555 2671"}), 409, "user_exists")


def test_a_wallet_of_each_type_once(api: httpx.Client) -> None:
    user_id = new_user(api)
    types = ["type1", "savings", "a.b_c-d", "X" * 32, ".", ".."]
    for type_ in types:
        assert api.post("/wallet/create", json={"user_id": user_id, "type": type_}).status_code == 201
    failure(api.post("/wallet/create", json={"user_id": user_id, "type": "type1"}), 409, "wallet_exists")
    found = api.get(f"/wallet/get/{user_id}").json()["data"]
    assert [each["type"] for each in found] == types
    assert [each["user_id"] for each in found] == [user_id] * 6
    for each in found[:4]:
        assert api.get(f"/wallet/get/{user_id}/{each['type']}").json()["data"] == each
    for each in found[4:]:  # a client takes these in a path for folders
        asked = api.get("/lookup/wallet", params={"wallet": f"id:{user_id}/{each['type']}"})
        assert asked.json()["data"]["id"] == each["id"]


def test_a_user_with_no_wallet_has_an_empty_list(api: httpx.Client) -> None:
    answer = api.get(f"/wallet/get/{new_user(api)}")
    assert (answer.status_code, answer.json()["data"]) == (200, [])


@pytest.mark.parametrize("minimum", ["-5", -5])
def test_a_wallet_in_another_currency_with_a_minimum_of_its_own(api: httpx.Client, minimum: str | int) -> None:
    user_id = new_user(api)
    body = {"user_id": user_id, "type": "points", "currency": "PTS/0", "minimum_balance": minimum}
    made = api.post("/wallet/create", json=body).json()["data"]
    assert (made["currency"], made["minimum_balance"], made["available"]) == ("PTS/0", "-5", "5")
    owned = user_id, made["id"]
    assert post(api, owned, "5", is_credit=False).json()["data"]["balance"] == "-5"
    failure(post(api, owned, "0.5"), 400, "invalid_input")


def test_what_is_not_there(api: httpx.Client, owned: Owned) -> None:
    user_id, wallet_id = owned
    failure(api.get("/wallet/get/999999"), 404, "user_not_found")
    failure(api.get("/wallet/get/999999/main"), 404, "user_not_found")
    failure(api.get(f"/wallet/get/{user_id}/none"), 404, "wallet_not_found")
    failure(api.get(f"/transactions/get/{user_id}/999999"), 404, "wallet_not_found")
    failure(api.get(f"/transactions/get/999999/{wallet_id}"), 404, "wallet_not_found")
    failure(api.post("/wallet/create", json={"user_id": 999_999, "type": "main"}), 404, "user_not_found")
    failure(post(api, (user_id, 999_999), 5), 404, "wallet_not_found")
    failure(api.get("/nothing"), 404, "not_found")


@pytest.mark.parametrize("slashes", ["/", "//"])
def test_a_trailing_slash_is_accepted(api: httpx.Client, owned: Owned, slashes: str) -> None:
    user_id, wallet_id = owned
    made(post(api, owned, 1))
    for path in (
        f"/wallet/get/{user_id}/main",
        f"/wallet/get/{user_id}",
        f"/transactions/get/{user_id}/{wallet_id}",
        f"/transactions/get/{user_id}/{wallet_id}/1",
        f"/holds/get/{user_id}/{wallet_id}",
        f"/users/{user_id}",
        "/users",
        "/wallets",
    ):
        assert api.get(path + slashes).json() == api.get(path).json()
    ids = {"user_id": user_id, "wallet_id": wallet_id}
    for path, body, status in (
        ("/users", {"phone_number": "x"}, 400),
        ("/wallet/create", {"user_id": user_id, "type": "main"}, 409),
        ("/transactions/create", ids | {"amount": 1, "is_credit": True}, 201),
        ("/transactions/batch", {"transactions": [ids | {"amount": 1, "is_credit": True}]}, 200),
        ("/transactions/get/total_in_period", ids, 200),
        ("/tokens", {"user_id": user_id}, 201),
        ("/holds/create", ids | {"amount": 1}, 201),
        ("/holds/void", {"hold": f"{wallet_id}-h1"}, 200),
        ("/holds/capture", {"hold": f"{wallet_id}-h2"}, 404),
        ("/transactions/reverse", {"transaction": f"{wallet_id}-1", "amount": "0.01"}, 201),
        ("/transfers/create", ids | {"to_user_id": user_id, "to_wallet_id": wallet_id, "amount": 1}, 400),
        ("/wallet/limits", ids, 200),
        ("/wallet/freeze", ids, 200),
        ("/wallet/unfreeze", ids, 200),
        ("/wallet/close", ids, 409),
    ):
        assert api.post(path + slashes, json=body).status_code == status


# --- transactions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("literal", "amount"),
    [
        ("20", "20.00"),
        ("0.1", "0.10"),
        ("0.01", "0.01"),
        ("0.29", "0.29"),
        ("1.10", "1.10"),
        ("4.35", "4.35"),
        ("1.1e0", None),
        ("123456789012.34", "123456789012.34"),
        ("9007199254740.93", "9007199254740.93"),
        ("10000000000000", "10000000000000.00"),
        ("10000000000000.00", "10000000000000.00"),
        ('"20"', "20.00"),
        ('"0.1"', "0.10"),
        ('"007.50"', "7.50"),
        ('"123456789012.34"', "123456789012.34"),
    ],
)
def test_amounts_are_read_exactly(api: httpx.Client, owned: Owned, literal: str, amount: str | None) -> None:
    """As numbers and as strings, never through a float."""
    body = f'{{"user_id": {owned[0]}, "wallet_id": {owned[1]}, "amount": {literal}, "is_credit": true}}'
    answer = api.post("/transactions/create", content=body, headers={"Content-Type": "application/json"})
    if amount is None:
        failure(answer, 400, "invalid_input")
    else:
        assert answer.status_code == 201
        assert (answer.json()["data"]["amount"], answer.json()["data"]["balance"]) == (amount, amount)


def test_tenths_add_up(api: httpx.Client, owned: Owned) -> None:
    for amount in (0.1, 0.2, 0.1, "0.2"):
        assert post(api, owned, amount).status_code == 201
    assert balance(api, owned) == "0.60"
    assert post(api, owned, "0.60", is_credit=False).json()["data"]["balance"] == "0.00"


def test_a_debit_of_more_than_there_is(api: httpx.Client, owned: Owned) -> None:
    post(api, owned, "10.00")
    details = failure(post(api, owned, "10.01", is_credit=False), 409, "insufficient_funds")
    assert details == {"balance": "10.00", "available": "10.00", "minimum_balance": "0.00", "shortfall": "0.01"}
    assert balance(api, owned) == "10.00"


def test_note_and_time_come_back_as_they_went_in(api: httpx.Client, owned: Owned) -> None:
    note = "café 😀 [/b] <b> \u202e'; --\n\t"
    made = post(api, owned, 1, note=note, at="2024-04-19T05:27:13").json()["data"]
    assert (made["note"], made["at"]) == (note, "2024-04-19T05:27:13.000000Z")
    made = post(api, owned, 1, at="2024-04-19T12:00:00+05:30").json()["data"]
    assert made["at"] == "2024-04-19T06:30:00.000000Z"
    failure(post(api, owned, 1, at="2024-04-18"), 409, "time_conflict")
    failure(post(api, owned, 1, at="9999-01-01"), 400, "invalid_input")


def test_a_key_makes_it_safe_to_send_again(api: httpx.Client, owned: Owned) -> None:
    first = post(api, owned, "5.00", key="k 1")
    assert first.status_code == 201
    assert first.json()["data"]["key"] == "k 1"
    assert "replayed" not in first.json()["data"]
    for amount in ("5.00", "5", 5, 5.0):
        again = post(api, owned, amount, key="k 1")
        assert again.status_code == 200
        assert again.json()["data"] == first.json()["data"] | {"replayed": True}
    failure(post(api, owned, "5.01", key="k 1"), 409, "key_reused")
    failure(post(api, owned, "5.00", is_credit=False, key="k 1"), 409, "key_reused")
    failure(post(api, owned, "5.00", key="k 1", note="another"), 409, "key_reused")
    assert balance(api, owned) == "5.00"


def test_a_refused_request_leaves_its_key_free(api: httpx.Client, owned: Owned) -> None:
    failure(post(api, owned, 5, is_credit=False, key="later"), 409, "insufficient_funds")
    assert post(api, owned, 5, key="later").status_code == 201


def test_a_key_belongs_to_its_wallet(api: httpx.Client, owned: Owned) -> None:
    other = owned[0], api.post("/wallet/create", json={"user_id": owned[0], "type": "b"}).json()["data"]["id"]
    assert post(api, owned, 5, key="same").status_code == 201
    assert post(api, other, 6, key="same").status_code == 201


@pytest.mark.parametrize("key", ["a", "k" * 255, "ключ-✓", "a b", "💶"])
def test_keys_of_every_kind(api: httpx.Client, owned: Owned, key: str) -> None:
    body = {"user_id": owned[0], "wallet_id": owned[1], "amount": 1, "is_credit": True}
    headers = {"Idempotency-Key": key.encode()}
    statuses = [
        httpx.post(str(api.base_url) + "transactions/create", json=body, headers=headers, trust_env=False).status_code
        for _ in range(2)
    ]
    assert statuses == [201, 200]
    assert api.get(f"/transactions/get/{owned[0]}/{owned[1]}").json()["data"]["transactions"][0]["key"] == key


def test_the_same_key_many_times_at_once_is_applied_once(api: httpx.Client, owned: Owned) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: post(api, owned, 1, key=f"k{number % 10}"), range(80)))
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(201), statuses.count(200)) == (10, 70)
    assert balance(api, owned) == "10.00"


def test_a_list_a_page_at_a_time(api: httpx.Client, owned: Owned) -> None:
    user_id, wallet_id = owned
    for number in range(1, 26):
        post(api, owned, number)
    path = f"/transactions/get/{user_id}/{wallet_id}"
    default = api.get(path).json()["data"]
    assert [each["seq"] for each in default["transactions"]] == list(range(25, 5, -1))
    seen, cursor = [], None
    while True:
        page = api.get(path, params={"limit": 7} | ({"cursor": cursor} if cursor else {})).json()["data"]
        assert set(page) == {"transactions", "next_cursor"}
        seen += [each["seq"] for each in page["transactions"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        post(api, owned, 1)  # pages neither repeat nor skip while others write
    assert seen == list(range(25, 0, -1))
    everything = api.get(path, params={"limit": 1000}).json()["data"]
    assert everything["next_cursor"] is None
    assert [each["id"] for each in everything["transactions"][-2:]] == [f"{wallet_id}-2", f"{wallet_id}-1"]


def test_totals(api: httpx.Client, owned: Owned) -> None:
    """An end covers the whole second that it is written in, bounds are echoed in UTC, and the books balance."""
    for amount, is_credit, at in (
        ("100.00", True, "2024-04-19T05:27:12.999999"),
        ("20.00", True, "2024-04-19T05:27:13"),
        ("0.10", True, "2024-04-19T05:30"),
        ("7.05", False, "2024-04-19T05:40:00.999999"),
        ("50.00", False, "2024-04-19T05:40:01"),
    ):
        assert post(api, owned, amount, is_credit=is_credit, at=at).status_code == 201
    ids = {"user_id": owned[0], "wallet_id": owned[1]}

    def total(**bounds: str) -> Any:
        answer = api.post("/transactions/get/total_in_period", json=ids | bounds)
        assert answer.status_code == 200
        return answer.json()["data"]

    inside = total(start_date="2024-04-19T05:27:13", end_date="2024-04-19T05:40:00")
    assert inside == {
        "wallet_id": owned[1],
        "currency": "INR",
        "from": "2024-04-19T05:27:13.000000Z",
        "to": "2024-04-19T05:40:00.999999Z",
        "opening_balance": "100.00",
        "credit_total": "20.10",
        "debit_total": "7.05",
        "credit_count": 2,
        "debit_count": 1,
        "net": "13.05",
        "closing_balance": "113.05",
        "wallet": f"{owned[0]}/main",
    }
    assert total(start_date=inside["from"], end_date=inside["to"]) == inside
    assert total(start_date="2024-04-19T10:57:13+05:30", end_date="2024-04-19T11:10:00+05:30") == inside
    whole = total()
    assert (whole["from"], whole["to"]) == (None, None)
    assert (whole["opening_balance"], whole["net"], whole["closing_balance"]) == ("0.00", "63.05", "63.05")
    assert total(end_date="2024-04-19") == whole | {"to": "2024-04-19T23:59:59.999999Z"}


# --- batches --------------------------------------------------------------------------------------------------------


def test_a_batch_answers_each_item_in_order(api: httpx.Client, owned: Owned) -> None:
    """One refusal does not fail its neighbours; later items see what earlier ones did."""
    answer = batch(
        api,
        [
            item(owned, "10.00", key="a"),
            item(owned, "10.01", is_credit=False),
            item((owned[0], 999_999), 1),
            item(owned, "x"),
            item(owned, "4.00", is_credit=False, note="in order"),
            item(owned, "10.00", key="a"),
            item(owned, "11.00", key="a"),
            item(owned, "6.00", is_credit=False),
        ],
    )
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert (data["applied"], data["replayed"], data["refused"]) == (3, 1, 4)
    results = data["results"]
    assert [each["status"] for each in results] == [201, 409, 404, 400, 201, 200, 409, 201]
    assert [each.get("code") for each in results] == [
        *(None, "insufficient_funds", "wallet_not_found", "invalid_input", None, None, "key_reused", None)
    ]
    assert [each["data"]["seq"] for each in results if each["status"] < 300] == [1, 2, 1, 3]
    assert results[1]["details"]["shortfall"] == "0.01"
    assert results[5]["data"] == results[0]["data"] | {"replayed": True}
    assert balance(api, owned) == "0.00"


def test_a_batch_sent_again_is_replayed(api: httpx.Client, owned: Owned) -> None:
    items = [item(owned, number, key=f"k{number}") for number in range(1, 6)]
    first, again = batch(api, items).json()["data"], batch(api, items).json()["data"]
    assert (first["applied"], first["replayed"]) == (5, 0)
    assert (again["applied"], again["replayed"], again["refused"]) == (0, 5, 0)
    assert [one["data"] | {"replayed": True} for one in first["results"]] == [one["data"] for one in again["results"]]
    # And so it is where all is or none is: what is there already does not count as a refusal.
    together = batch(api, [*items, item(owned, 6, key="k6")], atomic=True).json()["data"]
    assert [each["status"] for each in together["results"]] == [200] * 5 + [201]
    assert balance(api, owned) == "21.00"


@pytest.mark.parametrize(
    ("last", "status", "code"),
    [
        ({"amount": "2.01", "is_credit": False}, 409, "insufficient_funds"),
        ({"amount": "0"}, 400, "invalid_input"),
        ({"wallet_id": 999_999}, 404, "wallet_not_found"),
        ({"amount": "3.00", "key": "one"}, 409, "key_reused"),
        ({"at": "9999-12-31"}, 400, "invalid_input"),
        ({"at": "2001-01-01"}, 409, "time_conflict"),
        ({"note": "\ud800"}, 400, "invalid_input"),
    ],
)
def test_all_of_a_batch_or_none(
    api: httpx.Client, server: Server, owned: Owned, last: dict[str, Any], status: int, code: str
) -> None:
    before = dump(server.db)
    items = [item(owned, "1.00", key="one"), item(owned, "1.00"), item(owned, "1.00") | last, item(owned, "1.00")]
    # By hand: half of a surrogate pair is escaped, as JSON may be, and not encoded.
    body = json.dumps({"atomic": True, "transactions": items})
    answer = api.post("/transactions/batch", content=body, headers={"Content-Type": "application/json"})
    assert failure(answer, status, code)["index"] == 2
    assert dump(server.db) == before
    assert batch(api, items[:2], atomic=True).json()["data"]["applied"] == 2


def test_the_bounds_of_a_batch(api: httpx.Client, owned: Owned) -> None:
    items = [item(owned, "0.01") for _ in range(10_000)]
    data = batch(api, items).json()["data"]
    assert (data["applied"], data["refused"]) == (10_000, 0)
    assert [each["data"]["seq"] for each in data["results"]] == list(range(1, 10_001))
    failure(batch(api, [*items, items[0]]), 400, "invalid_input")
    failure(batch(api, []), 400, "invalid_input")
    assert balance(api, owned) == "100.00"
    data = batch(api, items, atomic=True).json()["data"]
    assert data["applied"] == 10_000
    assert balance(api, owned) == "200.00"


@pytest.mark.parametrize("name", ["Idempotency-Key", "Idempotency-Key*"])
@pytest.mark.parametrize("atomic", [True, False])
def test_a_batch_with_a_key_as_a_whole_is_refused_and_not_applied_twice(
    api: httpx.Client, owned: Owned, name: str, atomic: bool
) -> None:
    body = {"transactions": [item(owned, "100")], "atomic": atomic}
    key = "UTF-8''order-7" if name.endswith("*") else "order-7"
    for _ in range(2):
        refused = api.post("/transactions/batch", json=body, headers={name: key})
        failure(refused, 400, "invalid_input")
        assert refused.json()["hint"] == "give each of its transactions a `key`"
    assert balance(api, owned) == "0.00"


@pytest.mark.parametrize("name", ["Idempotency-Key", "Idempotency-Key*"])
@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/import", "text/csv", "wallet,amount,kind\n{}/{},1.00,credit\n"),
        ("/import?duplicates=add", "text/csv", "wallet,amount,kind\n{}/{},1.00,credit\n"),
        (
            "/import/part",
            "application/x-ndjson",
            '{{"numbers":[1]}}\n{{"wallet":"{}/{}","amount":1,"kind":"credit"}}\n',
        ),
    ],
)
def test_an_import_with_a_key_as_a_whole_is_refused(
    api: httpx.Client, owned: Owned, path: str, kind: str, body: str, name: str
) -> None:
    key = "UTF-8''order" if name.endswith("*") else "order"
    type_ = api.get(f"/wallet/get/{owned[0]}").json()["data"][0]["type"]
    sent = api.post(path, content=body.format(f"id:{owned[0]}", type_), headers={"Content-Type": kind, name: key})
    failure(sent, 400, "invalid_input")
    assert balance(api, owned) == "0.00"


def test_others_are_served_while_a_large_batch_is(api: httpx.Client, owned: Owned) -> None:
    items = [item(owned, "0.01") for _ in range(10_000)]
    with ThreadPoolExecutor(1) as pool:
        large = pool.submit(batch, api, items)
        meanwhile = 0
        while not large.done():
            assert api.get(f"/wallet/get/{owned[0]}").status_code == 200
            meanwhile += 1
        assert large.result().json()["data"]["applied"] == 10_000
    assert meanwhile > 1


# --- two faces, one ledger ------------------------------------------------------------------------------------------


def test_a_terminal_and_a_server_write_the_same_ledger_at_once(tmp_path: Path) -> None:
    """Each sees at once what the other did; nothing is lost, and the ledger can be proven."""
    with Server(tmp_path, "--no-auth") as server:
        api = server.api()
        assert server.wallet("register 9886977544").code == 0
        assert api.post("/wallet/create", json={"user_id": 1, "type": "main"}).status_code == 201
        done = server.wallet("tx add 9886977544 5 --credit --key terminal --json")
        assert json.loads(done.out)["balance"] == "5.00"
        assert balance(api, (1, 1)) == "5.00"
        assert post(api, (1, 1), 2).json()["data"]["balance"] == "7.00"
        assert server.wallet("balance 1 -q").out == "7.00\n"
        assert post(api, (1, 1), 5, key="terminal").status_code == 200  # keys are the ledger's, not the face's

        def by_terminal(_: int) -> int:
            return server.terminal("tx add 1 1 --credit").code

        def by_http(_: int) -> int:
            return int(post(api, (1, 1), 1).status_code)

        with ThreadPoolExecutor(4) as pool:
            terminals = pool.map(by_terminal, range(10))
            https = pool.map(by_http, range(200))
            assert set(terminals) == {0}
            assert set(https) == {201}

        assert balance(api, (1, 1)) == "217.00"
        verified = server.wallet("verify --json")
        assert (verified.code, json.loads(verified.out)["transactions"]) == (0, 212)


def test_several_workers(tmp_path: Path) -> None:
    """More than one process answers, each sees what the others did, and their figures add up."""
    with Server(tmp_path, "--no-auth", "--workers", "2") as server:
        api = server.api()
        owned = new_user(api), api.post("/wallet/create", json={"user_id": 1, "type": "main"}).json()["data"]["id"]

        body = json.dumps(item(owned, 1))
        head = f"POST {API}/transactions/create HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        request = f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
        ids: list[str] = []
        seqs: list[int] = []
        # Which process takes a connection is the kernel's choice: many at once, and again if one took them all.
        for _ in range(10):
            with ExitStack() as stack:
                socks = [stack.enter_context(server.connection()) for _ in range(64)]
                for sock in socks:
                    sock.sendall(request)
                for sock in socks:
                    answer = read_answer(sock)
                    assert answer is not None
                    assert answer.status == 201
                    ids.append(answer.headers["x-request-id"])
                    seqs.append(answer.json["data"]["seq"])
            if len({id_.split("-")[0] for id_ in ids}) > 1:
                break
        assert len(set(ids)) == len(ids)
        assert len({id_.split("-")[0] for id_ in ids}) == 2
        applied = len(seqs)
        assert sorted(seqs) == list(range(1, applied + 1))
        client, asked = server.client(), {"route": "/transactions/create", "status": "201"}
        # A request is counted just after it was answered.
        wait_for(lambda: sample(client.get("/metrics").text, "wallet_requests_total", **asked) == applied)
        assert sample(client.get("/metrics").text, "wallet_batch_commands_sum") == applied + 2
        assert balance(api, owned) == f"{applied}.00"
        assert server.stop() == 0
    assert server.wallet("verify").code == 0


@pytest.mark.on_file("the folder for temporary files")
def test_workers_whose_folder_of_counts_is_removed_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a cleaner of temporary files: nobody is answered 500, and a worker that dies gets another in its place."""
    monkeypatch.setattr(running, "PROGRAM", [*running.WALLET])  # afresh: it looks where temporary files are kept
    with Server(tmp_path, "--no-auth", "--workers", "2", environ={"TMPDIR": str(tmp_path)}) as server:
        [folder] = tmp_path.glob(f"{PREFIX}*")
        [worker, _] = {int(file.stem.rpartition("_")[2]) for file in folder.glob("counter_*.db")}
        shutil.rmtree(folder)
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: len([*folder.glob("counter_*.db")]) == 1)
        shutil.rmtree(folder)
        assert server.client().get("/metrics").status_code == 200
        assert server.stop() == 0
        assert "was removed" in server.stderr
    assert not folder.exists()


def depth_of(counts: Path) -> float:
    """How many commands wait for a turn in one process, by the file of its figures."""
    figures = MmapedDict.read_all_values_from_file(str(counts))
    return sum(value for name, value, *_ in figures if "wallet_inbox_commands" in name)


@pytest.mark.on_file("which of the processes is asked")
def test_a_worker_that_is_asked_shows_what_is_under_way_in_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scraper keeps its connection, and so its worker. What was under way in one that has died is over."""
    monkeypatch.setattr(running, "PROGRAM", [*running.WALLET])  # afresh: it looks where temporary files are kept

    def process_of(request_id: str) -> str:
        return request_id.split("-")[0]

    with (
        Server(tmp_path, "--no-auth", "--workers", "2", environ={"TMPDIR": str(tmp_path)}) as server,
        engines.turn_held(server.db),
        ExitStack() as stack,
    ):
        scraper = server.client()
        asked = process_of(scraper.get("/healthz").headers["x-request-id"])
        body = b'{"phone_number": "9886977544"}'
        request = f"POST {API}/users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode()
        others = 0
        while others < 3:  # one of them, or two, may be in a batch already, which waits for its turn
            sock = stack.enter_context(server.connection())
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = read_answer(sock)
            assert answer is not None
            if process_of(answer.headers["x-request-id"]) != asked:
                sock.sendall(request + b"Content-Length: %d\r\n\r\n" % len(body) + body)
                others += 1

        def waiting() -> float:
            return sample(scraper.get("/metrics").text, "wallet_inbox_commands")

        wait_for(lambda: waiting() > 0)
        [folder] = tmp_path.glob(f"{PREFIX}*")
        [other] = [file for file in folder.glob("gauge_livesum_*.db") if depth_of(file)]
        os.kill(int(other.stem.rpartition("_")[2]), signal.SIGKILL)
        wait_for(lambda: waiting() == 0)


# --- outside the API ------------------------------------------------------------------------------------------------


def sample(page: str, name: str, **labels: str) -> float:
    """A figure of a page of metrics."""
    wanted = {f'{label}="{value}"' for label, value in labels.items()}
    found = []
    for line in page.splitlines():
        match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if match and match[1] == name and wanted <= set((match[2] or "").split(",")):
            found.append(float(match[3]))
    assert len(found) == 1, (name, labels, found)
    return found[0]


def test_health_and_readiness(server: Server) -> None:
    for path in ("/healthz", "/readyz", "/healthz/", "/readyz/"):
        answer = server.client().get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ("GET /healthz HTTP/1.1", 200),
        ("GET /docs HTTP/1.1", 200),
        ("POST /docs HTTP/1.1", 405),
        ("GET /nope HTTP/1.1", 404),
        ("GET /api/v1/ledger HTTP/1.1", 200),
        ("GET /api/v1/users?no=1 HTTP/1.1", 400),
        ("GET /api/v1/users HTTP/3.7", 400),
        ("GET /api/v1/users HTTP/1.1\r\nContent-Length: x", 400),
    ],
)
def test_every_answer_has_the_id_of_its_request(server: Server, request_: str, status: int) -> None:
    name, _, more = request_.partition("\r\n")
    plain = ["till-7", "req_7", "order:7", "a.b", "A+b/c=@", "x" * 128]
    odd = [[], ["a b"], ["one", "two"], ["x" * 129], ['"a"'], ["a\\b"], ["{a}"], ["é"], [""]]
    for ids, expected in [*(([each], each) for each in plain), *((each, None) for each in odd)]:
        given = [f"X-Request-ID: {each}" for each in ids]
        lines = [name, "Host: localhost", *given, *filter(None, [more]), "", ""]
        answer = exchange(server.address, "\r\n".join(lines).encode())
        assert answer is not None
        assert answer.status == status
        told = answer.headers["x-request-id"]
        assert told == expected if expected and "HTTP/3" not in name else re.fullmatch("[0-9a-f]{8}-[0-9]+", told)


def test_a_refused_item_is_logged_with_the_id_of_its_batch(tmp_path: Path) -> None:
    with Server(tmp_path, environ={"JWT_SECRET_KEY": "s" * 32}) as guarded:
        operator = guarded.api(guarded.key("till"))
        owned = new_wallet(operator)
        user = guarded.api(made(operator.post("/tokens", json={"user_id": owned[0]}))["token"])
        sent = {"transactions": [item(owned, 1, is_credit=True)]}
        made(user.post("/transactions/batch", json=sent, headers={"X-Request-ID": "till-7"}), 200)
        wait_for(lambda: [line for line in guarded.log if line["event"] == "forbidden"])
        assert [line["request_id"] for line in guarded.log if line["event"] == "forbidden"] == ["till-7"]


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/api/v1/users", "/api/v1/wallets", "/api/v1/tokens"])
def test_allow_has_each_method_that_is_answered(server: Server, path: str) -> None:
    client = server.client()
    answered = {method for method in ("GET", "HEAD", "POST", "PUT") if client.request(method, path).status_code != 405}
    for method in ("OPTIONS", "PUT"):
        refused = client.request(method, path)
        assert refused.status_code == 405
        assert {*refused.headers["Allow"].split(", ")} == answered


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "x"])
def test_a_body_that_is_coded_is_not_read(api: httpx.Client, owned: Owned, coding: str) -> None:
    for path, kind in (("/transactions/create", "application/json"), ("/import", "text/csv")):
        headers = {"Content-Type": kind, "Content-Encoding": coding}
        refused = api.post(path, content=json.dumps(item(owned, "1")), headers=headers)
        failure(refused, 415, "unsupported_media_type")
    plain = api.post("/transactions/create", json=item(owned, "1"), headers={"Content-Encoding": "Identity"})
    assert plain.status_code == 201


def test_a_small_answer_comes_in_one_piece(server: Server) -> None:
    with server.connection() as sock:
        for _ in range(3):
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head, _, body = sock.recv(65536).partition(b"\r\n\r\n")
            assert f"content-length: {len(body)}".encode() in head
            assert body


@pytest.mark.on_file("the turn of a whole ledger; on PostgreSQL a wallet that is locked hinders nobody else")
def test_not_ready_while_another_has_the_turn(tmp_path: Path) -> None:
    """Health is about the process, readiness about writing. A write says who is in the way; anybody may ask for health,
    and is not told.
    """
    with Server(tmp_path, "--no-auth", environ={"WALLET_LOCK_TIMEOUT": "0.2"}) as server:
        client, api = server.client(), server.api()
        owned = new_user(api), api.post("/wallet/create", json={"user_id": 1, "type": "main"}).json()["data"]["id"]
        with held(WriteLock, server.db.with_name("wallet.db.lock"), "settling") as holder:
            assert client.get("/healthz").status_code == 200
            assert failure(client.get("/readyz"), 503, "busy", retryable=True) == {}
            busy = post(api, owned, 5, key="once")
            assert failure(busy, 503, "busy", retryable=True)["holder"]["pid"] == holder.pid
            assert busy.headers["Retry-After"].isdigit()
            assert balance(api, owned) == "0.00"  # readers do not wait for writers
        assert client.get("/readyz").status_code == 200
        assert post(api, owned, 5, key="once").status_code == 201


def test_metrics(tmp_path: Path) -> None:
    with Server(tmp_path, "--no-auth") as server:
        api = server.api()
        owned = new_user(api), api.post("/wallet/create", json={"user_id": 1, "type": "main"}).json()["data"]["id"]
        for _ in range(3):
            post(api, owned, "7654.32")
        post(api, owned, "99999.99", is_credit=False)
        batch(api, [item(owned, 1), item(owned, "987654.32", is_credit=False)])
        answer = server.client().get("/metrics")
        page = answer.text
        assert answer.headers["content-type"].startswith("text/plain")
        assert sample(page, "wallet_requests_total", route="/transactions/create", status="201") == 3
        assert sample(page, "wallet_requests_total", route="/transactions/create", status="409") == 1
        assert sample(page, "wallet_request_seconds_count", route="/transactions/create") == 4
        assert sample(page, "wallet_refusals_total", code="insufficient_funds") == 2  # one of them in a batch
        assert sample(page, "wallet_batch_commands_sum") == 8
        assert sample(page, "wallet_inbox_commands") == 0
        turns = sample(page, "wallet_batch_commands_count")
        assert 1 <= turns <= 8
        assert sample(page, "wallet_turn_wait_seconds_count") == turns
        assert sample(page, "wallet_commit_seconds_count") == turns
        told = re.sub(r"(_seconds_sum(?:{.*})?) .*", r"\1", page)  # a measured time may have any digits
        for secret in ("7654.32", "765432", "99999.99", "9999999", "9886977", "user_id", "phone"):
            assert secret not in told


def test_the_docs_page_needs_no_internet(server: Server) -> None:
    answer = server.client().get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = answer.text
    assert not re.findall(r"""(?:src|href|action|data|poster)\s*=\s*["']?\s*(?:https?:)?//""", page)
    assert "<script" not in page
    assert "@import" not in page
    assert "url(" not in page
    for operation in operations():
        assert operation in page


# --- the description ------------------------------------------------------------------------------------------------


@cache
def document() -> Any:
    """/openapi.json, without a server."""
    from wallet_cli.web.openapi import openapi_json

    return json.loads(openapi_json())


def operations() -> list[str]:
    return [op["operationId"] for methods in document()["paths"].values() for op in methods.values()]


def test_the_description_is_openapi_3_1(server: Server) -> None:
    answer = server.client().get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == document()
    assert document()["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document()).validate()
    for schema in document()["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema | {"$schema": "https://json-schema.org/draft/2020-12/schema"})


def leaves(error: type[WalletError]) -> Iterator[type[WalletError]]:
    """The errors of the tree that are not mere branches."""
    children = error.__subclasses__()
    if not children:
        yield error
    for child in children:
        yield from leaves(child)


# What the interface promises, and no operation of HTTP can answer: its table has them all the same. What is no path, or
# has no such method, is no operation.
NOT_OVER_HTTP = {"interrupted", "ledger_not_found", "not_found", "method_not_allowed"}


def test_every_error_is_described() -> None:
    told = {
        (int(status), code)
        for methods in document()["paths"].values()
        for operation in methods.values()
        for status, answer in operation["responses"].items()
        for code in answer["content"].get("application/json", {}).get("examples", ())
    }
    errors = {
        (error.http_status, error.code) for error in leaves(WalletError) if error.__module__.startswith("wallet_cli")
    }
    assert {each for each in errors if each[1] not in NOT_OVER_HTTP} == told


def assert_described(answer: httpx.Response, method: str, path: str) -> None:
    """The status, the type and, of JSON, the value are as /openapi.json says."""
    responses = document()["paths"][path][method]["responses"]
    assert str(answer.status_code) in responses, f"{method} {path} may not answer {answer.status_code}"
    content = responses[str(answer.status_code)]["content"]
    kind = answer.headers["content-type"]
    assert kind in content, f"{method} {path} may not answer with {kind}"
    if kind == "application/json":
        # Answers may grow: what is not declared yet is found here alone.
        strict = {
            name: schema | ({"additionalProperties": False} if "properties" in schema else {})
            for name, schema in document()["components"]["schemas"].items()
        }
        whole = {"components": {"schemas": strict}, **content[kind]["schema"]}
        jsonschema_rs.Draft202012Validator(whole, validate_formats=True).validate(answer.json())


def test_answers_are_as_described(api: httpx.Client, owned: Owned) -> None:
    """Of every operation, good answers and bad."""
    user_id, wallet_id = owned
    ids = {"user_id": user_id, "wallet_id": wallet_id}
    other = new_wallet(api)
    to_other = ids | {"to_user_id": other[0], "to_wallet_id": other[1]}
    empty = dict(zip(ids, new_wallet(api), strict=True))
    seen = set()

    def check(answer: httpx.Response, path: str) -> None:
        method = answer.request.method.lower()
        assert_described(answer, method, API + path)
        seen.add((method, path, answer.status_code))

    for path, bodies in {
        "/users": [{"phone_number": "+442079460000"}, {"phone_number": "+442079460000"}, {"phone_number": ""}],
        "/wallet/create": [
            {"user_id": user_id, "type": "x"},
            {"user_id": user_id, "type": "x"},
            {},
            {"user_id": 10**9, "type": "x"},
        ],
        "/transactions/create": [
            item(owned, 5, note="n"),
            item(owned, "99", is_credit=False),
            item(owned, 0),
            item((1, 10**9), 1),
        ],
        "/transactions/batch": [
            {"transactions": [item(owned, 1, key="k"), item(owned, 1, key="k"), item(owned, -1), item((1, 10**9), 1)]},
            {"transactions": [item(owned, 1), item(owned, 99, is_credit=False)], "atomic": True},
        ],
        "/transactions/get/total_in_period": [
            ids,
            ids | {"start_date": "2024", "end_date": "2025"},
            {},
            {"user_id": 1, "wallet_id": 10**9},
        ],
        "/tokens": [{"user_id": user_id}, {"user_id": 10**9}, {}],
        "/keys": [{"name": "described"}, {"name": "described"}, {"name": "no spaces"}],
        "/keys/revoke": [{"name": "described"}, {"name": "nobody"}, {}],
        "/transfers/create": [
            to_other | {"amount": "1.00", "meta": {"order": 2**70}},
            to_other | {"amount": "999.00"},
            to_other | {"amount": "1.00", "to_wallet_id": 10**9},
            to_other,
        ],
        "/transactions/reverse": [
            {"transaction": f"{wallet_id}-1", "amount": "0.50", "force": True},
            {"transaction": f"{wallet_id}-1", "amount": "9.00"},
            {"transaction": f"{wallet_id}-99"},
            {"transaction": "x"},
        ],
        "/holds/create": [
            ids | {"amount": "0.50", "expires": "1d"},
            ids | {"amount": "0.20"},
            ids | {"amount": "99.00"},
            ids | {"amount": "1.00", "wallet_id": 10**9},
            ids | {"amount": "1.00", "expires": "soon"},
        ],
        "/holds/capture": [
            {"hold": f"{wallet_id}-h1", "amount": "0.30"},
            {"hold": f"{wallet_id}-h1"},
            {"hold": f"{wallet_id}-h99"},
            {},
        ],
        "/holds/void": [
            {"hold": f"{wallet_id}-h2"},
            {"hold": f"{wallet_id}-h2"},
            {"hold": f"{wallet_id}-h99"},
            {"hold": 5},
        ],
        "/wallet/limits": [
            ids | {"minimum_balance": "-5", "maximum_balance": 1000, "daily_debit": "none"},
            ids | {"daily_debit": None},
            {"user_id": user_id, "wallet_id": 10**9},
        ],
        "/ledger": [{"minimum_balance": "0"}, {"timezone": "Mars"}, {"id": "x"}],
        "/wallet/freeze": [ids, {"user_id": user_id, "wallet_id": 10**9}, {}],
        "/wallet/unfreeze": [ids, {"user_id": user_id, "wallet_id": 10**9}, {}],
        "/wallet/close": [ids, empty, {"user_id": user_id, "wallet_id": 10**9}, {}],
    }.items():
        for body in bodies:
            check(api.post(path, json=body), path)
        check(api.post(path, content="x", headers={"Content-Type": "text/plain"}), path)
        check(api.post(path, content=b" " * 9_000_000, headers={"Content-Type": "application/json"}), path)
    body = item(owned, 5)
    for _ in range(2):
        keyed = {"Idempotency-Key": "k2"}
        check(api.post("/transactions/create", json=body, headers=keyed), "/transactions/create")
        keyed = {"Idempotency-Key": "k3"}
        check(api.post("/transfers/create", json=to_other | {"amount": 1}, headers=keyed), "/transfers/create")
        keyed = {"Idempotency-Key": "k4"}
        check(api.post("/holds/create", json=ids | {"amount": "0.10"}, headers=keyed), "/holds/create")
        keyed = {"Idempotency-Key": "k5"}
        check(api.post("/holds/capture", json={"hold": f"{wallet_id}-h3"}, headers=keyed), "/holds/capture")
        part = {"transaction": f"{wallet_id}-1", "amount": "0.01"}
        keyed = {"Idempotency-Key": "k6"}
        check(api.post("/transactions/reverse", json=part, headers=keyed), "/transactions/reverse")
    for path, kinds in {
        "/wallet/get/{user_id}": [(user_id,), (10**9,), ("x",)],
        "/wallet/get/{user_id}/{type}": [(user_id, "main"), (user_id, "no"), (user_id, "é")],
        "/transactions/get/{user_id}/{wallet_id}": [owned, (user_id, 10**9), ("x", "y")],
        "/transactions/get/{user_id}/{wallet_id}/{seq}": [
            *((*owned, seq) for seq in range(1, 11)),
            (*owned, 99),
            (*owned, "x"),
        ],
        "/holds/get/{user_id}/{wallet_id}": [owned, (user_id, 10**9), ("x", "y")],
        "/users/{user_id}": [(user_id,), (10**9,), ("x",)],
        "/users": [()],
        "/ledger": [()],
        "/wallets": [()],
        "/wallet/statement/{user_id}/{wallet_id}": [owned, (user_id, 10**9), ("x", "y")],
        "/export": [()],
        "/export/{user_id}/{wallet_id}": [owned, (user_id, 10**9), ("x", "y")],
    }.items():
        for values in kinds:
            names = re.findall(r"\{(\w+)\}", path)
            check(api.get(path.format(**dict(zip(names, values, strict=True)))), path)
    for path, kinds_ in {"/wallet/statement/{user_id}/{wallet_id}": STATEMENTS, "/export": EXPORTS}.items():
        for kind in (*kinds_, "xlsx"):
            check(api.get(path.format(user_id=user_id, wallet_id=wallet_id), params={"format": kind}), path)
    for path, queries in {
        "/lookup/user": [{"user": f"id:{user_id}"}, {"user": "77777"}, {}],
        "/lookup/wallet": [{"wallet": f"id:{user_id}"}, {"wallet": f"id:{user_id}", "at": "2024"}, {"wallet": "77777"}],
        "/lookup/wallets": [{"user": f"id:{user_id}"}, {"user": "77777"}, {"user": "x"}],
        "/lookup/transaction": [{"id": f"{wallet_id}-1"}, {"id": f"{wallet_id}-999"}, {"id": "x"}],
        "/lookup/holders": [{"wallets": f"{wallet_id}"}, {"wallets": "x"}, {}],
        "/lookup/users": [{"name": "asha"}, {"name": "nobody"}, {"name": "1"}, {}],
        "/users": [{"text": "a"}, {"text": " "}],
        "/find": [{"text": "a"}, {"text": "a", "limit": "0"}, {"text": " "}, {}],
        "/history": [{}, {"text": "a"}, {"from": "7d", "min": "1"}, {"cursor": "9-9"}, {"kind": "gift"}],
        "/audit": [
            *(
                {},
                {"limit": "1"},
                {"user": f"id:{user_id}"},
                {"wallet": f"{user_id}/main"},
                {"wallet": f"w{wallet_id}"},
            ),
            *(
                {"cursor": "w9-9"},
                {"cursor": "x"},
                {"user": "77777"},
                {"wallet": "w77777"},
                {"user": "1", "wallet": "1"},
            ),
        ],
        "/overview": [{}, {"x": "y"}],
        "/verify": [{}, {"wallet": f"id:{user_id}"}, {"wallet": "77777"}],
        "/keys": [{}],
    }.items():
        for query in queries:
            check(api.get(path, params=query), path)
    lines = f'{{"numbers":[1]}}\n{{"wallet":"{user_id}/main","amount":"x","kind":"credit"}}\n'
    for part in (lines, lines.replace('"x"', '"1.00"'), "", " " * 9_000_000):
        check(api.post("/import/part", content=part, headers={"Content-Type": "application/x-ndjson"}), "/import/part")
    rows = f"wallet,amount,kind,key\n{user_id}/main,1.00,credit,a\n{user_id}/main,1.001,credit,b\n"
    for file, type_, query in (
        (rows, "text/csv", {}),
        (rows, "text/csv; charset=UTF-8", {"dry_run": "true"}),
        (rows, "text/csv", {"atomic": "true"}),
        (rows, "text/csv", {"atomic": "yes"}),
        ("", "text/csv", {}),
        (rows, "application/json", {}),
        (" " * 9_000_000, "text/csv", {}),
        ('{"record":"end","records":1}\n', "application/x-ndjson", {"create": "true"}),
    ):
        check(api.post("/import", content=file, params=query, headers={"Content-Type": type_}), "/import")
    good = {(method, path) for method, path, status in seen if status < 300}
    assert good == {
        (method, path.removeprefix(API)) for path, methods in document()["paths"].items() for method in methods
    }
    assert {status for _, _, status in seen} == {200, 201, 400, 404, 409, 413, 415}
