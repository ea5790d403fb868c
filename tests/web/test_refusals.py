"""Each operation gives every refusal that it declares; support/answered.py has the suite see that it gives no other."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from support import answered
from support.server import Server
from web.calls import Owned, made, new_user, new_wallet, post
from web.hostile import SECRET

from wallet_cli import settings
from wallet_cli.domain.money import MAX_AMOUNT_MINOR, MAX_TOTAL_MINOR
from wallet_cli.operations.context import open_ledger
from wallet_cli.storage.move_state import MOVED, MoveState
from wallet_cli.web.openapi import document
from wallet_cli.web.operations import OPERATIONS, Operation

pytestmark = pytest.mark.on_file("refusals are decided by the same rules on either engine")

LARGE = b" " * 9_000_000
PROVOKED_ELSEWHERE = {"busy", "storage_error", "internal_error", "request_timeout", "rate_limited"}
"""By test_auth.py, test_failed_logins.py, test_reads.py, test_endpoints.py and test_connections.py: they need a server
that is in trouble.
"""

STATES = {"ledger_moved", "restore_conflict"}
"""What a whole ledger answers in a state in which it takes no writes."""

BODIES: dict[str, dict[str, Any]] = {
    operation["operationId"]: {
        kind: content["example"] for kind, content in operation["requestBody"]["content"].items()
    }
    for methods in document()["paths"].values()
    for operation in methods.values()
    if "requestBody" in operation
}


class Place(NamedTuple):
    server: Server
    api: httpx.Client
    """For an operator."""
    reader: httpx.Client
    """For a key that may only read."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Server(tmp_path, environ={"JWT_SECRET_KEY": SECRET}) as server:
        reader = server.api(server.key("reader", "--read-only"))
        answered.provoked.clear()
        yield Place(server, server.api(server.key("operator")), reader)


def path_of(operation: Operation, owned: Owned = (999, 999)) -> str:
    values = {"user_id": owned[0], "wallet_id": owned[1], "type": "main", "seq": 1}
    return operation.path.format(**values)


def ask(client: httpx.Client, operation: Operation, owned: Owned = (999, 999), **more: Any) -> httpx.Response:
    """A request as its example has it, which only a body may change."""
    path = path_of(operation, owned)
    if operation.method == "GET":
        return client.get(path, params=more)
    if isinstance(operation.body, dict):
        kind, text = next(iter(BODIES[operation.name].items()))
        return client.post(path, content=text, headers={"Content-Type": kind})
    return client.post(path, json=BODIES[operation.name]["application/json"] | more)


def missing(*, general: bool, only: Collection[str] = (), but: Collection[str] = ()) -> dict[str, set[str]]:
    """What was declared and not provoked, by operation: what all such operations declare, or what is their own."""
    found = {}
    for operation in OPERATIONS:
        own = {refusal.code for refusal in operation.refusals}
        whole = {refusal.code for refusal in operation.refused_by()}
        left = (whole - own if general else own) - answered.provoked[operation.name] - PROVOKED_ELSEWHERE - set(but)
        if left := left & set(only) if only else left:
            found[operation.name] = left
    return found


def test_every_operation_refuses_strangers_and_what_it_cannot_read(place: Place) -> None:
    user_id = new_user(place.api)
    token = made(place.api.post("/tokens", json={"user_id": user_id}))["token"]
    nobody, user = place.server.api(), place.server.api(token)
    for operation in OPERATIONS:
        assert ask(nobody, operation).status_code == 401
        place.api.request(operation.method, path_of(operation), params={"no": "1"}, json={"no": 1})
        ask(place.reader, operation)
        ask(user, operation)
        if operation.body is not None:
            kind = next(iter(BODIES[operation.name]))
            place.api.post(operation.path, content=LARGE, headers={"Content-Type": kind})
            place.api.post(operation.path, content="x", headers={"Content-Type": "text/plain"})
            place.api.post(operation.path, content="{", headers={"Content-Type": kind}, params={"no": "1"})
    assert missing(general=True) == {}


def test_unknown_parameters_are_told_those_that_are_declared(place: Place) -> None:
    owned = new_wallet(place.api)
    for operation in OPERATIONS:
        if operation.method == "GET":
            answer = ask(place.api, operation, owned, unknown="1")
            names = ", ".join(sorted(each["name"] for each in operation.query)) or "none"
            assert (answer.status_code, answer.json()["hint"]) == (400, f"known: {names}")


@pytest.mark.parametrize(
    ("path", "body", "message", "hint"),
    [
        (
            "/keys",
            {"name": "a b"},
            "not a name for a key: 'a b'",
            "1 to 64 letters, digits, '_', '.' or '-', such as till-1",
        ),
        ("/users", {"phone_number": "9886977560", "name": " "}, "the name is blank", "leave it out for no name"),
        (
            "/keys/revoke",
            {"name": ""},
            "not a name for a key: ''",
            "1 to 64 letters, digits, '_', '.' or '-', such as till-1",
        ),
        (
            "/wallet/create",
            {"user_id": 1, "type": "a b"},
            "not a wallet type: 'a b'",
            "1 to 32 letters, digits, '_', '.' or '-', such as savings",
        ),
        (
            "/wallet/create",
            {"user_id": "x", "type": "a"},
            "user_id is text, not a whole number",
            "/docs shows each body",
        ),
        ("/transactions/reverse", {"transaction": "1"}, "not a transaction id: '1'", "W-N, such as 1-17"),
        (
            "/holds/void",
            {"hold": "1-1"},
            "not a hold id: '1-1'",
            "W-hN, such as 1-h3; list the holds: GET /holds/get/{user_id}/{wallet_id}",
        ),
    ],
)
def test_a_body_is_told_in_the_words_of_the_terminal(
    place: Place, path: str, body: dict[str, Any], message: str, hint: str
) -> None:
    told = place.api.post(path, json=body).json()
    assert (told["message"], told["hint"]) == (message, hint)


def test_a_hint_is_for_who_reads_it_and_for_what_was_asked(place: Place) -> None:
    operator, (user_id, wallet_id) = place.api, new_wallet(place.api, currency="PTS/0")
    made(post(operator, (user_id, wallet_id), 10))
    user = place.server.api(made(operator.post("/tokens", json={"user_id": user_id}))["token"])
    owned = {"user_id": user_id, "wallet_id": wallet_id}
    made(operator.post("/wallet/limits", json=owned | {"daily_debit": "5"}), 200)
    debit = owned | {"amount": 6, "is_credit": False}
    limit = "debit less"
    raised = f"{limit}, or raise the limit: POST /wallet/limits with daily_debit"
    early = owned | {"amount": 1, "is_credit": True, "at": "2024-01-01"}
    there = {"user_id": user_id, "type": "main", "currency": "INR"}
    later = "a wallet takes new transactions only after its last one"
    number = "a whole number, 1 or more"
    asked: list[tuple[httpx.Client, str, dict[str, Any] | None, str | None]] = [
        (operator, "/wallet/create", there, "GET /wallet/get/{user_id}/{type} shows that one"),
        (operator, "/transactions/create", early, f"{later}: leave the time (`at`) out and put its date in the note"),
        (operator, "/history?min=9&max=1", None, "give the smaller one as min and the larger one as max"),
        (operator, "/users/+9886977544", None, f"{number}; GET /lookup/user finds a user by the phone number"),
        (operator, f"/holds/get/{user_id}/x", None, number),
        (operator, f"/transactions/get/{user_id}/{wallet_id}/x", None, number),
        (operator, "/lookup/holders?wallets=1-7", None, number),
        (operator, "/lookup/user?user=77777", None, "add the user: POST /users"),
        (user, "/lookup/user?user=77777", None, None),
        (operator, "/lookup/wallet?wallet=w77777", None, "list the wallets: GET /wallets"),
        (user, "/lookup/wallet?wallet=w77777", None, None),
        (user, f"/wallet/get/{user_id}/other", None, "the user has: main"),
        (operator, "/transactions/create", debit, raised),
        (user, "/transactions/create", debit, limit),
        (user, "/transactions/batch", {"transactions": [debit], "atomic": True}, limit),
    ]
    for client, path, body, hint in asked:
        answer = client.get(path) if body is None else client.post(path, json=body)
        assert (path, answer.json()["hint"]) == (path, hint)
    results = made(user.post("/transactions/batch", json={"transactions": [debit]}), 200)["results"]
    assert results[0]["hint"] == limit


def test_a_line_that_is_refused_has_a_hint_for_its_file(place: Place) -> None:
    """What an import with other options, or into another ledger, would do: nobody has to look at the server."""
    owned = new_wallet(place.api)
    made(post(place.api, owned, 10))
    made(place.api.post("/holds/create", json={"user_id": owned[0], "wallet_id": owned[1], "amount": 1}))
    other = place.api.get("/export").text.replace('"1.00"', '"2.00"')
    sent = [
        (other, "application/x-ndjson", "import the whole export, in its order, into the new ledger of another server"),
        (
            f"wallet,amount,kind,note\nw{owned[1]},1,credit,\udce4\n".encode("utf-8", "surrogateescape"),
            "text/csv",
            "save it as UTF-8, or give its encoding: encoding=cp1252 for Excel for Windows",
        ),
    ]
    for content, kind, hint in sent:
        answer = place.api.post("/import", content=content, headers={"Content-Type": kind}).json()
        assert hint in [told for _, told in answered.hints_in(answer, 200)]


def crowded(api: httpx.Client) -> Owned:
    """A wallet whose totals are at their bounds, with a hold and an overdraft."""
    owned = new_wallet(api, currency="PTS/0", minimum_balance="-100")
    for is_credit in (True, False):
        item = {"user_id": owned[0], "wallet_id": owned[1], "amount": MAX_AMOUNT_MINOR, "is_credit": is_credit}
        batch = {"transactions": [item] * (MAX_TOTAL_MINOR // MAX_AMOUNT_MINOR), "atomic": True}
        made(api.post("/transactions/batch", json=batch), 200)
    made(api.post("/holds/create", json=dict(zip(("user_id", "wallet_id"), owned, strict=True)) | {"amount": 5}))
    return owned


def test_every_operation_refuses_what_its_rules_refuse(place: Place) -> None:
    api = place.api

    def call(path: str, owned: Owned | None = None, key: str = "", **more: Any) -> httpx.Response:
        body = {} if owned is None else {"user_id": owned[0], "wallet_id": owned[1]}
        return api.post(path, json=body | more, headers={"Idempotency-Key": key} if key else {})

    # What is not there.
    for operation in OPERATIONS:
        if operation.method == "GET" and "/lookup" not in operation.path and operation.path != "/verify":
            ask(api, operation)
    nobody: Owned = (999, 999)
    user_id = new_user(api)
    other_user = new_user(api)
    token = made(api.post("/tokens", json={"user_id": other_user}))["token"]
    user = place.server.api(token)
    for operation in OPERATIONS:
        ask(user, operation, (user_id, 1))
    for path in ("/lookup/user", "/lookup/wallets"):
        api.get(path, params={"user": "id:999"})
    for path in ("/lookup/wallet", "/verify"):
        api.get(path, params={"wallet": "id:999"})
        api.get(path, params={"wallet": f"id:{user_id}/none"})
    api.get("/lookup/transaction", params={"id": "999-1"})
    api.get(f"/wallet/get/{user_id}/none")
    for path in ("/wallet/limits", "/wallet/freeze", "/wallet/unfreeze", "/wallet/close"):
        call(path, nobody)
    call("/transactions/get/total_in_period", nobody)
    user.post("/transactions/get/total_in_period", json={"user_id": user_id, "wallet_id": 1})
    call("/tokens", user_id=999)
    call("/wallet/create", user_id=999, type="main")
    call("/transactions/reverse", transaction="999-1")
    for path in ("/holds/capture", "/holds/void"):
        call(path, hold="999-h1")
    call("/keys/revoke", name="nobody")

    # What is there already.
    number = {"phone_number": "+442079460000"}
    call("/users", key="u", **number)
    call("/users", **number)
    call("/users", key="u", phone_number="+442079460001")
    call("/wallet/create", key="w", user_id=user_id, type="main")
    call("/wallet/create", user_id=user_id, type="main")
    call("/wallet/create", key="w", user_id=user_id, type="other")
    call("/keys", name="twice")
    call("/keys", name="twice")

    # Money.
    plain, target = new_wallet(api), new_wallet(api)
    to = {"to_user_id": target[0], "to_wallet_id": target[1]}

    def moves(owned: Owned, amount: Any, key: str = "", is_credit: bool = False) -> None:
        """Each of the ways in which money goes out of a wallet, or into it."""
        call("/transactions/create", owned, key, amount=amount, is_credit=is_credit)
        item = {"user_id": owned[0], "wallet_id": owned[1], "amount": amount, "is_credit": is_credit}
        call("/transactions/batch", transactions=[item | ({"key": key} if key else {})], atomic=True)
        call("/transfers/create", owned, key, amount=amount, **to)
        call("/holds/create", owned, key, amount=amount)

    moves(nobody, 1)
    made(post(api, plain, 100, key="k"))  # plain-1
    moves(plain, 101)
    moves(plain, 1, key="k")
    call("/transactions/reverse", key="k", transaction=f"{plain[1]}-1", amount=1)
    hold = made(call("/holds/create", plain, amount=10))["id"]
    call("/holds/capture", key="k", hold=hold)
    call("/holds/capture", hold=hold, amount=11)
    for amount in (101, 1):
        call("/transactions/reverse", transaction=f"{plain[1]}-1", amount=amount)
    call("/transactions/reverse", transaction=f"{plain[1]}-2")
    at = {"at": "2024-01-01", "amount": 1, "is_credit": True}
    call("/transactions/create", plain, **at)
    call("/transactions/batch", transactions=[{"user_id": plain[0], "wallet_id": plain[1]} | at], atomic=True)
    kept = made(call("/holds/create", plain, amount=89))["id"]
    call("/transactions/reverse", transaction=f"{plain[1]}-1", amount=99)
    call("/wallet/limits", plain, minimum_balance="50")
    call("/holds/capture", hold=kept)
    call("/wallet/limits", plain, minimum_balance="0", daily_debit="0", maximum_balance="99")
    moves(plain, 1)
    call("/transactions/reverse", transaction=f"{plain[1]}-1", amount=1)
    for _ in range(2):
        call("/holds/void", hold=hold)
    call("/holds/capture", hold=hold)
    call("/wallet/close", plain)
    full = crowded(api)
    moves(full, 1)
    call("/transfers/create", full, amount=1, to_user_id=full[0], to_wallet_id=full[1])
    points = new_wallet(api, currency="PTS/0")
    to |= {"to_user_id": points[0], "to_wallet_id": points[1]}
    moves(full, 1)
    call("/transactions/reverse", transaction=f"{full[1]}-1")
    call("/holds/capture", hold=f"{full[1]}-h1")

    for query in ({"user": "77777"}, {"wallet": "w77777"}):
        api.get("/audit", params=query)

    # States of a wallet.
    call("/wallet/freeze", plain)
    moves(plain, 1)
    call("/transactions/reverse", transaction=f"{plain[1]}-1", amount=1)
    call("/holds/capture", hold=kept)
    gone = new_wallet(api)
    made(post(api, gone, 1))
    brief = made(call("/holds/create", gone, amount=1, expires="1s"))["id"]
    call("/holds/void", hold=brief)
    made(post(api, gone, 1, is_credit=False))
    made(call("/wallet/close", gone), 200)
    for path in ("/wallet/limits", "/wallet/freeze", "/wallet/unfreeze"):
        call(path, gone)
    call("/holds/void", hold=brief)

    # A file whose times are not in order and without keys.
    lines = [f"w{plain[1]},1,credit,2024-0{month}-01\n" for month in (3, 1, 2)]
    mixed = "".join(["wallet,amount,kind,at\n", *lines])
    api.post("/import", content=mixed, headers={"Content-Type": "text/csv"})
    assert missing(general=False, but=STATES) == {}


def test_a_ledger_that_is_read_back_or_has_moved_takes_no_writes(place: Place, tmp_path: Path) -> None:
    """An export whose end is missing leaves a ledger that waits for the rest of it."""
    owned = new_wallet(place.api)
    made(post(place.api, owned, 10))
    hold = {"user_id": owned[0], "wallet_id": owned[1], "amount": 1}
    made(place.api.post("/holds/create", json=hold))
    export = place.api.get("/export").text.splitlines(keepends=True)
    begun = "".join(line for line in export if json.loads(line).get("record") not in ("state", "end"))
    (tmp_path / "restored").mkdir()
    with Server(tmp_path / "restored", environ={"JWT_SECRET_KEY": SECRET}) as server:
        there = server.api(server.key("operator"))
        there.post("/import", content=begun, headers={"Content-Type": "application/x-ndjson"})
        write_everything(there, owned)
    with open_ledger(settings.load({"db": str(place.server.db)}), lambda _: None) as marking:
        marking.store.set_move_state(MoveState(MOVED, "elsewhere", "name", 1, None))
    write_everything(place.api, owned)
    assert missing(general=False, only=STATES) == {}


def write_everything(api: httpx.Client, owned: Owned) -> None:
    """Every operation that writes or proves, in a wallet that is there."""
    number = {"phone_number": "9886977549"}
    places = {"user_id": owned[0], "wallet_id": owned[1], "to_user_id": owned[0], "to_wallet_id": owned[1]}
    named = {"transaction": f"{owned[1]}-1", "hold": f"{owned[1]}-h1", "type": "new", "name": "new"} | number
    for operation in OPERATIONS:
        body = BODIES.get(operation.name, {}).get("application/json")
        if isinstance(operation.body, dict):
            for kind, text in BODIES[operation.name].items():
                lines = text.replace("1/type1", f"w{owned[1]}")
                api.post(operation.path, content=lines, headers={"Content-Type": kind})
        if body is None:
            ask(api, operation, owned)
            continue
        changed = {name: value for name, value in (places | named).items() if name in body}
        if "transactions" in body:
            its = {name: places[name] for name in ("user_id", "wallet_id")}
            changed = {"transactions": [each | its for each in body["transactions"]], "atomic": True}
        ask(api, operation, owned, **changed)
