"""Looking things up as people name them, proving the ledger, operator keys, and parts of an import, over HTTP."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from support.server import Server
from web.calls import Owned, balance, failure, ids, made, new_wallet, post
from web.raw import exchange

from wallet_cli.web.routes.import_chunks import MAX_HEAD_VALUES

PART = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def phone(api: httpx.Client, owned: Owned) -> str:
    return str(api.get(f"/users/{owned[0]}").json()["data"]["phone_number"])


def test_users_by_all_their_names(api: httpx.Client, owned: Owned, phone: str) -> None:
    user = made(api.get(f"/users/{owned[0]}"), 200)
    for name in (phone, f"{phone[:5]} {phone[5:]}", f"+91{phone}", f"id:{owned[0]}"):
        assert made(api.get("/lookup/user", params={"user": name}), 200) == user
    failure(api.get("/lookup/user", params={"user": phone, "region": "GB"}), 404, "user_not_found")
    failure(api.get("/lookup/user", params={"user": "9", "region": "XX"}), 404, "user_not_found")
    failure(api.get("/lookup/user", params={"user": "9886000000", "region": "XX"}), 400, "invalid_input")
    failure(api.get("/lookup/user"), 400, "invalid_input")


def test_wallets_by_their_owners_name(api: httpx.Client, owned: Owned, phone: str) -> None:
    made(post(api, owned, "10.00", at="2024-04-30T10:00:00Z"))
    wallet = made(api.get(f"/wallet/get/{owned[0]}/main"), 200)
    for name in (phone, f"{phone}/main", f"id:{owned[0]}/main", f"w{owned[1]}", wallet["wallet"]):
        assert made(api.get("/lookup/wallet", params={"wallet": name}), 200) == wallet
    for name in ("w0", f"W{owned[1]}", f"w0{owned[1]}", f"w{owned[1]}/main", "w" + "9" * 20):
        failure(api.get("/lookup/wallet", params={"wallet": name}), 400, "invalid_input")
    before = made(api.get("/lookup/wallet", params={"wallet": phone, "at": "2024-04-29"}), 200)
    assert (before["balance"], before["at"]) == ("0.00", "2024-04-29T23:59:59.999999Z")
    page = made(api.get("/lookup/wallets", params={"user": phone, "limit": "1"}), 200)
    assert page == {"wallets": [wallet], "next_cursor": None}
    counted = made(api.get("/lookup/wallets", params={"user": phone, "limit": "1", "count": "true"}), 200)
    assert counted == page | {"count": 1}
    failure(api.get("/lookup/wallet", params={"wallet": f"{phone}/none"}), 404, "wallet_not_found")
    failure(api.get("/lookup/wallet", params={"wallet": phone, "at": "soon"}), 400, "invalid_input")


def test_whose_wallets_are_by_their_ids(api: httpx.Client, server: Server, owned: Owned, phone: str) -> None:
    other = new_wallet(api)
    asked = {"wallets": f"{other[1]},{owned[1]},{owned[1]},{2**62}"}
    found = made(api.get("/lookup/holders", params=asked), 200)
    assert [each["wallet_id"] for each in found] == sorted((owned[1], other[1]))
    own = next(each for each in found if each["wallet_id"] == owned[1])
    assert own == {
        "wallet_id": owned[1],
        "user_id": owned[0],
        "type": "main",
        "currency": "INR",
        "phone_e164": f"+91{phone}",
        "name": None,
        "wallet": f"{owned[0]}/main",
    }
    assert made(api.get("/lookup/holders", params={"wallets": ",".join(map(str, range(1, 101)))}), 200)
    for wrong in ("", "x", "0", "1,", "1 2", ",".join(map(str, range(1, 102)))):
        failure(api.get("/lookup/holders", params={"wallets": wrong}), 400, "invalid_input")
    failure(api.get("/lookup/holders"), 400, "invalid_input")


def test_a_transaction_by_its_id(api: httpx.Client, owned: Owned) -> None:
    id_ = made(post(api, owned, "10.00"))["id"]
    found = made(api.get("/lookup/transaction", params={"id": id_}), 200)
    assert found == made(api.get(f"/transactions/get/{owned[0]}/{owned[1]}/1"), 200)
    failure(api.get("/lookup/transaction", params={"id": f"{owned[1]}-2"}), 404, "transaction_not_found")
    failure(api.get("/lookup/transaction", params={"id": "x"}), 400, "invalid_input")


def test_a_region_of_ones_own_registers_there(api: httpx.Client) -> None:
    made_there = made(api.post("/users", json={"phone_number": "20 7946 0321", "phone_region": "GB"}))
    assert made_there["phone_e164"] == "+442079460321"
    failure(api.post("/users", json={"phone_number": "20 7946 0322", "phone_region": "XX"}), 400, "invalid_input")


def test_verify_says_what_it_has_looked_at(api: httpx.Client, owned: Owned, phone: str) -> None:
    made(post(api, owned, "10.00"))
    assert made(api.get("/verify", params={"wallet": phone}), 200) == {"ok": True, "wallets": 1, "transactions": 1}
    assert made(api.get("/verify"), 200)["ok"] is True


def test_keys_are_made_listed_and_revoked(api: httpx.Client, server: Server) -> None:
    key = made(api.post("/keys", json={"name": "lookup-till", "read_only": True}))
    assert key["key"].startswith("wk_")
    names = [each["name"] for each in made(api.get("/keys"), 200)]
    assert "lookup-till" in names
    assert key["key"] not in api.get("/keys").text
    failure(api.post("/keys", json={"name": "lookup-till"}), 409, "key_exists")
    first = made(api.post("/keys/revoke", json={"name": "lookup-till"}), 200)
    assert made(api.post("/keys/revoke", json={"name": "lookup-till"}), 200) == first
    failure(api.post("/keys/revoke", json={"name": "nobody"}), 404, "key_not_found")
    assert key["key"] not in server.stderr


# --- a + that is not escaped ------------------------------------------------------------------------------------------


def test_a_plus_before_a_number_is_one_and_a_space_is_none(api: httpx.Client, owned: Owned) -> None:
    """`?wallet=+65…` names the number of Singapore, and `?wallet=%2065…` the one of India with the same digits."""
    singapore = made(api.post("/users", json={"phone_number": "+6598765432"}))
    india = made(api.post("/users", json={"phone_number": "6598765432"}))
    assert singapore["phone_e164"] != india["phone_e164"]
    for user in (singapore, india):
        made(api.post("/wallet/create", json={"user_id": user["id"], "type": "main"}))
    for number, user in (
        *((number, singapore) for number in ("+6598765432", "%2B6598765432", "+65+9876+5432", "%20%2B6598765432")),
        *((number, india) for number in ("6598765432", "%206598765432", "%20%206598765432%20")),
    ):
        assert made(api.get(f"/lookup/user?region=IN&user={number}"), 200)["id"] == user["id"]
        assert made(api.get(f"/lookup/wallet?wallet={number}"), 200)["user_id"] == user["id"]
        assert made(api.get(f"/lookup/wallet?wallet={number.removesuffix('%20')}/main"), 200)["user_id"] == user["id"]
        found = made(api.get(f"/lookup/wallets?user={number}"), 200)["wallets"]
        assert [wallet["user_id"] for wallet in found] == [user["id"]]
        assert made(api.get(f"/verify?wallet={number}"), 200)["wallets"] == 1
    assert made(api.get(f"/lookup/wallet?wallet=%20{singapore['id']}/main"), 200)["user_id"] == singapore["id"]
    for number in ("++6598765432", "++%2B6598765432", "+%2B6598765432", "+-6598765432", "+"):
        failure(api.get(f"/lookup/user?user={number}"), 400, "invalid_input")


def test_an_empty_parameter_is_refused_unless_it_is_a_filter(api: httpx.Client, owned: Owned) -> None:
    """It would be about the whole ledger, or about now. A form sends empty filters too: they let everything through."""
    listed = f"/transactions/get/{owned[0]}/{owned[1]}"
    for path in (
        f"{listed}?key=",
        f"{listed}?limit=5&key=",
        "/history?key=",
        f"/lookup/wallet?wallet=id:{owned[0]}&at=",
        "/lookup/user?user=",
        *("/audit?wallet=", "/audit?user=", "/verify?wallet="),
    ):
        answer = api.get(path)
        failure(answer, 400, "invalid_input")
        name = path.rstrip("=").rpartition("&")[2].rpartition("?")[2]
        assert answer.json()["message"].startswith(f"{name} is empty"), path
    for path in (listed, "/history"):
        everything = made(api.get(path), 200)
        for name in ("from", "to", "kind", "min", "max", "text", "cursor", "limit"):
            assert made(api.get(f"{path}?{name}="), 200) == everything


def test_an_offset_of_a_time_never_begins_with_a_space(api: httpx.Client, owned: Owned) -> None:
    """`?from=…+05:30` is that offset; a space between a date and a time of day is one."""
    at = "2024-04-19T05:00:00+05:30"
    made(api.post("/transactions/create", json=ids(owned) | {"amount": "1.00", "is_credit": True, "at": at}))
    path = f"/wallet/statement/{owned[0]}/{owned[1]}"

    def count(query: str) -> int:
        return len(made(api.get(f"{path}?{query}"), 200)["transactions"])

    clocks = ("T05:00:00", "+05:00", "T05:00:00.000000", "+05:00:00")
    for offset, clock in zip(("+05:30", "%2B05:30", "%2005:30", "+0530"), clocks, strict=True):
        assert count(f"from=2024-04-19{clock}{offset}&to=2024-04-19T05:00:01{offset}") == 1
        assert count(f"from=2024-04-19T05:00:01{offset}&to=2024-04-20") == 0
        wallet = api.get(f"/lookup/wallet?wallet=id:{owned[0]}&at=2024-04-19T04:59:59{offset}")
        assert made(wallet, 200)["balance"] == "0.00"
    assert count("from=2024-04-18+23:30&to=2024-04-18+23:31") == 1


# --- white space and quotes around a key ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    ["order-7 ", "  order-7", "order-7 \t", '"order-7"', ' "order-7" ', '" order-7 "', "order-7\t"],
)
def test_white_space_and_quotes_around_a_key_never_count(
    server: Server, api: httpx.Client, owned: Owned, other: str
) -> None:
    body = ids(owned) | {"amount": "1.00", "is_credit": True}
    first = made(api.post("/transactions/create", json=body, headers={"Idempotency-Key": "order-7"}))
    text = json.dumps(body).encode()
    head = f"POST /api/v1/transactions/create HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(text)}\r\n"
    head += f"Content-Type: application/json\r\nIdempotency-Key:{other}\r\n\r\n"  # what httpx would not send
    answer = exchange(server.address, head.encode() + text)
    assert answer is not None
    assert answer.json["data"] == first | {"replayed": True}
    batch = made(api.post("/transactions/batch", json={"transactions": [body | {"key": " order-7 "}]}), 200)
    assert batch["replayed"] == 1


@pytest.mark.parametrize(
    ("sent", "key"),
    [('"a\\"b"', 'a"b'), ('"a\\\\b"', "a\\b"), ('"', '"'), ('"a', '"a'), ('a"', 'a"'), ('"a"b"', '"a"b"')],
)
def test_a_quoted_key(api: httpx.Client, owned: Owned, sent: str, key: str) -> None:
    body = ids(owned) | {"amount": "1.00", "is_credit": True}
    assert made(api.post("/transactions/create", json=body, headers={"Idempotency-Key": sent}))["key"] == key


@pytest.mark.parametrize("sent", ['""', '" "', '"a\x01"', ""])
def test_a_quoted_key_that_is_none(api: httpx.Client, owned: Owned, sent: str) -> None:
    body = ids(owned) | {"amount": "1.00", "is_credit": True}
    failure(api.post("/transactions/create", json=body, headers={"Idempotency-Key": sent}), 400, "invalid_input")


# --- keys that no plain header keeps ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("encoded", "key"), [("UTF-8''%20a%20", "a"), ("utf-8''z%C3%A9", "zé"), ("UTF-8''a", "a")])
def test_an_encoded_key(api: httpx.Client, owned: Owned, encoded: str, key: str) -> None:
    body = ids(owned) | {"amount": "1.00", "is_credit": True}
    first = made(api.post("/transactions/create", json=body, headers={"Idempotency-Key*": encoded}))
    assert first["key"] == key
    again = made(api.post("/transactions/create", json=body, headers={"Idempotency-Key*": encoded}), 200)
    assert again == first | {"replayed": True}


@pytest.mark.parametrize(
    "headers",
    [
        {"Idempotency-Key*": "a"},
        {"Idempotency-Key*": "UTF-8''"},
        {"Idempotency-Key*": "UTF-8''%00"},
        {"Idempotency-Key*": "UTF-8''%FF"},
        {"Idempotency-Key*": "UTF-8''a", "Idempotency-Key": "a"},
    ],
)
def test_an_encoded_key_that_is_none(api: httpx.Client, owned: Owned, headers: dict[str, str]) -> None:
    body = ids(owned) | {"amount": "1.00", "is_credit": True}
    failure(api.post("/transactions/create", json=body, headers=headers), 400, "invalid_input")
    assert balance(api, owned) == "0.00"


# --- parts of an import ----------------------------------------------------------------------------------------------


def part(api: httpx.Client, head: dict[str, Any], *lines: dict[str, Any]) -> httpx.Response:
    text = "".join(json.dumps(each) + "\n" for each in (head, *lines))
    return api.post("/import/part", content=text.encode(), headers=PART)


def line_of(owned: Owned, amount: str, **more: Any) -> dict[str, Any]:
    return {"wallet": f"id:{owned[0]}/main", "amount": amount, "kind": "credit", **more}


def test_a_part_keeps_the_numbers_and_keys_of_its_file(api: httpx.Client, owned: Owned) -> None:
    head = {"numbers": [7, 9], "prefix": "import:cafe:"}
    lines = (line_of(owned, "5.00"), line_of(owned, "x"))
    for applied, replayed in ((1, 0), (0, 1)):
        done = made(part(api, head, *lines), 200)
        assert (done["applied"], done["replayed"], done["refused"]) == (applied, replayed, 1)
        assert [(each["line"], each["code"]) for each in done["rejects"]] == [(9, "invalid_input")]
    listed = made(api.get(f"/transactions/get/{owned[0]}/{owned[1]}"), 200)
    assert [each["key"] for each in listed["transactions"]] == ["import:cafe:7"]


@pytest.mark.parametrize("option", [{"dry_run": True}, {"atomic": True, "refused": True}])
def test_a_part_that_is_to_change_nothing(api: httpx.Client, owned: Owned, option: dict[str, bool]) -> None:
    done = made(part(api, {"numbers": [1], "prefix": "p", **option}, line_of(owned, "5.00")), 200)
    assert done["applied"] == 1  # as if nothing had been undone: who reads the file knows that it was
    assert balance(api, owned) == "0.00"


def test_a_wallet_that_was_broken_stays_so(api: httpx.Client) -> None:
    owned = new_wallet(api)
    line = line_of(owned, "5.00", id=f"{owned[1]}-1", at="2024-01-01T00:00:00Z")
    done = made(part(api, {"numbers": [1], "broken": [line["wallet"]]}, line), 200)
    assert [each["code"] for each in done["rejects"]] == ["restore_conflict"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}\n{}\n",
        b'{"numbers": []}\n',
        b'{"numbers": [1]}\n',
        b'{"numbers": [1, 2]}\n{}\n',
        b'{"numbers": [1]}\n{}',
        b'{"numbers": [0]}\n{}\n',
        b'{"numbers": [1], "prefix": "\\u0000"}\n{}\n',
        b'{"numbers": [1], "unknown": 1}\n{}\n',
        b'{"numbers": [' + b"1," * MAX_HEAD_VALUES + b"1]}" + b"\n" * (MAX_HEAD_VALUES + 2),
    ],
)
def test_a_part_that_cannot_be_read(api: httpx.Client, body: bytes) -> None:
    failure(api.post("/import/part", content=body, headers=PART), 400, "invalid_input")


def test_a_list_says_how_long_it_is_where_that_is_asked(api: httpx.Client, owned: Owned) -> None:
    for _ in range(3):
        made(post(api, owned, "1.00"))
    users, wallets = (api.get(path, params={"limit": "1", "count": "true"}) for path in ("/users", "/wallets"))
    assert made(users, 200)["count"] >= 1
    assert made(wallets, 200)["count"] >= 1
    path = f"/transactions/get/{owned[0]}/{owned[1]}"
    assert made(api.get(path, params={"limit": "1", "count": "true"}), 200)["count"] == 3
    assert made(api.get(path, params={"limit": "1", "count": "true", "kind": "debit"}), 200)["count"] is None
    assert made(api.get(f"/holds/get/{owned[0]}/{owned[1]}", params={"count": "true"}), 200)["count"] == 0
    assert "count" not in made(api.get(path, params={"limit": "1", "count": "false"}), 200)
    book = made(api.get("/history", params={"limit": "1", "count": "true"}), 200)
    assert book["count"] == made(api.get("/overview"), 200)["transactions"] >= 3
    assert made(api.get("/history", params={"limit": "1", "count": "true", "from": "2020"}), 200)["count"] is None
    assert "count" not in made(api.get("/history", params={"limit": "1"}), 200)
    failure(api.get(path, params={"count": "yes"}), 400, "invalid_input")


def test_a_refusal_says_which_wallets_it_speaks_of(api: httpx.Client, owned: Owned) -> None:
    """In a header, so that the failure itself stays as it is."""
    refused = post(api, owned, "1.00", is_credit=False)
    message = refused.json()["message"]
    (mention,) = json.loads(refused.headers["wallet-mentions"])
    assert mention["id"] == owned[1]
    assert message[mention["at"] :].startswith(mention["wallet"])
    assert mention["wallet"] == f"{owned[0]}/main"
