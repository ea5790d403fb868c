"""Charts in a terminal, and the sums that they show: days of a time zone, weeks from Monday, no gap and no overflow."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cli import Outcome
from support.server import PROGRAM
from support.statements import INR, START_US, Step, statement_of

from wallet_cli.cli.screen.chart_text import ASCII, BLOCKS, Marks, lines, marks_for
from wallet_cli.cli.screen.money import Money
from wallet_cli.cli.screen.widths import cells
from wallet_cli.documents.chart import picture
from wallet_cli.domain.money import Currency
from wallet_cli.domain.period import DAY_US
from wallet_cli.errors import InvalidInput
from wallet_cli.operations import flows as flows_
from wallet_cli.operations.flows import Flow, Flows
from wallet_cli.operations.statements import Statement

UNITS = ("day", "week", "month")
QUIET = settings(max_examples=60, deadline=None, derandomize=True, database=None)
STEPS = st.lists(
    st.builds(Step, st.integers(-(10**9), 10**9).filter(bool), st.sampled_from([0, 10**6, DAY_US, 9 * DAY_US])),
    max_size=20,
)


def drawn(statement: Statement, width: int, marks: Marks = BLOCKS, unit: str | None = None) -> list[str]:
    found = Flows(statement)
    survey = statement.survey(found.add)
    unit = unit or found.unit()
    return list(
        lines(
            statement, survey.curve, found.by(unit), unit, width, marks, Money("ascii" if marks is ASCII else "utf-8")
        )
    )


def sums(statement: Statement, unit: str) -> list[Flow]:
    found = Flows(statement)
    statement.survey(found.add)
    return found.by(unit)


SOME = statement_of([Step(50_000), Step(-70_000, DAY_US), Step(20_000, 2 * DAY_US)])


OF_40_COLUMNS = """\
Balance of 1/main, INR

 ₹600 ┤
      │
 ₹400 ┤███████████
      │███████████
 ₹200 ┤███████████
      │███████████
   ₹0 ┤███████████
      │          ██████████████████████
-₹200 ┤          ██████████████████████
      └────────────────────────────────
       2026-11-22            2026-11-25

Credits (+) and debits (-) by day

2026-11-22
  +₹500.00 ████████████████████
     ₹0.00
2026-11-23
     ₹0.00
  -₹700.00 ████████████████████████████
2026-11-24
     ₹0.00
     ₹0.00
2026-11-25
  +₹200.00 ████████
     ₹0.00"""


def test_a_chart_of_40_columns() -> None:
    assert "\n".join(drawn(SOME, 40)) == OF_40_COLUMNS


@pytest.mark.parametrize(
    ("locale", "told"), [("de_DE", "+500,00 ₹"), ("ja_JP", "+₹500.00"), ("hi_IN", "+₹500.00"), ("fr_FR", "+500,00 ₹")]
)
def test_amounts_are_written_as_where_somebody_lives(locale: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    text = "\n".join(drawn(SOME, 80))
    assert told in text
    assert (
        told.removeprefix("+").replace(",00", "").replace(".00", "").replace("5", "6") in text.partition("Credits")[0]
    )


def test_a_chart_in_ascii_has_nothing_else() -> None:
    assert all(line.isascii() for line in drawn(SOME, 80, ASCII))
    assert [marks_for(name) for name in ("utf-8", "cp437", "ascii", "latin-1", "no such", None)] == [
        *(BLOCKS, ASCII, ASCII, ASCII, ASCII, ASCII)
    ]


@pytest.mark.on_file("what is printed is the same on every engine")
@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "cp1252", "ascii"])
def test_a_chart_is_in_the_encoding_in_which_tables_are(
    encoding: str, wallet: Callable[[str], Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    for line in ("register 9886977544", "create 1 --currency GBP", "credit 1 5"):
        assert wallet(line).code == 0
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    chart, table = (
        subprocess.run([*PROGRAM, *line], capture_output=True, check=True, timeout=60).stdout.decode(encoding)
        for line in (["chart", "1"], ["tx", "total", "1"])
    )
    sign = "GBP" if encoding == "ascii" else "£"
    assert (sign in chart, sign in table, "Â" in chart) == (True, True, False), chart


@QUIET
@given(
    steps=STEPS,
    exponent=st.integers(0, 8),
    width=st.sampled_from([40, 60, 80, 200]),
    unit=st.sampled_from(UNITS),
)
def test_no_line_is_wider_than_the_terminal(steps: list[Step], exponent: int, width: int, unit: str) -> None:
    statement = statement_of(steps, currency=Currency(f"PTS/{exponent}", exponent))
    for marks in (ASCII, BLOCKS):
        assert max(map(cells, drawn(statement, width, marks, unit))) <= width


@QUIET
@given(steps=STEPS, unit=st.sampled_from(UNITS), zone=st.sampled_from(["UTC", "Asia/Kolkata", "Europe/Berlin"]))
def test_the_flows_add_up_without_a_gap(steps: list[Step], unit: str, zone: str) -> None:
    statement = statement_of(steps, before=700, zone=ZoneInfo(zone))
    found = sums(statement, unit)
    assert sum(flow.credit_total for flow in found) == sum(step.amount for step in steps if step.amount > 0)
    assert sum(flow.debit_total for flow in found) == -sum(step.amount for step in steps if step.amount < 0)
    assert sum(flow.credit_count + flow.debit_count for flow in found) == len(steps)
    balance = 700
    for flow in found:
        balance += flow.credit_total - flow.debit_total
        assert flow.closing == balance
    days = [date.fromisoformat(flow.day) for flow in found]
    for earlier, later in pairwise(days):
        assert 0 < (later - earlier).days <= {"day": 1, "week": 7, "month": 31}[unit]
    assert all(day.weekday() == 0 for day in days if unit == "week")
    assert all(day.day == 1 for day in days if unit == "month")


def test_a_day_is_one_of_the_ledgers_time_zone() -> None:
    """10:00 and 19:00 in UTC are two days in Kolkata, and the clocks that go back in Berlin make a day of 25 hours."""
    steps = [Step(100, 0), Step(50, 9 * 3600 * 10**6)]
    assert [flow.day for flow in sums(statement_of(steps, zone=ZoneInfo("Asia/Kolkata")), "day")] == [
        *("2026-11-22", "2026-11-23")
    ]
    back_us = (date(2026, 10, 25) - date(1970, 1, 1)).days * DAY_US
    first = back_us - 2 * 3600 * 10**6 - START_US
    steps = [Step(100, first), Step(50, 25 * 3600 * 10**6 - 1), Step(1, 1)]
    found = sums(statement_of(steps, zone=ZoneInfo("Europe/Berlin")), "day")
    assert [(flow.day, flow.credit_total) for flow in found] == [("2026-10-25", 150), ("2026-10-26", 1)]


def test_more_bars_than_can_be_read_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [Step(1), Step(1, 1000 * DAY_US)]
    with pytest.raises(InvalidInput, match="at most 1000 bars"):
        sums(statement_of(steps), "day")
    assert len(sums(statement_of(steps), "month")) == 34
    monkeypatch.setattr(flows_, "MAX_DAYS", 1)
    with pytest.raises(InvalidInput, match="at most 1 days"):
        sums(statement_of(steps), "month")


def test_the_first_and_the_last_years_that_there_are() -> None:
    for far_us in (-62_135_596_800_000_000 - START_US, 253_402_300_799_999_999 - START_US):
        for unit in UNITS:
            assert sum(flow.credit_total for flow in sums(statement_of([Step(1, far_us)]), unit)) == 1


def test_a_picture_has_a_bar_each_way_for_each_day() -> None:
    found = Flows(SOME)
    survey = SOME.survey(found.add)
    text = picture(SOME, survey.curve, found.by("day"), "day")
    assert (text.count('class="credit"'), text.count('class="debit"')) == (4, 4)
    assert INR.name in text
    assert not {"script", "href", "url("} & {word for word in ("script", "href", "url(") if word in text}
