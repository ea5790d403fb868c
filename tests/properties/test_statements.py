"""Statements of random histories add up, against a naive list of what was done; and each form of them says the same."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import engines
from support.engines import Engine
from support.statements import Page, in_time, peaks_are_kept

from wallet_cli import documents
from wallet_cli import settings as wallet_settings
from wallet_cli.documents.wording import GROUP, MINUS
from wallet_cli.domain.ids import TransactionId, parse_hold_id, parse_wallet
from wallet_cli.domain.money import format_minor, parse_currency
from wallet_cli.domain.period import format_time
from wallet_cli.domain.remarks import Remarks
from wallet_cli.errors import WalletError
from wallet_cli.operations import holds, statements, transactions, users, wallets
from wallet_cli.operations.context import Ledger, open_ledger

START_US = 1_795_341_600_000_000
CURRENCIES = ("INR", "JPY", "SATS/8")
NOTES = (None, "tea", "<script>&\x1b\u202eשלום", "🧾")

BOUNDED = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)


class Entry(NamedTuple):
    """What was done to wallet 1: the kind it ought to have, an amount with its sign, and when."""

    kind: str
    change: int
    at_us: int


class Story:
    """Does things to wallet 1, with wallet 2 to transfer with, and remembers each that was not refused."""

    def __init__(self, ledger: Ledger, currency: str) -> None:
        self.ledger, self.unit = ledger, parse_currency(currency)
        self.now_us = START_US
        ledger.executor.clock = lambda: self.now_us
        self.entries: list[Entry] = []
        ledger.run(users.register(ledger, "9886977544", "Asha"), "register")
        for name in ("1/main", "1/other"):
            ledger.run(wallets.create(ledger, parse_wallet(name), currency, format_minor(-500, self.unit)), "create")

    def do(self, what: str, amount: int, note: str | None, step_us: int) -> None:
        self.now_us += step_us
        try:
            change = getattr(self, what)(format_minor(amount, self.unit), amount, note)
        except WalletError as error:
            if error.code in ("storage_error", "internal_error"):
                raise
            return
        self.entries.append(Entry(what if what != "reversal" else self.reversed_as, change, self.now_us))

    def credit(self, text: str, amount: int, note: str | None) -> int:
        self.ledger.run(
            transactions.add(self.ledger, parse_wallet("1"), text, is_credit=True, remarks=Remarks(note)), "tx add"
        )
        return amount

    def debit(self, text: str, amount: int, note: str | None) -> int:
        self.ledger.run(
            transactions.add(self.ledger, parse_wallet("1"), text, is_credit=False, remarks=Remarks(note)), "tx add"
        )
        return -amount

    def transfer_in(self, text: str, amount: int, note: str | None) -> int:
        self.ledger.run(
            transactions.transfer(self.ledger, parse_wallet("1/other"), parse_wallet("1"), text, remarks=Remarks(note)),
            "transfer",
        )
        return amount

    def transfer_out(self, text: str, amount: int, note: str | None) -> int:
        self.ledger.run(
            transactions.transfer(self.ledger, parse_wallet("1"), parse_wallet("1/other"), text, remarks=Remarks(note)),
            "transfer",
        )
        return -amount

    def capture(self, text: str, amount: int, note: str | None) -> int:
        hold = self.ledger.run(holds.add(self.ledger, parse_wallet("1"), text, note=note), "hold add")
        part = max(1, amount // 2)
        self.ledger.run(
            holds.capture(self.ledger, parse_hold_id(hold["id"]), format_minor(part, self.unit)), "hold capture"
        )
        return -part

    def reversal(self, text: str, amount: int, note: str | None) -> int:
        seq = amount % (len(self.entries) + 1)
        made = self.ledger.run(
            transactions.reverse(self.ledger, TransactionId(1, seq), remarks=Remarks(note), force=amount % 2 == 0),
            "tx reverse",
        )
        self.reversed_as = "reversal_in" if made["is_credit"] else "reversal_out"
        taken = -self.entries[seq - 1].change
        assert made["amount"] == format_minor(abs(taken), self.unit)
        return taken


@contextmanager
def fresh() -> Any:
    with engines.lent() as address:
        given_settings = wallet_settings.load({"db": str(address), "timezone": "UTC"}, {})
        with open_ledger(given_settings, lambda _: None) as ledger:
            yield ledger


WHAT = ("credit", "debit", "transfer_in", "transfer_out", "capture", "reversal")
steps = st.lists(
    st.tuples(st.sampled_from(WHAT), st.integers(1, 400), st.sampled_from(NOTES), st.integers(0, 3)), max_size=25
)
bounds = st.none() | st.integers(-1, 30)


@given(steps=steps, currency=st.sampled_from(CURRENCIES), start=bounds, end=bounds)
@BOUNDED
def test_a_statement_adds_up(
    engine: Engine, steps: list[Any], currency: str, start: int | None, end: int | None
) -> None:
    with fresh() as ledger:
        story = Story(ledger, currency)
        for step in steps:
            story.do(*step)
        if start is not None and end is not None:
            start, end = sorted((start, end))
        check(story, start, end)


def check(story: Story, start: int | None, end: int | None) -> None:
    """A statement from microsecond `start` to the end of `end`, against adding up what was done."""
    first_us = None if start is None else START_US + start
    last_us = None if end is None else START_US + end
    before = [e for e in story.entries if first_us is not None and e.at_us < first_us]
    inside = [e for e in story.entries if e not in before and (last_us is None or e.at_us <= last_us)]
    opening, net = sum(e.change for e in before), sum(e.change for e in inside)
    balances = [opening]
    for entry in inside:
        balances.append(balances[-1] + entry.change)

    def text(minor: int) -> str:
        return format_minor(minor, story.unit)

    asked = (
        parse_wallet("1"),
        None if first_us is None else format_time(first_us),
        None if last_us is None else format_time(last_us),
    )
    with statements.opened(story.ledger, *asked) as statement:
        answer = json.loads("".join(statements.json_of(statement)))
    assert (answer["opening_balance"], answer["closing_balance"]) == (text(opening), text(opening + net))
    assert answer["net"] == text(net)
    assert answer["credit_total"] == text(sum(max(0, e.change) for e in inside))
    assert answer["debit_total"] == text(sum(max(0, -e.change) for e in inside))
    assert answer["credit_count"] + answer["debit_count"] == len(inside)
    number = Counter(e.kind for e in inside)
    assert answer["totals"] == [
        {"kind": kind, "count": number[kind], "amount": text(sum(abs(e.change) for e in inside if e.kind == kind))}
        for kind in statements.LINE_KINDS
        if number[kind]
    ]
    lines = answer["transactions"]
    assert [line["balance"] for line in lines] == [text(balance) for balance in balances[1:]]
    assert [line["amount"] for line in lines] == [text(abs(e.change)) for e in inside]
    assert lines == list(statements.streamed(story.ledger, *asked))
    assert answer["transactions"] == lines

    with statements.opened(story.ledger, *asked) as statement:
        curve = statement.survey().curve
        page = Page("".join(documents.as_html(statement)))
    assert (curve[0].balance, curve[-1].balance) == (opening, opening + net)
    assert peaks_are_kept(balances, [point.balance for point in curve])
    assert in_time([point.at_us for point in curve])
    shown = [row[4].replace(GROUP, "").replace(MINUS, "-") for row in page.rows if len(row) == 5]
    assert [balance for balance in shown if balance] == [
        "Balance", text(opening), *(text(balance) for balance in balances[1:]), text(opening + net)
    ]  # fmt: skip


FAULTS = {
    "a reversal counts as what it is not": ("kind_of", lambda line: "credit" if line.is_credit else "debit"),
    "the totals leave a kind out": ("LINE_KINDS", ("credit", "debit", "transfer_in", "transfer_out", "capture")),
    "the first line is lost": ("bounds", lambda ledger, account, period: (account.last, account.last)),
}


@pytest.mark.on_file("the faults are in the rules, and the model is the same")
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_deliberate_fault_is_found(engine: Engine, monkeypatch: pytest.MonkeyPatch, fault: Any) -> None:
    name, wrong = fault
    monkeypatch.setattr(statements, name, wrong)
    story = (
        ("credit", 300, None, 1), ("debit", 100, None, 1), ("transfer_out", 40, "tea", 1), ("reversal", 2, None, 1),
    )  # fmt: skip
    with fresh() as ledger:
        told = Story(ledger, "INR")
        for step in story:
            told.do(*step)
        assert len(told.entries) == len(story)
        with pytest.raises((AssertionError, KeyError)):
            check(told, None, None)
