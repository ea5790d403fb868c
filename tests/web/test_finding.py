"""Finding users, wallets and transactions over HTTP; pages neither repeat nor skip while others write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from support.server import Server
from web.calls import Owned, call, failure, ids, made, new_user, new_wallet, post, transfer

from wallet_cli import settings
from wallet_cli.domain.ids import OwnedWallet
from wallet_cli.operations import transactions
from wallet_cli.operations.context import open_ledger

# What a wallet holds for the table below: a transaction a line, the first is 1.
HISTORY: tuple[dict[str, Any], ...] = (
    {"amount": "10.00", "note": "Salary, April", "key": "s-4", "at": "2024-04-01"},
    {"amount": "0.50", "is_credit": False, "note": "coffee 100%", "at": "2024-04-02T10:00"},
    {"amount": "0.51", "is_credit": False, "note": "COFFEE_2", "at": "2024-04-03"},
    {"amount": "20.00", "note": "salary, May", "key": "s-5", "at": "2024-05-01"},
)
# Then 5: a transfer out of 1.00; 6: a capture of 2.00; 7: a reversal of 2 (credit of 0.50).

FOUND = (
    ({}, "7 6 5 4 3 2 1"),
    ({"kind": "credit"}, "7 4 1"),
    ({"kind": "debit"}, "6 5 3 2"),
    ({"kind": "transfer"}, "5"),
    ({"kind": "capture"}, "6"),
    ({"kind": "reversal"}, "7"),
    ({"min": "0.51", "max": "2"}, "6 5 3"),
    ({"min": "10.01"}, "4"),
    ({"max": "0.50"}, "7 2"),
    ({"text": "coffee"}, "3 2"),
    ({"text": "%"}, "2"),
    ({"text": "_"}, "3"),
    ({"text": "SALARY", "from": "2024-05"}, "4"),
    ({"key": "s-4"}, "1"),
    ({"key": "s-6"}, ""),
    ({"key": "s-4", "from": "2024-05"}, ""),
    ({"from": "2024-04-02", "to": "2024-04-03"}, "3 2"),
    ({"from": "2024-04-02T15:30:00+05:30", "to": "2024-04-02T10:00:00"}, "2"),
    ({"to": "2024-04"}, "3 2 1"),
    ({"kind": "credit", "limit": "1"}, "7"),
    ({"kind": "", "min": "", "max": "", "text": "", "from": "", "to": ""}, "7 6 5 4 3 2 1"),
)


@pytest.fixture(scope="module")
def history(server: Server) -> Owned:
    api = server.api()
    owned, other = new_wallet(api), new_wallet(api)
    for each in HISTORY:
        made(post(api, owned, **each))
    made(transfer(api, owned, other, "1.00"))
    made(call(api, "/holds/capture", hold=made(call(api, "/holds/create", **ids(owned), amount=2))["id"]))
    made(call(api, "/transactions/reverse", transaction=f"{owned[1]}-2"))
    return owned


@pytest.mark.parametrize(("given", "found"), FOUND, ids=str)
def test_a_list_shows_what_fits_every_filter(
    api: httpx.Client, history: Owned, given: dict[str, str], found: str
) -> None:
    page = made(api.get(f"/transactions/get/{history[0]}/{history[1]}", params=given), 200)
    assert " ".join(str(each["seq"]) for each in page["transactions"]) == found


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "hold"},
        {"kind": "Credit"},
        {"min": "0"},
        {"min": "1.001"},
        {"max": "1e3"},
        {"min": "2", "max": "1"},
        {"from": "someday"},
        {"from": "2024-05", "to": "2024-04"},
        {"text": "x" * 1001},
        {"key": "k" * 256},
        {"note": "coffee"},
        {"Kind": "credit"},
    ],
    ids=str,
)
def test_a_filter_that_cannot_be_read_or_is_not_known(api: httpx.Client, history: Owned, given: dict[str, str]) -> None:
    failure(api.get(f"/transactions/get/{history[0]}/{history[1]}", params=given), 400, "invalid_input")


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"min": "-1"}, "the min must be greater than 0: '-1'", "such as 20 or 19.99"),
        ({"max": "much"}, "the max is not a decimal number: 'much'", "digits with at most one point"),
        (
            {"min": "9", "max": "1"},
            "the minimum amount is above the maximum: '9' and '1'",
            "give the smaller one as min",
        ),
        ({"text": "x" * 1001}, "the text to find has 1001 characters", "at most 1000"),
        ({"text": "\0"}, r"the text to find is not valid text: '\x00'", "UTF-8 with no NUL character"),
    ],
)
def test_a_filter_is_told_by_the_name_of_its_parameter(
    api: httpx.Client, history: Owned, given: dict[str, str], message: str, hint: str
) -> None:
    for path in (f"/transactions/get/{history[0]}/{history[1]}", "/history", *(["/find"] * ("text" in given))):
        told = api.get(path, params=given).json()
        assert told["message"] == message
        assert told["hint"].startswith(hint)


def test_a_filter_on_a_wallet_that_is_not_there(api: httpx.Client, history: Owned) -> None:
    for path in (f"/transactions/get/{history[0]}/999999", f"/transactions/get/999999/{history[1]}"):
        failure(api.get(path, params={"kind": "credit"}), 404, "wallet_not_found")


def test_one_transaction(api: httpx.Client, history: Owned) -> None:
    """As the list has it, and how much of it has been reversed, by what."""
    path = f"/transactions/get/{history[0]}/{history[1]}"
    listed = made(api.get(path), 200)["transactions"]
    for each in listed:
        one = made(api.get(f"{path}/{each['seq']}"), 200)
        taken_back = (each["amount"], [f"{history[1]}-7"]) if each["seq"] == 2 else ("0.00", [])
        assert one == each | dict(zip(("reversed", "reversals"), taken_back, strict=True))


def test_one_transaction_that_is_not_there_or_not_that_users(api: httpx.Client, history: Owned) -> None:
    other = new_wallet(api)
    for user_id, wallet_id, seq in (
        (history[0], history[1], 8),
        (history[0], history[1], 2**63 - 1),
        (other[0], history[1], 1),
        (history[0], 999_999, 1),
        (999_999, history[1], 1),
    ):
        failure(api.get(f"/transactions/get/{user_id}/{wallet_id}/{seq}"), 404, "transaction_not_found")


def pages(api: httpx.Client, path: str, name: str, between: Callable[[], object]) -> list[Any]:
    """All of a list, two at a time; `between` is called after each page."""
    found, more = [], {}
    while True:
        page = made(api.get(path, params={"limit": "2", **more}), 200)
        assert set(page) == {name, "next_cursor"}
        found += page[name]
        if page["next_cursor"] is None:
            return found
        more = {"cursor": page["next_cursor"]}
        between()


def test_users_a_page_at_a_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Server(tmp_path_factory.mktemp("users"), "--no-auth") as server:
        api = server.api()
        for _ in range(5):
            new_user(api)
        more = iter(range(3))
        found = pages(api, "/users", "users", lambda: next(more, None) is None or new_user(api))
        assert [each["id"] for each in found] == list(range(1, 9))
        for each in found:
            assert made(api.get(f"/users/{each['id']}"), 200) == each
        failure(api.get("/users/9"), 404, "user_not_found")


def test_wallets_a_page_at_a_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Server(tmp_path_factory.mktemp("wallets"), "--no-auth") as server:
        api = server.api()
        made(post(api, new_wallet(api), "5.00"))
        for _ in range(4):
            new_wallet(api)
        more = iter(range(3))
        found = pages(api, "/wallets", "wallets", lambda: next(more, None) is None or new_wallet(api))
        assert [each["id"] for each in found] == list(range(1, 9))
        for each in found:
            assert made(api.get(f"/wallet/get/{each['user_id']}/{each['type']}"), 200) == each


@pytest.mark.parametrize("path", ["/users", "/wallets"])
@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "cursor=0", "cursor=1-1", "cursor=-1", "q=x"])
def test_a_page_that_cannot_be_read(api: httpx.Client, path: str, query: str) -> None:
    failure(api.get(f"{path}?{query}"), 400, "invalid_input")


def test_two_methods_at_one_path(api: httpx.Client) -> None:
    refused = api.put("/users", json={})
    assert refused.headers["Allow"] == "POST, GET, HEAD"
    failure(refused, 405, "method_not_allowed")
    assert api.head("/users").status_code == 200


NOTES = (
    "ÄRZTE Rechnung",
    "Hauptstra\u00dfe",
    "\u0130STANBUL",
    "\uff23\uff21\uff26\uff25",
    "\u03bf\u03b4\u03cc\u03c2",
    "a\\b",
    "😀" * 1000,
)
READ_AS = (
    ("a\u0308rzte", 1),
    ("ÄRZTE RECHNUNG", 1),
    ("STRASSE", 2),
    ("istanbul", 3),
    ("cafe", 4),
    ("\u039f\u0394\u038c\u03a3", 5),
    ("\\", 6),
    ("😀" * 1000, 7),
)


@pytest.fixture(scope="module")
def noted(server: Server) -> Owned:
    api = server.api()
    owned = new_wallet(api)
    for note in NOTES:
        made(post(api, owned, "1.00", note=note))
    return owned


@pytest.mark.parametrize(("text", "seq"), READ_AS, ids=[str(seq) for _, seq in READ_AS])
def test_a_note_is_found_as_people_read_it(server: Server, noted: Owned, text: str, seq: int) -> None:
    page = made(server.api().get(f"/transactions/get/{noted[0]}/{noted[1]}", params={"text": text}), 200)
    assert [each["seq"] for each in page["transactions"]] == [seq]
    for options in ([], ["--db", server.url]):
        done = server.wallet([*options, "tx", "list", f"id:{noted[0]}", "--text", text, "-q"])
        assert (done.code, done.out) == (0, f"{noted[1]}-{seq}\n"), done.err


def test_a_request_tells_where_to_go_on(
    server: Server,
) -> None:
    api = server.api()
    owned = new_wallet(api)
    for number in range(25):
        made(post(api, owned, "1.00", note="needle" if number in (0, 1, 24) else "hay"))
    with open_ledger(settings.load({"db": str(server.db)}), lambda _: None) as ledger:
        ref = OwnedWallet(owned[1], owned[0])
        wanted = transactions.Wanted(text="NEEDLE")
        found: list[int] = []
        pages, cursor = 0, None
        while True:
            page = transactions.listed(ledger, ref, None, None, 2, cursor, wanted, examined=10)
            found += [each["seq"] for each in page["transactions"]]
            pages, cursor = pages + 1, page["next_cursor"]
            if cursor is None:
                break
        assert (found, pages) == ([25, 2, 1], 3)
        whole = transactions.listed(ledger, ref, limit=3, wanted=wanted)
        assert ([each["seq"] for each in whole["transactions"]], whole["next_cursor"]) == ([25, 2, 1], None)
        keyed = transactions.listed(ledger, ref, wanted=transactions.Wanted(key="none"), examined=1)
        assert keyed == {"transactions": [], "next_cursor": None}
