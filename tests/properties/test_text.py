"""What is written can be read back: amounts, times, ids, and the bounds of periods."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from wallet_cli.cli.output import harmless
from wallet_cli.domain.ids import MAX_ID, format_transaction_id, parse_transaction_id
from wallet_cli.domain.money import (
    ISO_4217,
    MAX_AMOUNT_MINOR,
    MAX_TOTAL_MINOR,
    Currency,
    format_minor,
    parse_amount,
    parse_currency,
    parse_minimum,
)
from wallet_cli.domain.period import EPOCH, FIRST_US, LAST_US, format_end, format_time, parse_period, parse_time
from wallet_cli.errors import InvalidInput

REPEATABLE = settings(max_examples=150, deadline=None, derandomize=True, database=None)

currencies = st.one_of(
    st.sampled_from(sorted(ISO_4217)).map(parse_currency),
    st.integers(0, 8).map(lambda digits: Currency(f"PTS/{digits}", digits)),
)
ZONES = [ZoneInfo(name) for name in ("UTC", "Asia/Kolkata", "Europe/Berlin", "America/St_Johns", "Pacific/Apia")]
# Within the years that every zone can move by a day.
moments = st.integers(FIRST_US + 10**12, LAST_US - 10**12)


@REPEATABLE
@given(minor=st.integers(1, MAX_AMOUNT_MINOR), currency=currencies)
def test_an_amount_is_read_as_it_is_written(minor: int, currency: Currency) -> None:
    text = format_minor(minor, currency)
    assert parse_amount(text, currency) == minor
    assert len(text.partition(".")[2]) == currency.exponent


@REPEATABLE
@given(minor=st.integers(-MAX_AMOUNT_MINOR, MAX_AMOUNT_MINOR), currency=currencies)
def test_a_minimum_is_read_as_it_is_written(minor: int, currency: Currency) -> None:
    assert parse_minimum(format_minor(minor, currency), currency) == minor


@REPEATABLE
@given(a=st.integers(-MAX_TOTAL_MINOR, MAX_TOTAL_MINOR), b=st.integers(-MAX_TOTAL_MINOR, MAX_TOTAL_MINOR), c=currencies)
def test_no_two_amounts_are_written_alike(a: int, b: int, c: Currency) -> None:
    assert (format_minor(a, c) == format_minor(b, c)) == (a == b)


@REPEATABLE
@given(text=st.text(max_size=50), currency=currencies)
def test_any_text_is_an_amount_or_refused(text: str, currency: Currency) -> None:
    try:
        minor = parse_amount(text, currency)
    except InvalidInput:
        return
    assert 0 < minor <= MAX_AMOUNT_MINOR


@REPEATABLE
@given(at_us=st.integers(FIRST_US, LAST_US), zone=st.sampled_from(ZONES))
def test_a_time_is_read_as_it_is_written_in_any_zone(at_us: int, zone: ZoneInfo) -> None:
    span = parse_time(format_time(at_us), zone)
    assert span.start_us == at_us
    assert format_end(span.end_us) == format_time(at_us)


@REPEATABLE
@given(at_us=moments, zone=st.sampled_from(ZONES), chars=st.sampled_from([4, 7, 10, 13, 16, 19, 21, 23, 26]))
def test_a_moment_lies_within_every_unit_that_it_is_written_in(at_us: int, zone: ZoneInfo, chars: int) -> None:
    local = (EPOCH + timedelta(microseconds=at_us)).astimezone(zone)
    span = parse_time(local.replace(tzinfo=None).isoformat(timespec="microseconds")[:chars], zone)
    assert span.start_us <= at_us < span.end_us


@REPEATABLE
@given(text=st.text("0123456789-:T .,Z+", max_size=30))
def test_any_text_is_a_time_that_can_be_echoed_or_refused(text: str) -> None:
    try:
        span = parse_time(text, UTC)
    except InvalidInput:
        return
    assert parse_time(format_time(span.start_us), UTC).start_us == span.start_us
    assert parse_time(format_end(span.end_us), UTC).end_us == span.end_us


@REPEATABLE
@given(day=st.dates(datetime(1800, 1, 1).date(), datetime(2200, 1, 1).date()), zone=st.sampled_from(ZONES))
def test_days_follow_each_other_without_a_gap(day: datetime, zone: ZoneInfo) -> None:
    tomorrow = day + timedelta(days=1)
    try:
        today, following = parse_time(day.isoformat(), zone), parse_time(tomorrow.isoformat(), zone)
    except InvalidInput:
        # Apia went over the date line, and had no 30 December 2011.
        assert datetime(2011, 12, 30).date() in (day, tomorrow)
        return
    assert today.end_us == following.start_us
    period = parse_period(day.isoformat(), tomorrow.isoformat(), zone)
    assert (period.start_us, period.end_us) == (today.start_us, following.end_us)


@REPEATABLE
@given(wallet_id=st.integers(0, MAX_ID), seq=st.integers(0, MAX_ID))
def test_a_transaction_id_is_read_as_it_is_written(wallet_id: int, seq: int) -> None:
    assert parse_transaction_id(format_transaction_id(wallet_id, seq)) == (wallet_id, seq)


@REPEATABLE
@given(text=st.text(st.characters(codec=None), max_size=30))
def test_text_that_was_made_harmless_is_harmless_and_one_line(text: str) -> None:
    safe = harmless(text)
    assert safe.splitlines() in ([safe], [])
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000 for c in safe)
    assert harmless(safe) == safe
