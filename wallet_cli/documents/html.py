"""A statement as one file of HTML: for the screen, light and dark, and for paper.

It contains no script and no external reference, and its policy lets a browser load nothing. All user text is escaped,
has its control characters shown, and is isolated, so that right-to-left text moves no figure.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from wallet_cli.documents import wording
from wallet_cli.documents.chart import svg
from wallet_cli.documents.wording import money
from wallet_cli.domain.clock import Clock
from wallet_cli.domain.model import Transaction
from wallet_cli.domain.period import format_time
from wallet_cli.operations.statements import Statement, Survey

ROWS_A_PART = 200
MAX_LINES = 200_000
"""What browsers can show, and people can read."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #626a73; --rule: #d9dde2; --paper: #fff; --accent: #1f5f8b }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e4e7ea; --soft: #98a1ab; --rule: #343a41; --paper: #15181b; --accent: #7fb8e0 }
}
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 60rem; padding: 2.5rem 1.5rem; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, "Noto Sans", sans-serif }
header { display: flex; flex-wrap: wrap; justify-content: space-between; align-items: end; gap: .5rem 2rem;
  border-bottom: 2px solid var(--ink); padding-bottom: 1rem }
header > div { min-width: 0; max-width: 100% }
h1 { margin: .1rem 0; font-size: 1.7rem; line-height: 1.2; font-weight: 600; overflow-wrap: anywhere }
h2 { margin: 2.2rem 0 .6rem; font-size: 1rem; font-weight: 600; break-after: avoid }
p { margin: 0 } small, .soft, footer, dt, th { color: var(--soft) }
.label { font-size: .8rem; letter-spacing: .06em; text-transform: uppercase; color: var(--soft) }
.period { font-variant-numeric: tabular-nums }
dl { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 1rem 2rem; margin: 1.4rem 0 }
dt { font-size: .85rem } dd { margin: 0; font-size: 1.2rem; font-variant-numeric: tabular-nums lining-nums;
  white-space: nowrap }
dd small { display: block; font-size: .8rem; font-weight: 400 } dl > :last-child dd { font-weight: 650 }
figure { margin: 0; break-inside: avoid } svg { display: block; width: 100%; height: auto }
svg text { font-size: 11px; fill: var(--soft); font-variant-numeric: tabular-nums }
.grid { stroke: var(--rule); stroke-width: .75 } .zero { stroke: var(--soft); stroke-width: 1 }
.area { fill: var(--accent); fill-opacity: .12 }
.line { fill: none; stroke: var(--accent); stroke-width: 1.6; stroke-linejoin: round }
table { width: 100%; border-collapse: collapse }
th { font-weight: 500; font-size: .85rem; text-align: left; vertical-align: bottom;
  border-bottom: 1px solid var(--ink) }
th, td { padding: .4rem 0 .4rem 1.4rem } th:first-child, td:first-child { padding-left: 0 }
td { vertical-align: top; border-bottom: 1px solid var(--rule) }
thead { display: table-header-group } tr { break-inside: avoid }
.kinds { width: auto; min-width: 45% } .kinds td { padding-top: .2rem; padding-bottom: .2rem }
.kinds td, .lines td { font-variant-numeric: tabular-nums lining-nums }
.kinds :is(th, td):nth-child(n + 2), .lines :is(th, td):nth-child(n + 3) { text-align: right; white-space: nowrap }
.lines td:first-child { white-space: nowrap } .lines td:nth-child(2) { width: 99%; overflow-wrap: anywhere }
.lines small { display: block; font-size: .8rem } .end td { font-weight: 600 }
.lines .end:last-child td { border-bottom: 2px solid var(--ink) }
footer { margin-top: 1.6rem; font-size: .85rem }
@media (max-width: 40rem) { body { padding: 1.2rem .8rem } th, td { padding-left: .7rem } }
@media print {
  @page { margin: 16mm 15mm 18mm; @bottom-right { content: counter(page) " / " counter(pages); font: 8pt sans-serif } }
  body { max-width: none; padding: 0; font-size: 9.5pt } h1 { font-size: 16pt } dd { font-size: 12pt }
  .area, .line, .grid, .zero { print-color-adjust: exact }
}
"""


def parts(statement: Statement) -> Iterator[str]:
    """The page, from its head to its end. Raises InvalidInput for more lines than a page can have."""
    statement.must_have_at_most(MAX_LINES, "a page", "give a shorter period, or use csv")
    survey = statement.survey()
    yield _top(statement)
    yield _summary(statement, survey)
    yield from _lines(statement)
    yield f"<footer><p>{escape(wording.closing_words(statement))}</p></footer>\n</body>\n</html>\n"


def _isolated(text: str) -> str:
    return f"<bdi>{escape(text)}</bdi>"


def _top(statement: Statement) -> str:
    start, end = wording.period_words(statement)
    title = wording.title(statement)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>Statement of {escape(title)}, from {escape(start)} to {escape(end)}</title>\n"
        f"<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<header><div><p class="label">Statement</p><h1>{_isolated(title)}</h1>'
        f'<p class="soft">{escape(wording.wallet_line(statement))}</p></div>'
        f'<p class="period"><span class="soft">from</span> {escape(start)}<br>'
        f'<span class="soft">to</span> {escape(end)}</p></header>\n'
    )


def _summary(statement: Statement, survey: Survey) -> str:
    opening, closing, currency = statement.opening, statement.closing, statement.wallet.currency
    credit, debit = closing.credit_total - opening.credit_total, closing.debit_total - opening.debit_total
    figures = (
        ("Opening balance", opening.balance, ""),
        ("Credits", credit, wording.lines_words(closing.credit_count - opening.credit_count)),
        ("Debits", debit, wording.lines_words(closing.debit_count - opening.debit_count)),
        ("Closing balance", closing.balance, currency.unit),
    )
    terms = "".join(
        f"<div><dt>{name}</dt><dd>{money(amount, currency)}<small>{escape(more)}</small></dd></div>"
        for name, amount, more in figures
    )
    chart = f"<h2>Balance</h2>\n<figure>{svg(statement, survey.curve)}</figure>\n"
    return f"<dl>{terms}</dl>\n{chart}{_kinds(statement, survey)}"


def _kinds(statement: Statement, survey: Survey) -> str:
    if not survey.totals:
        return ""
    rows = "".join(
        f"<tr><td>{wording.KIND_WORDS[total.kind]}</td><td>{total.number}</td>"
        f"<td>{money(total.amount, statement.wallet.currency)}</td></tr>\n"
        for total in survey.totals
    )
    return (
        '<h2>By kind</h2>\n<table class="kinds"><thead><tr><th scope="col">Kind</th><th scope="col">Number</th>'
        f'<th scope="col">Amount</th></tr></thead>\n<tbody>\n{rows}</tbody></table>\n'
    )


def _lines(statement: Statement) -> Iterator[str]:
    clock, currency = Clock(statement.zone), statement.wallet.currency
    yield (
        '<h2>Transactions</h2>\n<table class="lines"><thead><tr><th scope="col">Date</th><th scope="col">Details</th>'
        '<th scope="col">Credit</th><th scope="col">Debit</th><th scope="col">Balance</th></tr></thead>\n<tbody>\n'
    )
    yield _end_row("Opening balance", money(statement.opening.balance, currency))
    rows: list[str] = []
    for line in statement.lines():
        rows.append(_row(line, statement, clock))
        if len(rows) == ROWS_A_PART:
            yield "".join(rows)
            rows.clear()
    if not statement.line_count:
        rows.append('<tr><td></td><td class="soft">No transactions</td><td></td><td></td><td></td></tr>\n')
    yield "".join(rows)
    yield _end_row("Closing balance", money(statement.closing.balance, currency)) + "</tbody></table>\n"


def _end_row(name: str, balance: str) -> str:
    return f'<tr class="end"><td></td><td>{name}</td><td></td><td></td><td>{balance}</td></tr>\n'


def _row(line: Transaction, statement: Statement, clock: Clock) -> str:
    currency = statement.wallet.currency
    text, more = wording.story(line)
    day, minute = clock.stamp(line.at_us)
    amount = f"<td>{money(line.amount, currency)}</td>"
    cells = f"{amount}<td></td>" if line.is_credit else f"<td></td>{amount}"
    return (
        f'<tr><td><time datetime="{format_time(line.at_us)}">{day}<small>{minute}</small></time></td>'
        f"<td>{_isolated(text)}<small>{_isolated(more)}</small></td>"
        f"{cells}<td>{money(line.balance, currency)}</td></tr>\n"
    )
