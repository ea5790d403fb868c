"""A statement as HTML: well formed, whole in itself, and nothing that a person wrote is more than text in it."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.statements import INR, START_US, Page, Step, statement_of

from wallet_cli import documents
from wallet_cli.documents.html import ROWS_A_PART
from wallet_cli.domain.money import Currency
from wallet_cli.domain.period import DAY_US, FIRST_US, LAST_US, Period
from wallet_cli.operations.statements import Statement

NAMESPACE = "http://www.w3.org/2000/svg"
HOSTILE = (
    "<script>alert(1)</script>", "</td></tr></table><img src=x onerror=alert(1)>", "\"' onload=x", "&lt;b&gt;",
    "</style><style>*{display:none}", "a\x1b[31m\x00\n\u202e\u2066b", "url(https://example.org/x)", "]]>-->",
    "x" * 1000,
)  # fmt: skip


def html_of(statement: Statement) -> str:
    return "".join(documents.as_html(statement))


def harmless_page(text: str) -> Page:
    """A page that holds no script and names nothing outside itself, whatever its text says."""
    page = Page(text)
    assert not page.tags & {"script", "img", "link", "iframe", "object", "form", "a", "image", "use", "base"}
    names = {name for name, _ in page.attributes}
    assert not {name for name in names if name.startswith("on")} | names & {"src", "href", "style", "xlink:href"}
    assert {value for _, value in page.attributes if value and re.search(r"https?:|url\(", value)} == {NAMESPACE}
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert not re.search(r"https?:|url\(|@import|expression", style)
    return page


def test_the_policy_lets_a_browser_load_nothing() -> None:
    page = harmless_page(html_of(statement_of([Step(100)])))
    assert (
        "content",
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    ) in page.attributes
    assert "<script" not in html_of(statement_of([Step(100)])).lower()


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_what_a_person_wrote_is_text(text: str) -> None:
    printed = html_of(statement_of([Step(100, note=text), Step(-40, key=text[:9])], name=text))
    page = harmless_page(printed)
    assert printed.lower().count("<script") == printed.count("<img") == 0
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", printed)
    if text.isprintable():
        assert text in page.text
    else:
        assert r"a\x1b[31m\x00\n\u202e\u2066b" in page.text


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(note=st.text(max_size=40), name=st.text(max_size=20), key=st.text(max_size=10))
def test_no_text_breaks_the_page(note: str, name: str, key: str) -> None:
    harmless_page(html_of(statement_of([Step(100, note=note, key=key)], name=name)))


def test_what_was_written_from_right_to_left_stands_apart() -> None:
    printed = html_of(statement_of([Step(100, note="שלום 500.00")], name="محمد"))
    assert "<h1><bdi>محمد</bdi></h1>" in printed
    assert "<td><bdi>שלום 500.00</bdi>" in printed


@pytest.mark.parametrize(
    ("steps", "before", "currency", "balances"),
    [
        ([], 0, INR, ["0.00", "0.00"]),
        ([], 5_000, INR, ["50.00", "50.00"]),
        ([Step(1)], 0, INR, ["0.00", "0.01", "0.01"]),
        ([Step(-123_456_789)], 0, INR, ["0.00", "−1 234 567.89", "−1 234 567.89"]),
        ([Step(-5), Step(5)], 5, INR, ["0.05", "0.00", "0.05", "0.05"]),
        ([Step(10**15)], 0, Currency("PTS/0", 0), ["0", "1 000 000 000 000 000", "1 000 000 000 000 000"]),
        ([Step(10**15 + 1)], 0, Currency("SATS/8", 8), ["0.00000000", "10 000 000.00000001", "10 000 000.00000001"]),
    ],
    ids=["nothing", "nothing in the period", "one", "overdrawn", "to zero and back", "no fraction", "eight digits"],
)
def test_each_line_has_its_balance(steps: list[Step], before: int, currency: Currency, balances: list[str]) -> None:
    page = harmless_page(html_of(statement_of(steps, before=before, currency=currency)))
    lines = [row for row in page.rows if len(row) == 5]
    assert [row[4].replace("\u202f", " ") for row in lines if row[4]] == ["Balance", *balances]
    assert (lines[1][1], lines[-1][1]) == ("Opening balance", "Closing balance")
    assert ("No transactions" in page.text) == (not steps)


def test_times_and_periods_are_told_in_the_readers_zone() -> None:
    day_us = START_US - START_US % DAY_US
    midnight_us = day_us - 19_800_000_000  # in India
    statement = statement_of(
        [Step(100, 9 * 3_600_000_000)],
        period=Period(midnight_us, midnight_us + 30 * DAY_US),
        zone=ZoneInfo("Asia/Kolkata"),
    )
    page = harmless_page(html_of(statement))
    assert "from 2026-11-22to 2026-12-21" in page.text
    assert "2026-11-2300:30" in page.text
    assert ("datetime", "2026-11-22T19:00:00.000000Z") in page.attributes
    assert "Times are in Asia/Kolkata." in page.text


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Midway"])
def test_a_period_may_be_all_the_time_there_is(zone: str) -> None:
    statement = statement_of([Step(100)], period=Period(FIRST_US, LAST_US + 1), zone=ZoneInfo(zone))
    page = harmless_page(html_of(statement))
    assert "9999-12-31" in page.text


def test_the_lines_come_in_parts_and_are_never_kept() -> None:
    """Two passes over the lines, and of a long statement no part has more than a few of them."""
    statement = statement_of([Step(100, note="n" * 100)] * (3 * ROWS_A_PART))
    passes = []
    told = statement._replace(read=lambda: passes.append(1) or statement.read())  # type: ignore[func-returns-value]
    parts = list(documents.as_html(told))
    assert len(passes) == 2
    assert max(part.count("<tr") for part in parts) == ROWS_A_PART
    harmless_page("".join(parts))


def test_for_paper_the_head_of_the_table_repeats_and_rows_stay_whole() -> None:
    printed = html_of(statement_of([Step(100)]))
    assert "thead { display: table-header-group } tr { break-inside: avoid }" in printed
    assert "@page {" in printed
