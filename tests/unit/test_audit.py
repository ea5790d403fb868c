"""The audit trail at a terminal: who is named, whose events are listed, and in which order."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.cli import Outcome
from support.engines import Engine
from support.server import process

Wallet = Callable[[str], Outcome]

STORY = (
    *(
        "register 9886977544 --name Asha",
        "register 9886977545 --name Wanda",
        "create 1",
        "create 2",
        "create 1/savings",
    ),
    *("tx add 1 500 --credit", "hold add 1 20", "freeze 2", "limits 1/savings --daily-debit 5", "key create till"),
    *("hold void 1-h1", "unfreeze 2", "ledger set timezone Asia/Kolkata", "freeze 1/savings"),
)


@pytest.fixture
def shop(wallet: Wallet, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wallet:
    monkeypatch.setenv("WALLET_DB", str(engine.copy("audited", STORY, tmp_path)))
    return wallet


def listed(shop: Wallet, options: str = "") -> list[Any]:
    found: list[Any] = shop(f"audit {options} --all --json").json["events"]
    return found


def test_a_part_of_the_trail_is_what_is_about_that(shop: Wallet) -> None:
    whole = listed(shop)
    for typed in ("9886977544", "1", "id:1", "asha"):
        assert listed(shop, typed) == [each for each in whole if each["user_id"] == 1], typed
    assert listed(shop, "wanda") == [each for each in whole if each["user_id"] == 2]
    for typed in ("w3", "1/savings", "9886977544/savings", "asha/savings"):
        assert listed(shop, typed) == [each for each in whole if each["wallet"] == "1/savings"], typed
    assert [each["event"] for each in whole if each["user_id"] is None] == ["settings set", "key made", "made"]
    assert [each["id"] for each in listed(shop, "1")] == ["w3-3", "w1-3", "w3-2", "w1-2", "w3-1", "w1-1", "u1-1"]


@pytest.mark.parametrize("whose", ["", "1", "w1"])
def test_pages_are_the_whole_trail_one_after_the_other(shop: Wallet, whose: str) -> None:
    whole, found, cursor = listed(shop, whose), [], ""
    while cursor is not None:
        page = shop(f"audit {whose} --limit 2 {cursor and f'--cursor {cursor}'} --json").json
        found += page["events"]
        cursor = page["next_cursor"]
    assert found == whole
    shown = shop(f"audit {whose} --limit 2")
    assert f"2 of {len(whole)}; --all shows the rest" in shown.out + shown.err
    lines = shop(f"audit {whose} -o jsonl").out.splitlines()
    assert list(map(json.loads, lines)) == whole


def test_a_transaction_is_no_event_and_says_itself_who_made_it(shop: Wallet) -> None:
    assert "500" not in shop("audit --all").out
    (made,) = shop("tx list 1 --json").json["transactions"]
    assert (made["via"], made["actor"]) == ("terminal", "mira")


@pytest.mark.on_file("the name is the system's")
def test_the_system_says_who_is_at_the_terminal(tmp_path: Path) -> None:
    """And not the environment, which anybody may set."""
    told = {"USER": "mallory", "LOGNAME": "mallory", "SUDO_USER": "mallory"}
    assert process(tmp_path, "register 9886977544", told).code == 0
    (event,) = json.loads(process(tmp_path, "audit 1 --json", told).out)["events"]
    assert (event["via"], event["actor"]) == ("terminal", pwd.getpwuid(os.getuid()).pw_name)
