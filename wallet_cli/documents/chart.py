"""The balance over a period as a chart: its geometry, for any paper, and the chart as SVG.

A balance is a step: it stays until the next transaction. The scale always has 0 in it, as the area under a curve that
starts elsewhere says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from wallet_cli.documents.wording import Clock, money
from wallet_cli.domain.money import Currency
from wallet_cli.domain.period import DAY_US
from wallet_cli.operations.statements import Point, Statement

TICKS_ABOUT = 5
X_LABELS_WITH_TIME_US = 3 * DAY_US
"""A shorter chart tells the minute at its ends."""

WIDTH, HEIGHT = 760, 220
TOP, BOTTOM, RIGHT = 10, 24, 6
DIGIT_WIDTH = 6.4
"""Of a label at 11 units, generously."""


class Tick(NamedTuple):
    """A line across: how high, 0 to 1, and its label."""

    y: float
    label: str


class Chart(NamedTuple):
    """Geometry, in which the chart is 1 wide and 1 high, from the bottom left. `points` are corners to step through."""

    points: tuple[tuple[float, float], ...]
    zero: float
    ticks: tuple[Tick, ...]
    ends: tuple[str, str]
    """The labels of its left and right end."""
    lowest: int
    highest: int


def chart_of(statement: Statement, curve: Sequence[Point]) -> Chart:
    """The chart of a curve, which has two points at least."""
    currency, clock = statement.wallet.currency, Clock(statement.zone)
    balances = [point.balance for point in curve]
    step = _step(min(0, *balances), max(0, *balances), currency)
    bottom = min(0, *balances) // step * step
    top = max(bottom + step, -(-max(0, *balances) // step) * step)
    start_us, span_us = curve[0].at_us, max(1, curve[-1].at_us - curve[0].at_us)

    def height(balance: int) -> float:
        return (balance - bottom) / (top - bottom)

    # The end of a period is the first moment after it.
    end_us = curve[-1].at_us - (curve[-1].at_us == statement.period.end_us)
    values = range(bottom, top + 1, step)
    whole = all(value % 10**currency.exponent == 0 for value in values)
    points = [((point.at_us - start_us) / span_us, height(point.balance)) for point in curve]
    return Chart(
        (*points, (1.0, points[-1][1])),
        height(0),
        tuple(Tick(height(value), money(value, currency, whole=whole)) for value in values),
        (_end(clock, start_us, span_us), _end(clock, end_us, span_us)),
        min(balances),
        max(balances),
    )


def _step(low: int, high: int, currency: Currency) -> int:
    """A round number of minor units that takes about TICKS_ABOUT steps from low to high."""
    if low == high:
        unit: int = 10**currency.exponent
        return unit
    rough = max(1, (high - low) // TICKS_ABOUT)
    power: int = 10 ** (len(str(rough)) - 1)
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)


def _end(clock: Clock, at_us: int, span_us: int) -> str:
    return clock.words(at_us) if span_us < X_LABELS_WITH_TIME_US else clock.stamp(at_us)[0]


def svg(statement: Statement, curve: Sequence[Point]) -> str:
    """The chart as an `<svg>` to stand in a page, whose style sheet colours its classes."""
    chart, currency = chart_of(statement, curve), statement.wallet.currency
    left = round(max(len(tick.label) for tick in chart.ticks) * DIGIT_WIDTH + 10)
    width, height = WIDTH - left - RIGHT, HEIGHT - TOP - BOTTOM

    def x(share: float) -> str:
        return f"{left + share * width:.1f}"

    def y(share: float) -> str:
        return f"{TOP + (1 - share) * height:.1f}"

    first_x, first_y = chart.points[0]
    steps = "".join(f"H{x(px)}V{y(py)}" for px, py in chart.points[1:])
    line = f"M{x(first_x)} {y(first_y)}{steps}"
    grid = "".join(
        f'<path class="grid" d="M{left} {y(tick.y)}H{x(1)}"/>'
        f'<text x="{left - 8}" y="{y(tick.y)}" dy=".35em" text-anchor="end">{escape(tick.label)}</text>'
        for tick in chart.ticks
    )
    unit = currency.unit
    described = (
        f"From {money(curve[0].balance, currency)} to {money(curve[-1].balance, currency)} {unit}; "
        f"lowest {money(chart.lowest, currency)}, highest {money(chart.highest, currency)}."
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        ' aria-labelledby="chart-title chart-text">'
        f'<title id="chart-title">Balance, {chart.ends[0]} to {chart.ends[1]}</title>'
        f'<desc id="chart-text">{escape(described)}</desc>{grid}'
        f'<path class="area" d="{line}V{y(chart.zero)}H{x(first_x)}Z"/>'
        f'<path class="zero" d="M{left} {y(chart.zero)}H{x(1)}"/>'
        f'<path class="line" d="{line}"/>'
        f'<text x="{left}" y="{HEIGHT - 6}">{chart.ends[0]}</text>'
        f'<text x="{x(1)}" y="{HEIGHT - 6}" text-anchor="end">{chart.ends[1]}</text></svg>'
    )
