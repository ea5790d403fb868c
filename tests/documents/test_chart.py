"""The chart of a balance: round ticks, 0 always in it, steps rather than slopes, and every peak of a long history."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.statements import ALL_TIME, INR, START_US, Step, in_time, peaks_are_kept, statement_of

from wallet_cli.documents.chart import chart_of, svg
from wallet_cli.domain.money import Currency
from wallet_cli.domain.period import DAY_US, Period
from wallet_cli.operations import statements
from wallet_cli.operations.statements import MAX_CURVE_POINTS, Point, Statement

QUIET = settings(max_examples=100, deadline=None, derandomize=True, database=None)


@pytest.mark.parametrize(
    ("balances", "currency", "ticks"),
    [
        ([0, 0], INR, ["0", "1"]),
        ([0, 1], INR, ["0.00", "0.01"]),
        ([0, 10_000], INR, ["0", "20", "40", "60", "80", "100"]),
        ([0, 103], INR, ["0.00", "0.20", "0.40", "0.60", "0.80", "1.00", "1.20"]),
        ([-9_000, 20_000], INR, ["−100", "0", "100", "200"]),
        ([-700, -500], INR, ["−8", "−6", "−4", "−2", "0"]),
        ([0, 3], Currency("PTS/0", 0), ["0", "1", "2", "3"]),
        ([0, 5], Currency("SATS/8", 8), [f"0.0000000{n}" for n in range(6)]),
    ],
    ids=str,
)
def test_ticks_are_round(balances: list[int], currency: Currency, ticks: list[str]) -> None:
    curve = [Point(n, START_US + n, balance) for n, balance in enumerate(balances)]
    chart = chart_of(statement_of([Step(1)], currency=currency), curve)
    assert [tick.label for tick in chart.ticks] == ticks


@QUIET
@given(
    balances=st.lists(st.integers(-(10**18), 10**18), min_size=2, max_size=8),
    exponent=st.integers(0, 8),
    step_us=st.sampled_from([0, 1, 10**9]),
)
def test_everything_is_within_the_chart(balances: list[int], exponent: int, step_us: int) -> None:
    curve = [Point(n, START_US + n * step_us, balance) for n, balance in enumerate(balances)]
    statement = statement_of([Step(1)], currency=Currency(f"PTS/{exponent}", exponent))
    chart = chart_of(statement, curve)
    assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in chart.points)
    assert 0 <= chart.zero <= 1
    assert 2 <= len(chart.ticks) <= 13
    assert (chart.lowest, chart.highest) == (min(balances), max(balances))
    drawn = svg(statement, curve)
    assert not re.search(r"nan|inf|e[+-]\d", re.sub(r"<(title|desc|text).*?</\1>", "", drawn))


def test_a_balance_is_a_step() -> None:
    statement = statement_of([Step(10_000, 0), Step(-5_000, 1_000_000), Step(1, 1_000_000)])
    (line,) = re.findall(r'class="line" d="([^"]*)"', svg(statement, statement.survey().curve))
    assert set(re.sub(r"[-\d. ]", "", line)) == set("MHV")


def test_a_chart_says_in_words_what_it_shows() -> None:
    statement = statement_of([Step(10_000), Step(-15_000), Step(6_000)])
    drawn = svg(statement, statement.survey().curve)
    assert 'role="img" aria-labelledby="chart-title chart-text"' in drawn
    assert '<desc id="chart-text">From 0.00 to 10.00 INR; lowest −50.00, highest 100.00.</desc>' in drawn


def test_the_ends_are_those_of_the_period() -> None:
    day_us = START_US - START_US % DAY_US
    statement = statement_of([Step(100)], before=5, period=Period(day_us, day_us + 10 * DAY_US))
    assert chart_of(statement, statement.survey().curve).ends == ("2026-11-22", "2026-12-01")


# A long history


def long_statement(period: Period = ALL_TIME) -> Statement:
    """Ten thousand small steps about 100.00, and one peak and one trough that last for one step each."""
    steps = [Step(10_000, 0), *(Step(1 if n % 2 else -1, 1_000_000) for n in range(10_000))]
    steps[3_030:3_032] = [Step(700_000, 1_000_000), Step(-700_000, 1_000_000)]
    steps[7_040:7_042] = [Step(-300_000, 1_000_000), Step(300_000, 1_000_000)]
    return statement_of(steps, period=period)


def check_curve(statement: Statement) -> None:
    balances = [statement.opening.balance, *(line.balance for line in statement.lines())]
    curve = statement.survey().curve
    assert len(curve) <= MAX_CURVE_POINTS + 2
    assert (curve[0].balance, curve[-1].balance) == (balances[0], balances[-1])
    assert peaks_are_kept(balances, [point.balance for point in curve])
    assert in_time([point.at_us for point in curve])


def test_a_long_history_is_thinned_out_and_keeps_its_peaks() -> None:
    check_curve(long_statement())
    check_curve(long_statement(Period(START_US - 10**12, START_US + 10**12)))


def test_a_short_history_is_kept_whole() -> None:
    statement = statement_of([Step(100 + n, 1) for n in range(MAX_CURVE_POINTS)])
    assert len(statement.survey().curve) == MAX_CURVE_POINTS + 2


def test_a_curve_that_loses_peaks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def every_last(curve: statements._Curve) -> None:
        if curve.bucket >= 0:
            curve.kept.append(curve.last)
            curve.bucket = -1

    monkeypatch.setattr(statements._Curve, "_keep", every_last)
    with pytest.raises(AssertionError):
        check_curve(long_statement())
