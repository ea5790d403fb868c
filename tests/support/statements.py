"""Statements made of a few steps, with no ledger behind them; and what a page of HTML is checked by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, tzinfo
from html.parser import HTMLParser
from itertools import accumulate, pairwise
from typing import NamedTuple

from wallet_cli.domain import hash_chain
from wallet_cli.domain.model import Transaction, User, Wallet
from wallet_cli.domain.money import Currency
from wallet_cli.domain.period import Period
from wallet_cli.domain.remarks import Remarks
from wallet_cli.operations.statements import Statement

START_US = 1_795_341_600_000_000  # 2026-11-22T10:00:00Z
INR = Currency("INR", 2)
ALL_TIME = Period(None, None)


class Step(NamedTuple):
    """One line: an amount in minor units, negative for a debit, and how long after the one before."""

    amount: int
    after_us: int = 3_600_000_000
    note: str | None = None
    key: str | None = None


def statement_of(
    steps: Sequence[Step],
    *,
    name: str | None = "Asha",
    currency: Currency = INR,
    period: Period = ALL_TIME,
    before: int = 0,
    zone: tzinfo | None = UTC,
) -> Statement:
    """A statement of these lines; a credit of `before` came ahead of the period, where it is not 0."""
    wallet = Wallet(7, 1, "main", currency, "active", None, START_US)
    user = User(1, "98869 77544", "+919886977544", "IN", "9886977544", name, START_US)
    first = [Step(before, 0)] if before else []
    states = list(accumulate([*first, *steps], _after, initial=hash_chain.unopened(wallet)._replace(at_us=START_US)))
    opening, lines = states[len(first)], states[len(first) + 1 :]

    def read() -> Iterator[Transaction]:
        return iter(lines)

    return Statement(user, wallet, period, opening, states[-1], START_US + 40 * 86_400_000_000, zone, read)


def _after(last: Transaction, step: Step) -> Transaction:
    credit, debit = max(0, step.amount), max(0, -step.amount)
    return last._replace(
        seq=last.seq + 1,
        is_credit=step.amount > 0,
        amount=abs(step.amount),
        credit_total=last.credit_total + credit,
        debit_total=last.debit_total + debit,
        credit_count=last.credit_count + (step.amount > 0),
        at_us=last.at_us + step.after_us,
        remarks=Remarks(step.note),
        key=step.key,
    )


VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """A page as it was read: whether every element is closed in its turn, its tables' cells, its attributes and text.

    Raises AssertionError for one that is not well formed.
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.rows: list[list[str]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    @property
    def text(self) -> str:
        return "".join(self.texts)


def peaks_are_kept(balances: Sequence[int], shown: Sequence[int]) -> bool:
    """Whether a curve that was thinned out still has the extremes, and only balances that there were."""
    return {min(balances), max(balances)} <= set(shown) <= set(balances)


def in_time(moments: Sequence[int]) -> bool:
    return all(earlier <= later for earlier, later in pairwise(moments))
