"""Where two arguments are wrong, one of them is told, and the same one whoever is asked: a file, a server from afar or
over HTTP, and the tools of an agent.

As tables: a row has arguments of a command in the order in which they are read, each with a value that is refused.
What is said of a transaction (its note, metadata and key) and which part of a list is wanted come first; then what is
looked up, and what depends on it, in the order of the command.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from itertools import combinations
from typing import Any
from unittest import mock

import pytest
from remote.place import SECRET, Case, Place, comparable, same

from wallet_cli.cli import mcp
from wallet_cli.cli.mcp_tools import TOOLS

pytestmark = pytest.mark.on_file("what is read before a ledger is asked, or by code that both engines share")

Row = Mapping[str, Any]

LONG = "x" * 1001
LONG_KEY = "k" * 256
BAD_META = {"a": 0.5}
SAID = {"--meta": "order", "--note": LONG, "--key": LONG_KEY}
FILTER = {"--from": "2025 --to 2024", "--kind": "gift", "--text": LONG, "--key": LONG_KEY}
PAGE = {"--limit": "1001", "--cursor": "x"}
NO_WALLET = {"WALLET": "{phone}/none"}

LINES: dict[str, Row] = {
    "register": {"--name": "' '", "PHONE": "abc"},
    "users": {"--text": "' '", **PAGE},
    "create": {"--currency": "XXX1", "WALLET": "77777/x", "--minimum-balance": "x"},
    "list": {**PAGE, "USER": "77777"},
    "balance": {"--at": "never", **NO_WALLET},
    "limits": {**NO_WALLET, "--minimum-balance": "x", "--maximum-balance": "y", "--daily-debit": "z"},
    "credit": {**SAID, **NO_WALLET, "AMOUNT": "1.", "--at": "never"},
    "debit": {**SAID, "WALLET": "77777", "AMOUNT": "0", "--at": "never"},
    "transfer": {**SAID, "FROM": "{phone}/none", "TO": "{phone}/no", "AMOUNT": "0"},
    "tx reverse": {**SAID, "ID": "{wallet}-99", "AMOUNT": "0"},
    "tx list": {**FILTER, **PAGE, **NO_WALLET, "--min": "x", "--max": "y"},
    "history": {**FILTER, "--min": "0", "--max": "y", **PAGE},
    "find": {"TEXT": "' '", "--limit": "0"},
    "tx total": {"--from": "never", **NO_WALLET},
    "hold add": {"--note": LONG, "--key": LONG_KEY, **NO_WALLET, "AMOUNT": "1.", "--expires": "0s"},
    "hold capture": {"--note": LONG, "--key": LONG_KEY, "HOLD": "{wallet}-h9", "AMOUNT": "0"},
    "hold list": {**PAGE, **NO_WALLET},
    "statement": {"--from": "never", **NO_WALLET},
    "audit": {**PAGE, **NO_WALLET},
    "token": {"USER": "77777", "--expires": "0"},
}
"""Command lines, by command."""

RIGHT = {"PHONE": "{phone}7", "WALLET": "{phone}", "FROM": "{phone}", "TO": "{phone}/spare", "AMOUNT": "1"}
RIGHT |= {"USER": "{phone}", "ID": "{wallet}-1", "HOLD": "{wallet}-h1", "TEXT": "abc"}
"""Arguments that a command line has to have."""

SAID_TO_TOOL = {"note": LONG, "meta": BAD_META, "key": LONG_KEY}
FILTER_OF_TOOL = {"from": "never", "kind": "gift", "text": LONG, "key": LONG_KEY}
PAGE_OF_TOOL = {"limit": 1001, "cursor": "x"}

CALLS: dict[str, tuple[Row, Row]] = {
    "register": ({"phone_number": "{phone}7", "key": "r"}, {"name": " ", "key": "", "phone_number": "abc"}),
    "create_wallet": (
        {"wallet": "{phone}/x", "key": "c"},
        {"key": LONG_KEY, "currency": "XXX1", "wallet": "77777/x", "minimum_balance": "x"},
    ),
    "wallets": ({}, {**PAGE_OF_TOOL, "user": "77777"}),
    "credit": (
        {"wallet": "{phone}", "amount": "1", "key": "k"},
        {**SAID_TO_TOOL, "wallet": "{phone}/none", "amount": "1."},
    ),
    "transfer": (
        {"from_wallet": "{phone}", "to_wallet": "{phone}/spare", "amount": "1", "key": "k"},
        {**SAID_TO_TOOL, "from_wallet": "{phone}/none", "to_wallet": "{phone}/no", "amount": "1."},
    ),
    "reverse": ({"id": "{wallet}-1", "key": "k"}, {**SAID_TO_TOOL, "id": "{wallet}-99", "amount": "1."}),
    "hold": (
        {"wallet": "{phone}", "amount": "1", "expires": "1h", "key": "k"},
        {"note": LONG, "key": LONG_KEY, "wallet": "{phone}/none", "amount": "1.", "expires": "0s"},
    ),
    "capture": (
        {"id": "{wallet}-h1", "key": "k"},
        {"note": LONG, "key": LONG_KEY, "id": "{wallet}-h9", "amount": "1."},
    ),
    "transactions": (
        {"wallet": "{phone}"},
        {**FILTER_OF_TOOL, **PAGE_OF_TOOL, "wallet": "{phone}/none", "min": "x", "max": "y"},
    ),
    "history": ({}, {**FILTER_OF_TOOL, "min": "0", "max": "y", **PAGE_OF_TOOL}),
    "find": ({"text": "abc"}, {"text": " ", "limit": 0}),
    "holds": ({"wallet": "{phone}"}, {**PAGE_OF_TOOL, "wallet": "{phone}/none"}),
    "audit": ({}, {**PAGE_OF_TOOL, "wallet": "{phone}/none"}),
}
"""Calls of tools, by tool: arguments that are right, and those that are refused."""

OWNED = {"user_id": "user", "wallet_id": "wallet"}
SAID_IN_BODY = {"note": LONG, "meta": BAD_META, "Idempotency-Key": LONG_KEY}
FILTER_IN_URL = {"from": "never", "kind": "gift", "text": LONG, "key": LONG_KEY}
PAGE_IN_URL = {"limit": "1001", "cursor": "x"}

REQUESTS: dict[str, tuple[Row, Row]] = {
    "POST /users": (
        {"phone_number": "{phone}7"},
        {"name": " ", "Idempotency-Key": LONG_KEY, "phone_number": "abc"},
    ),
    "POST /wallet/create": (
        {"user_id": "user", "type": "x"},
        {"Idempotency-Key": LONG_KEY, "currency": "XXX1", "user_id": 77777, "minimum_balance": "x"},
    ),
    "POST /transactions/create": (
        {**OWNED, "amount": "1", "is_credit": True},
        {**SAID_IN_BODY, "wallet_id": 77777, "amount": "1.", "at": "never"},
    ),
    "POST /transfers/create": (
        {**OWNED, "to_user_id": "user", "to_wallet_id": "spare", "amount": "1"},
        {**SAID_IN_BODY, "wallet_id": 77777, "to_wallet_id": 88888, "amount": "1."},
    ),
    "POST /transactions/reverse": (
        {"transaction": "{wallet}-1"},
        {**SAID_IN_BODY, "transaction": "{wallet}-99", "amount": "1."},
    ),
    "POST /holds/create": (
        {**OWNED, "amount": "1"},
        {"note": LONG, "Idempotency-Key": LONG_KEY, "wallet_id": 77777, "amount": "1.", "expires": "0s"},
    ),
    "POST /holds/capture": (
        {"hold": "{wallet}-h1"},
        {"note": LONG, "Idempotency-Key": LONG_KEY, "hold": "{wallet}-h9", "amount": "1."},
    ),
    "GET /lookup/wallets": ({"user": "{phone}"}, {**PAGE_IN_URL, "user": "77777"}),
    "GET /transactions/get/{user}/{wallet}": ({}, {**FILTER_IN_URL, **PAGE_IN_URL, "min": "x", "max": "y"}),
    "GET /history": ({}, {**FILTER_IN_URL, "min": "0", "max": "y", **PAGE_IN_URL}),
    "GET /find": ({"text": "abc"}, {"text": " ", "limit": "0"}),
    "GET /audit": ({}, {**PAGE_IN_URL, "wallet": "{phone}/none"}),
}
"""Requests, by endpoint: fields that are right, and those that are refused; the key goes in its header."""


def check(wrong: Row, refused: Callable[[Collection[str]], Any]) -> None:
    """Each two that are wrong are refused as the first of them is alone. `refused` is given the names of the wrong."""
    alone = {name: refused([name]) for name in wrong}
    assert len({str(each) for each in alone.values()}) == len(wrong), alone
    for first, second in combinations(wrong, 2):
        assert refused([first, second]) == alone[first], (first, second)


@pytest.mark.parametrize("command", LINES)
def test_of_two_wrong_arguments_one_is_told(place: Place, command: str) -> None:
    wrong, case = LINES[command], place.unchanged

    def refused(names: Collection[str]) -> Any:
        words = [command]
        for name, value in wrong.items():
            value = value if name in names else RIGHT.get(name)
            if value is not None:
                words += [name, value] if name.startswith("--") else [value]
        done = same(place.both(case.fill(" ".join([*words, "--json"])), changes=False))
        assert done.code in (2, 3), done
        return comparable(done)

    check(wrong, refused)


def filled(values: Row, case: Case) -> dict[str, Any]:
    """Values for a case: what is called as a field of it is that field, and a text may have some of them in it."""
    known = case._asdict()

    def fill(value: Any) -> Any:
        return known.get(value, value.format(**known)) if isinstance(value, str) else value

    return {name: fill(value) for name, value in values.items()}


@pytest.mark.parametrize("afar", [False, True], ids=["file", "afar"])
@pytest.mark.parametrize("tool", CALLS)
def test_of_two_wrong_arguments_of_a_tool_one_is_told(place: Place, tool: str, afar: bool) -> None:
    right, wrong = (filled(each, place.unchanged) for each in CALLS[tool])
    place.refresh()
    there = {"WALLET_DB": place.server.url, "WALLET_TOKEN": place.key}
    here = {"WALLET_DB": str(place.copy), "JWT_SECRET_KEY": SECRET}

    def refused(names: Collection[str]) -> Any:
        answers = mcp._Answers({}, {each.name: each for each in TOOLS}, write=True)
        told, failed = answers.to(tool, right | {n: wrong[n] for n in names})
        assert failed, told
        return told

    with mock.patch.dict(os.environ, there if afar else here):
        check(wrong, refused)


@pytest.mark.parametrize("endpoint", REQUESTS)
def test_of_two_wrong_fields_one_is_told(place: Place, endpoint: str) -> None:
    right, wrong = (filled(each, place.unchanged) for each in REQUESTS[endpoint])
    method, path = endpoint.format(**place.unchanged._asdict()).split()

    def refused(names: Collection[str]) -> Any:
        given = right | {name: wrong[name] for name in names}
        key = given.pop("Idempotency-Key", None)
        headers = {} if key is None else {"Idempotency-Key": key}
        sent = {"json": given} if method == "POST" else {"params": given}
        answer = place.api.request(method, path, headers=headers, **sent)
        assert answer.status_code in (400, 404), answer.text
        return answer.json()["message"]

    check(wrong, refused)
