"""Credits and debits of a wallet by day, week or month: days of the ledger's time zone, weeks from Monday."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from wallet_cli.domain.model import Transaction
from wallet_cli.domain.money import format_minor
from wallet_cli.domain.period import Day, day_of, format_time
from wallet_cli.errors import InvalidInput
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.statements import Statement, Survey, head_answer

MAX_FLOWS = 1000
MAX_DAYS = 100_000
"""The most days with sums in memory: 270 years with a transaction on each day."""

FEW_DAYS, FEW_WEEKS = 31, 26
"""Up to this many days or weeks are listed one by one by default."""


class Flow(NamedTuple):
    """A day, a week or a month by its first day: sums in minor units, and the balance at its end."""

    day: str
    credit_total: int
    debit_total: int
    credit_count: int
    debit_count: int
    closing: int


class Flows:
    """Adds transactions up by day, as they arrive."""

    def __init__(self, statement: Statement) -> None:
        self._zone = statement.zone
        self._opening = statement.opening.balance
        self._days: dict[str, Flow] = {}
        self._day = Day("", 0, 0)

    def add(self, line: Transaction) -> None:
        """Add a transaction. Raises InvalidInput for too many days."""
        if not self._day.start_us <= line.at_us < self._day.end_us:
            goes_back = line.at_us < self._day.start_us
            self._day = day_of(line.at_us, self._zone)
            if goes_back:
                self._reset_to(self._day.text)
            if len(self._days) >= MAX_DAYS:
                raise InvalidInput(f"a chart has at most {MAX_DAYS} days", hint="give --from and --to")
        day, credit, debit, credits_, debits, _ = self._days.get(self._day.text) or Flow(self._day.text, 0, 0, 0, 0, 0)
        if line.is_credit:
            flow = Flow(day, credit + line.amount, debit, credits_ + 1, debits, line.balance)
        else:
            flow = Flow(day, credit, debit + line.amount, credits_, debits + 1, line.balance)
        self._days[day] = flow

    def _reset_to(self, day: str) -> None:
        """What was recorded on later days, under a clock ahead, counts as of the day on which the time is reset."""
        for later in sorted(each for each in self._days if each > day):
            self._days[day] = _together(self._days.get(day) or Flow(day, 0, 0, 0, 0, 0), self._days.pop(later))

    def unit(self) -> str:
        """The best unit for the span of the days."""
        if not self._days:
            return "day"
        span = (date.fromisoformat(max(self._days)) - date.fromisoformat(min(self._days))).days + 1
        return "day" if span <= FEW_DAYS else "week" if span <= 7 * FEW_WEEKS else "month"

    def by(self, unit: str) -> list[Flow]:
        """The flows from the first to the last with a transaction, without gaps. Raises InvalidInput for too many."""
        found: dict[date, Flow] = {}
        for day in sorted(self._days):
            one, first = self._days[day], _first_of(date.fromisoformat(day), unit)
            found[first] = _together(found.get(first, Flow(first.isoformat(), 0, 0, 0, 0, 0)), one)
        filled: list[Flow] = []
        for first in _each(found, unit):
            closing = filled[-1].closing if filled else self._opening
            filled.append(found.get(first) or Flow(first.isoformat(), 0, 0, 0, 0, closing))
        return filled


def _together(sums: Flow, one: Flow) -> Flow:
    """The sums with those of a day that comes after."""
    return Flow(
        sums.day,
        sums.credit_total + one.credit_total,
        sums.debit_total + one.debit_total,
        sums.credit_count + one.credit_count,
        sums.debit_count + one.debit_count,
        one.closing,
    )


def _first_of(day: date, unit: str) -> date:
    if unit == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if unit == "week" and day.toordinal() > 7 else day


def _each(found: Iterable[date], unit: str) -> Sequence[date]:
    """The first day of each unit, from the earliest to the latest of these."""
    days = sorted(found)
    firsts: list[date] = []
    day, last = (days[0], days[-1]) if days else (date.max, date.min)
    while day <= last:
        if len(firsts) >= MAX_FLOWS:
            raise InvalidInput(
                f"a chart has at most {MAX_FLOWS} bars, and by {unit} there are more",
                hint="--by month, or --from and --to",
            )
        firsts.append(day)
        if day == last:
            break
        day = _first_of(day + timedelta(days={"day": 1, "week": 7, "month": 31}[unit]), unit)
    return firsts


def flow_answers(flows: Iterable[Flow], statement: Statement) -> list[Answer]:
    """Each as JSON: `from` (its first day), its sums, and its closing balance."""
    currency = statement.wallet.currency
    return [
        {
            "from": flow.day,
            "credit_total": format_minor(flow.credit_total, currency),
            "debit_total": format_minor(flow.debit_total, currency),
            "credit_count": flow.credit_count,
            "debit_count": flow.debit_count,
            "net": format_minor(flow.credit_total - flow.debit_total, currency),
            "closing_balance": format_minor(flow.closing, currency),
        }
        for flow in flows
    ]


def chart_answer(statement: Statement, survey: Survey, flows: Iterable[Flow], unit: str) -> Answer:
    """All data of a chart: the fields of a statement's head, `by`, `curve` and `flows`."""
    currency = statement.wallet.currency
    curve = [{"at": format_time(each.at_us), "balance": format_minor(each.balance, currency)} for each in survey.curve]
    return head_answer(statement) | {"by": unit, "curve": curve, "flows": flow_answers(flows, statement)}
