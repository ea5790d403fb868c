"""Charts of a wallet over a period, of its balance and its credits and debits: the geometry, and as SVG.

The balance is a step line: it stays until the next transaction. A scale always includes 0, because an area that starts
elsewhere is misleading. Credits go up from 0 and debits down, so no colour is needed to distinguish them.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from wallet_cli.documents.wording import money
from wallet_cli.domain.clock import Clock
from wallet_cli.domain.money import Currency, format_minor
from wallet_cli.domain.period import DAY_US
from wallet_cli.operations.flows import Flow
from wallet_cli.operations.statements import Point, Statement

TICKS_ABOUT = 5
X_LABELS_WITH_TIME_US = 3 * DAY_US
"""A shorter chart shows minutes at its ends."""

WIDTH, HEIGHT = 760, 220
TOP, BOTTOM, RIGHT = 10, 24, 6
HEADING = 26
DIGIT_WIDTH = 7.0
"""The width of a character in a label of 11 units, generously."""

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #626a73; --rule: #d9dde2; --paper: #fff;
  --in: #1f5f8b; --out: #b4552d }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7ea; --soft: #98a1ab; --rule: #343a41; --paper: #15181b; --in: #7fb8e0; --out: #e0926a }
}
text { font: 11px system-ui, sans-serif; fill: var(--soft); font-variant-numeric: tabular-nums }
.head { font-size: 13px; font-weight: 600; fill: var(--ink) } .paper { fill: var(--paper) }
.grid { stroke: var(--rule); stroke-width: .75 } .zero { stroke: var(--soft); stroke-width: 1 }
.area { fill: var(--in); fill-opacity: .12 } .credit { fill: var(--in) } .debit { fill: var(--out) }
.line { fill: none; stroke: var(--in); stroke-width: 1.6; stroke-linejoin: round }
"""


class Tick(NamedTuple):
    """A grid line: its height, 0 to 1, its label, and the amount as decimal text."""

    y: float
    label: str
    amount: str


class Scale(NamedTuple):
    """The amounts at the bottom and at the top, in minor units, and the lines between."""

    bottom: int
    top: int
    ticks: tuple[Tick, ...]

    def height(self, amount: int) -> float:
        """The height of an amount, 0 to 1."""
        return (amount - self.bottom) / (self.top - self.bottom)


class Chart(NamedTuple):
    """Geometry of a chart that is 1 wide and 1 high, from the bottom left. `points` are the corners of the step
    line.
    """

    points: tuple[tuple[float, float], ...]
    zero: float
    ticks: tuple[Tick, ...]
    ends: tuple[str, str]
    """The labels of its left and right end."""
    lowest: int
    highest: int


def chart_of(statement: Statement, curve: Sequence[Point]) -> Chart:
    """The chart of a curve, which has at least two points."""
    currency, clock = statement.wallet.currency, Clock(statement.zone)
    balances = [point.balance for point in curve]
    scale = scale_of(balances, currency)
    start_us, span_us = curve[0].at_us, max(1, curve[-1].at_us - curve[0].at_us)
    # The end of a period is the first moment after it.
    end_us = curve[-1].at_us - (curve[-1].at_us == statement.period.end_us)
    points = [((point.at_us - start_us) / span_us, scale.height(point.balance)) for point in curve]
    return Chart(
        (*points, (1.0, points[-1][1])),
        scale.height(0),
        scale.ticks,
        (_end(clock, start_us, span_us), _end(clock, end_us, span_us)),
        min(balances),
        max(balances),
    )


def scale_of(amounts: Sequence[int], currency: Currency) -> Scale:
    """A scale that includes all these amounts, and 0."""
    low, high = min(0, *amounts), max(0, *amounts)
    step = _step(low, high, currency)
    bottom = low // step * step
    top = max(bottom + step, -(-high // step) * step)
    values = range(bottom, top + 1, step)
    whole = all(value % 10**currency.exponent == 0 for value in values)
    bare = Scale(bottom, top, ())

    def tick(value: int) -> Tick:
        amount = format_minor(value, currency)
        label = money(value, currency, whole=whole)
        return Tick(bare.height(value), label, amount.partition(".")[0] if whole else amount)

    return bare._replace(ticks=tuple(map(tick, values)))


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


class Frame(NamedTuple):
    """The place of a chart: left, top, width and height."""

    left: float
    top: float
    width: float
    height: float

    def x(self, share: float) -> str:
        return f"{self.left + share * self.width:.1f}"

    def y(self, share: float) -> str:
        return f"{self.top + (1 - share) * self.height:.1f}"


def svg(statement: Statement, curve: Sequence[Point]) -> str:
    """The balance as an `<svg>` for a page, whose style sheet colours its classes."""
    chart = chart_of(statement, curve)
    return _open_svg(statement, curve, chart, HEIGHT) + _balance(chart, _frame(chart.ticks, 0)) + "</svg>"


def picture(statement: Statement, curve: Sequence[Point], flows: Sequence[Flow], unit: str) -> str:
    """A complete SVG file: the balance, and below it credits and debits."""
    chart, currency = chart_of(statement, curve), statement.wallet.currency
    scale = scale_of([amount for flow in flows for amount in (flow.credit_total, -flow.debit_total)] or [0], currency)
    ticks = max(chart.ticks, scale.ticks, key=lambda ticks: max(len(tick.label) for tick in ticks))
    head = f"{statement.wallet.name}, {currency.name}"
    return (
        _open_svg(statement, curve, chart, 2 * (HEIGHT + HEADING))
        + f"<style>{STYLE}</style>"
        + f'<rect class="paper" width="{WIDTH}" height="{2 * (HEIGHT + HEADING)}"/>'
        + f'<text class="head" x="8" y="18">Balance of {escape(head)}</text>'
        + _balance(chart, _frame(ticks, HEADING))
        + f'<text class="head" x="8" y="{HEIGHT + HEADING + 18}">Credits (up) and debits (down) by {unit}</text>'
        + _bars(flows, scale, _frame(ticks, HEIGHT + 2 * HEADING))
        + "</svg>\n"
    )


def _open_svg(statement: Statement, curve: Sequence[Point], chart: Chart, height: int) -> str:
    currency = statement.wallet.currency
    described = (
        f"From {money(curve[0].balance, currency)} to {money(curve[-1].balance, currency)} {currency.unit}; "
        f"lowest {money(chart.lowest, currency)}, highest {money(chart.highest, currency)}."
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        ' aria-labelledby="chart-title chart-text">'
        f'<title id="chart-title">Balance, {chart.ends[0]} to {chart.ends[1]}</title>'
        f'<desc id="chart-text">{escape(described)}</desc>'
    )


def _frame(ticks: Sequence[Tick], top: int) -> Frame:
    left = round(max(len(tick.label) for tick in ticks) * DIGIT_WIDTH + 10)
    return Frame(left, top + TOP, WIDTH - left - RIGHT, HEIGHT - TOP - BOTTOM)


def _grid(ticks: Sequence[Tick], frame: Frame) -> str:
    left = frame.left
    return "".join(
        f'<path class="grid" d="M{left} {frame.y(tick.y)}H{frame.x(1)}"/>'
        f'<text x="{left - 8}" y="{frame.y(tick.y)}" dy=".35em" text-anchor="end">{escape(tick.label)}</text>'
        for tick in ticks
    )


def _ends(ends: tuple[str, str], frame: Frame) -> str:
    y = f"{frame.top + frame.height + BOTTOM - 6:g}"
    return (
        f'<text x="{frame.left}" y="{y}">{ends[0]}</text>'
        f'<text x="{frame.x(1)}" y="{y}" text-anchor="end">{ends[1]}</text>'
    )


def _balance(chart: Chart, frame: Frame) -> str:
    first_x, first_y = chart.points[0]
    steps = "".join(f"H{frame.x(px)}V{frame.y(py)}" for px, py in chart.points[1:])
    line = f"M{frame.x(first_x)} {frame.y(first_y)}{steps}"
    return (
        f"{_grid(chart.ticks, frame)}"
        f'<path class="area" d="{line}V{frame.y(chart.zero)}H{frame.x(first_x)}Z"/>'
        f'<path class="zero" d="M{frame.left} {frame.y(chart.zero)}H{frame.x(1)}"/>'
        f'<path class="line" d="{line}"/>'
        f"{_ends(chart.ends, frame)}"
    )


def _bars(flows: Sequence[Flow], scale: Scale, frame: Frame) -> str:
    width, zero = 1 / max(1, len(flows)), scale.height(0)

    def bar(number: int, kind: str, amount: int) -> str:
        left, right = frame.x((number + 0.1) * width), frame.x((number + 0.9) * width)
        base, tip = frame.y(zero), frame.y(scale.height(amount))
        return f'<path class="{kind}" d="M{left} {base}V{tip}H{right}V{base}Z"/>'

    drawn = "".join(
        bar(number, "credit", flow.credit_total) + bar(number, "debit", -flow.debit_total)
        for number, flow in enumerate(flows)
    )
    ends = (flows[0].day, flows[-1].day if len(flows) > 1 else "") if flows else ("no transactions", "")
    return (
        f"{_grid(scale.ticks, frame)}{drawn}"
        f'<path class="zero" d="M{frame.left} {frame.y(zero)}H{frame.x(1)}"/>{_ends(ends, frame)}'
    )
