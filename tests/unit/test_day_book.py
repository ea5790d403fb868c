"""The day book of all wallets, against a list that is sorted: in order, page by page, and with every filter."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.cli import Outcome

from wallet_cli.operations import day_book

Wallet = Callable[[str], Outcome]

COUNT = 180


@pytest.fixture
def shop(wallet: Wallet, tmp_path: Path) -> Wallet:
    """Transactions of eight wallets in three currencies, some of the same moment."""
    chance = random.Random(14)
    for user in range(1, 5):
        assert wallet(f"register 988697754{user} --name 'User {user}'").code == 0
        assert wallet(f"create {user}").code == 0
        assert wallet(f"create {user}/other --currency {'PTS/0' if user % 2 else 'KWD'}").code == 0
    lines = []
    second = 0
    for number in range(COUNT):
        second += chance.randrange(3)
        user, type_ = chance.randrange(1, 5), chance.choice(["main", "other"])
        amount = chance.choice(["1", "2", "3", "20"])
        note = chance.choice([None, "Tea", "coffee and tea", "ÄRZTE"])
        kind = "credit" if number < 40 or chance.random() < 0.8 else "debit"
        at = f"2024-04-19T05:{second // 60:02}:{second % 60:02}Z"
        lines.append(
            {"wallet": f"{user}/{type_}", "amount": amount, "kind": kind, "note": note, "at": at, "key": f"k{number}"}
        )
    (tmp_path / "lines.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert wallet(f"import {tmp_path / 'lines.jsonl'}").code in (0, 4)
    return wallet


def everything(wallet: Wallet) -> list[dict[str, Any]]:
    """All transactions, wallet by wallet, sorted as the day book has to be."""
    found = []
    for number in range(1, 9):
        found += wallet(f"tx list w{number} --all --json").json["transactions"]
    return sorted(found, key=lambda each: (each["at"], each["wallet_id"], each["seq"]), reverse=True)


FILTERS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "": lambda _: True,
    "--kind debit": lambda each: not each["is_credit"],
    "--min 2": lambda each: float(each["amount"]) >= 2,
    "--max 2.5": lambda each: float(each["amount"]) <= 2.5,
    "--min 2.001 --max 3.0000": lambda each: 2.001 <= float(each["amount"]) <= 3,
    "--text tea": lambda each: "tea" in (each["note"] or "").lower(),
    "--text ärzte": lambda each: each["note"] == "ÄRZTE",
    "--key k7": lambda each: each["key"] == "k7",
    "--from 2024-04-19T05:01 --to 2024-04-19T05:01": lambda each: each["at"].startswith("2024-04-19T05:01"),
    "--from 7d": lambda _: False,
}


def test_the_day_book_is_all_transactions_by_time(shop: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    # Small pieces, so that a list of this size is many of them.
    monkeypatch.setattr(day_book, "FIRST_PIECE", 3)
    monkeypatch.setattr(day_book, "MAX_PIECE", 16)
    every = everything(shop)
    assert len(every) > COUNT // 2
    for options, fits in FILTERS.items():
        wanted = [each["id"] for each in every if fits(each)]
        assert wanted or options == "--from 7d"
        assert shop(f"history {options} -q").out.split() == wanted, options
        paged: list[str] = []
        cursor = ""
        while True:
            page = shop(f"history {options} --limit 7 {cursor} --json").json
            assert len(page["transactions"]) <= 7
            paged += [each["id"] for each in page["transactions"]]
            if page["next_cursor"] is None:
                break
            cursor = f"--cursor {page['next_cursor']}"
        assert paged == wanted, options
    rows = shop("history --all --json").json["transactions"]
    assert all(row["wallet"] == shop(f"balance w{row['wallet_id']} --json").json["wallet"] for row in rows[:8])
    assert all(row["name"] == f"User {row['wallet'][0]}" for row in rows)


def test_a_page_goes_over_so_many_and_no_more(shop: Wallet, ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over HTTP, a filter that fits nothing ends, with a cursor that goes on."""
    monkeypatch.setattr(day_book, "FIRST_PIECE", 3)
    monkeypatch.setattr(day_book, "MAX_PIECE", 16)
    wanted = day_book.Wanted(text="coffee")
    found: list[str] = []
    cursor, pages = None, 0
    while True:
        page = day_book.listed(ledger, limit=50, cursor=cursor, wanted=wanted, examined=20)
        found += [each["id"] for each in page["transactions"]]
        cursor, pages = page["next_cursor"], pages + 1
        if cursor is None:
            break
    assert pages > 1
    assert found == [each["id"] for each in everything(shop) if "coffee" in (each["note"] or "")]
