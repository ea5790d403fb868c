"""The charts of a wallet as text of any width: in block characters, or in ASCII for terminals without them.

The geometry is that of documents/chart.py; amounts are written as everywhere on a screen. `+` and `-` mark credits and
debits, so no colour is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from wallet_cli.cli.screen.money import Money
from wallet_cli.cli.screen.widths import cells, padded
from wallet_cli.documents.chart import Chart, chart_of
from wallet_cli.domain.money import Currency, format_minor
from wallet_cli.operations.flows import Flow
from wallet_cli.operations.statements import Point, Statement

ROWS_ABOUT = 10
MIN_PLOT, MAX_PLOT = 8, 150
MIN_BAR = 6
"""If bars would be shorter, credits and debits get separate lines."""

MAX_BAR = 50


class Marks(NamedTuple):
    """The characters for drawing: fillings of a cell from below (eighths), and from above (halves); a bar; lines."""

    below: str
    above: str
    bar: str
    side: str
    tick: str
    corner: str
    across: str


BLOCKS = Marks(" ▁▂▃▄▅▆▇█", " ▀█", "█", "│", "┤", "└", "─")
ASCII = Marks(" ....####", " '#", "#", "|", "+", "+", "-")


def marks_for(encoding: str | None) -> Marks:
    """The characters that a terminal with this encoding can show."""
    try:
        "".join(BLOCKS).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS


def lines(
    statement: Statement,
    curve: Sequence[Point],
    flows: Sequence[Flow],
    unit: str,
    width: int,
    marks: Marks,
    money: Money,
) -> Iterator[str]:
    """Both charts; no line is longer than `width` columns, unless the amounts alone are."""
    currency = statement.wallet.currency
    yield f"Balance of {statement.wallet.name}, {currency.name}"
    yield ""
    yield from _balance(chart_of(statement, curve), currency, width, marks, money)
    yield ""
    if not flows:
        yield "No transactions"
        return
    yield f"Credits (+) and debits (-) by {unit}"
    yield ""
    yield from _bars(flows, unit, currency, width, marks, money)


def _balance(chart: Chart, currency: Currency, width: int, marks: Marks, money: Money) -> Iterator[str]:
    steps = len(chart.ticks) - 1
    rows_a_step = max(1, ROWS_ABOUT // steps)
    rows = steps * rows_a_step
    labels = [str(money.amount(tick.amount, currency.name)) for tick in chart.ticks]
    margin = max(map(cells, labels))
    columns = min(MAX_PLOT, max(MIN_PLOT, width - margin - 3))
    reach = _reach(chart, columns)
    zero = round(chart.zero * rows)
    for row in range(rows, -1, -1):
        label, side = (labels[row // rows_a_step], marks.tick) if row % rows_a_step == 0 else ("", marks.side)
        filled = "".join(_cell(row, zero, low * rows, high * rows, marks) for low, high in reach)
        yield f"{padded(label, margin, right=True)} {side}{filled}".rstrip()
    yield f"{'':{margin}} {marks.corner}{marks.across * columns}"
    left, right = chart.ends
    if len(left) + len(right) + 2 <= columns:
        yield f"{'':{margin}}  {left}{right:>{columns - len(left)}}"
    else:
        yield f"{left} to {right}"


def _reach(chart: Chart, columns: int) -> list[tuple[float, float]]:
    """The lowest and the highest balance in each column; from 0 on."""
    reach = [(chart.zero, chart.zero)] * columns
    for (x, y), (until, _) in pairwise(chart.points):
        first = min(columns - 1, int(x * columns))
        last = min(columns - 1, max(first, -int(-until * columns // 1) - 1))
        for column in range(first, last + 1):
            low, high = reach[column]
            reach[column] = min(low, y), max(high, y)
    return reach


def _cell(row: int, zero: int, low: float, high: float, marks: Marks) -> str:
    if row >= zero:
        full = len(marks.below) - 1
        eighths = round(min(1.0, max(0.0, high - row)) * full)
        # Even the smallest value is visible.
        return marks.below[max(eighths, int(row == zero and high > zero))]
    halves = round(min(1.0, max(0.0, row + 1 - low)) * (len(marks.above) - 1))
    return marks.above[max(halves, int(row == zero - 1 and low < zero))]


def _bars(
    flows: Sequence[Flow], unit: str, currency: Currency, width: int, marks: Marks, money: Money
) -> Iterator[str]:
    def signed(sign: str, amount: int) -> str:
        return str(money.amount(format_minor(amount, currency), currency.name, sign if amount else ""))

    days = [flow.day[:7] if unit == "month" else flow.day for flow in flows]
    credits_ = [signed("+", flow.credit_total) for flow in flows]
    debits = [signed("-", flow.debit_total) for flow in flows]
    most = max(1, *(flow.credit_total for flow in flows), *(flow.debit_total for flow in flows))
    margin, of_credits, of_debits = (max(map(cells, each)) for each in (days, credits_, debits))
    beside = min(MAX_BAR, (width - margin - of_credits - of_debits - 6) // 2)
    under = min(MAX_BAR, max(1, width - max(of_credits, of_debits) - 4))

    def bar(amount: int, length: int) -> str:
        return marks.bar * max(round(amount * length / most), int(amount > 0))

    for day, credit, debit, flow in zip(days, credits_, debits, flows, strict=True):
        into, out = flow.credit_total, flow.debit_total
        if beside >= MIN_BAR:
            left = f"{padded(credit, of_credits, right=True)} {bar(into, beside):{beside}}"
            yield f"{day:{margin}}  {left}  {padded(debit, of_debits, right=True)} {bar(out, beside)}".rstrip()
        else:
            yield day
            both = max(of_credits, of_debits)
            yield f"  {padded(credit, both, right=True)} {bar(into, under)}".rstrip()
            yield f"  {padded(debit, both, right=True)} {bar(out, under)}".rstrip()
