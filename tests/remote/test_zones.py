"""A time with no offset means one moment, from afar as on a file, and still does after the ledger's time zone was set.

As tables: who wrote first, how the time is written, and the zones of then and now.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from remote.place import Case, Place, same
from support.cli import Outcome

from wallet_cli.errors import StorageError
from wallet_cli.remote.failures import error_of

ZONES = (("UTC", "Asia/Kolkata"), ("America/New_York", "UTC"), ("Asia/Kolkata", "America/New_York"))
TIMES = ("2024-05-03 11:00", "2024-05-03", "2024-06", "2024-05-03T11:00+01:00", "2024-05-03T11:00:00.000000Z")

ON_FILE = pytest.mark.on_file("what a time means is found by code that both engines share")
FIRST = ("afar", pytest.param("file", marks=ON_FILE), pytest.param("http", marks=ON_FILE))


@pytest.fixture
def case(place: Place) -> Iterator[Case]:
    """Its last time is in April 2024."""
    yield place.case()
    set_zone(place, "Asia/Kolkata")


def set_zone(place: Place, zone: str) -> None:
    assert place.from_afar(["ledger", "set", "timezone", zone]).code == 0


def credit_first(place: Place, case: Case, who: str, at: str) -> str:
    """The id of a credit with the key `k` and this time."""
    line = ["credit", f"w{case.wallet}", "5", "--at", at, "--key", "k", "--json"]
    if who == "afar":
        done = place.from_afar(line)
    elif who == "file":
        done = place.server.wallet(line)
    else:
        body = {"user_id": case.user, "wallet_id": case.wallet, "amount": "5", "is_credit": True, "at": at}
        answer = place.api.post("/transactions/create", json=body, headers={"Idempotency-Key": "k"})
        return str(answer.json()["data"]["id"])
    assert done.code == 0, done.err
    return str(done.json["id"])


@pytest.mark.parametrize("zones", ZONES, ids="-".join)
@pytest.mark.parametrize("who", FIRST)
def test_a_key_is_applied_once_whatever_the_zone_is_then(
    place: Place, case: Case, who: str, zones: tuple[str, str]
) -> None:
    before, after = zones
    for at in TIMES:
        case = place.case()
        set_zone(place, before)
        made = credit_first(place, case, who, at)
        set_zone(place, after)
        done = same(place.both(["credit", f"w{case.wallet}", "5", "--at", at, "--key", "k", "--json"]))
        assert done.code == 0, done.err
        assert (done.json["id"], done.json["replayed"]) == (made, True)


@pytest.mark.parametrize("columns", ["key", "note"])
def test_a_file_is_applied_once_although_its_hour_comes_twice_now(place: Place, case: Case, columns: str) -> None:
    rows = [f"w{case.wallet},7,credit,2025-10-26T02:30,K1", f"w{case.wallet},8,credit,2025-11-01T10:00,K2"]
    Path("odd.csv").write_text("\n".join([f"wallet,amount,kind,at,{columns}", *rows, ""]))
    set_zone(place, "Asia/Kolkata")
    assert place.from_afar(["import", "odd.csv", "--json"]).json["applied"] == 2
    set_zone(place, "Europe/Berlin")
    again = same(place.both(["import", "odd.csv", "--json"]))
    assert (again.code, again.json["replayed"]) == (0, 2)
    Path("odd.csv").write_text(Path("odd.csv").read_text().replace("K1", "K3"))
    refused = same(place.both(["import", "odd.csv", "--json"]))
    assert (refused.code, "comes twice" in refused.error["message"]) == (2, True)


def test_another_time_is_another_request(place: Place, case: Case) -> None:
    set_zone(place, "UTC")
    credit_first(place, case, "afar", "2024-05-03 11:00")
    set_zone(place, "Asia/Kolkata")
    done = same(place.both(["credit", f"w{case.wallet}", "5", "--at", "2024-05-03 11:01", "--key", "k", "--json"]))
    assert done.error["code"] == "key_reused"


# Each is written into a file, with these options, after `FIRST_FILE` was imported and the zone set: the exit code, and
# how many lines are applied, replayed and skipped.
FIRST_FILE = "wallet,amount,kind,at,note,key\nw{wallet},1,credit,{at},x,\nw{wallet},2,credit,{at},y,own\n"
SAVED_AGAIN = FIRST_FILE.replace("\n", "\r\n")
AGAIN: dict[str, tuple[str, str, int, tuple[int, int, int]]] = {
    "the same file": (FIRST_FILE, "", 0, (0, 2, 0)),
    "the same file, and skip": (FIRST_FILE, "--duplicates skip", 0, (0, 2, 0)),
    "saved again": (SAVED_AGAIN, "", 2, (0, 0, 0)),
    "saved again, and skip": (SAVED_AGAIN, "--duplicates skip", 0, (0, 1, 1)),
    "JSON lines": (
        '{{"wallet": "w{wallet}", "amount": 1, "kind": "credit", "at": "{at}", "note": "x"}}\n',
        "",
        2,
        (0, 0, 0),
    ),
}


@pytest.mark.parametrize("who", FIRST[:2])
@pytest.mark.parametrize("again", AGAIN)
def test_a_line_is_applied_once_whatever_the_zone_is_then(place: Place, case: Case, who: str, again: str) -> None:
    text, options, code, counts = AGAIN[again]
    first = place.from_afar if who == "afar" else place.server.wallet
    for before, after in ZONES[:2]:
        case = place.case()
        set_zone(place, before)
        assert first(["import", written(FIRST_FILE, case), "--json"]).json["applied"] == 2
        set_zone(place, after)
        name = "lines.jsonl" if text.startswith("{") else "lines.csv"
        done = same(place.both(["import", written(text, case, name), *options.split(), "--json"]))
        assert done.code == code, done.err
        if code == 0:
            assert tuple(done.json.get(each, 0) for each in ("applied", "replayed", "skipped")) == counts


def written(text: str, case: Case, name: str = "lines.csv") -> str:
    path = Path(name)
    path.write_text(text.format(wallet=case.wallet, at="2024-05-03 11:00"), "utf-8", newline="")
    return str(path.absolute())


ODD_TIMES = ("2024-10-27 02:30", "2025-03-30 02:30", "2025-03-30 03:00", "2025-03-30", "0001", "9999-12-31", "soon")
"""In Berlin, the first comes twice and the second never; the others are at the ends of the calendar, or no times."""


@ON_FILE
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize("at", ODD_TIMES)
def test_a_time_is_the_same_moment(place: Place, case: Case, at: str, zone: str) -> None:
    set_zone(place, zone)
    same(place.both(["credit", f"w{case.wallet}", "5", "--at", at, "--json"]))
    set_zone(place, zone)
    case = place.case()
    Path("odd.csv").write_text(f"wallet,amount,kind,at\nw{case.wallet},1,credit,{at}\n", "utf-8")
    line = {"wallet": f"w{case.wallet}", "amount": 1, "kind": "credit", "at": at}
    Path("odd.jsonl").write_text(f"{json.dumps(line)}\n", "utf-8")
    for name in ("odd.csv", "odd.jsonl"):
        place.refresh()
        same(place.both(["import", name, "--json"]))
        listed = ["tx", "list", f"w{case.wallet}", "--json"]
        assert moments(place.from_afar(listed)) == moments(place.on_file(listed))


def moments(listed: Outcome) -> list[Any]:
    return [each["at"] for each in listed.json["transactions"]]


BODY = {"amount": "5", "is_credit": True, "at": "2024-05-03 11:00"}


@pytest.mark.parametrize(("query", "at"), [("", "11:00"), ("times=utc", "11:00"), ("times=ledger", "05:30")])
def test_over_http_a_time_is_in_utc_if_nothing_else_is_said(place: Place, case: Case, query: str, at: str) -> None:
    body = BODY | {"user_id": case.user, "wallet_id": case.wallet}
    answer = place.api.post(f"/transactions/create?{query}", json=body)
    assert answer.json()["data"]["at"] == f"2024-05-03T{at}:00.000000Z"


@ON_FILE
def test_another_word_for_the_zone_is_refused(place: Place, case: Case) -> None:
    body = BODY | {"user_id": case.user, "wallet_id": case.wallet}
    answer = place.api.post("/transactions/create?times=local", json=body)
    assert (answer.status_code, answer.json()["hint"]) == (400, "times=utc or ledger")
    part = f'{{"numbers": [1]}}\n{{"wallet": "w{case.wallet}", "amount": 1, "kind": "credit"}}\n'
    answer = place.api.post("/import/part?times=local", content=part, headers={"Content-Type": "application/x-ndjson"})
    assert (answer.status_code, answer.json()["hint"]) == (400, "times=utc or ledger")


@ON_FILE
def test_an_older_server_refuses_what_it_does_not_know(place: Place) -> None:
    """It would read the time in UTC, and says instead that it does not know the parameter."""
    answer = place.api.post("/transactions/reverse?times=ledger", json={"transaction": "1-1"})
    assert answer.status_code == 400
    error = error_of(400, answer.json(), place.server.url)
    assert isinstance(error, StorageError)
    assert "another version" in error.message
