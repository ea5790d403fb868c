"""Times: what a written time covers, from year to microsecond, in every kind of zone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_cli.domain.period import (
    DAY_US,
    FIRST_US,
    LAST_US,
    MAX_DURATION_DAYS,
    Period,
    Span,
    check_zone,
    day_of,
    day_start_us,
    format_end,
    format_time,
    parse_duration,
    parse_period,
    parse_start,
    parse_time,
    zone_of,
)
from wallet_cli.errors import InvalidInput

UTC = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")
KOLKATA = ZoneInfo("Asia/Kolkata")
SAO_PAULO = ZoneInfo("America/Sao_Paulo")


def echo(span: Span) -> tuple[str, str]:
    """First and last moment of what a time covers, as the interface writes them, without the zeros at the end."""
    return format_time(span.start_us).removesuffix(".000000Z"), format_end(span.end_us).removesuffix(".999999Z")


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2024", "2024-01-01T00:00:00", "2024-12-31T23:59:59"),
        ("2024-04", "2024-04-01T00:00:00", "2024-04-30T23:59:59"),
        ("2024-12", "2024-12-01T00:00:00", "2024-12-31T23:59:59"),
        ("2024-02", "2024-02-01T00:00:00", "2024-02-29T23:59:59"),
        ("2023-02", "2023-02-01T00:00:00", "2023-02-28T23:59:59"),
        ("1900-02", "1900-02-01T00:00:00", "1900-02-28T23:59:59"),
        ("2000-02-29", "2000-02-29T00:00:00", "2000-02-29T23:59:59"),
        ("2024-04-30", "2024-04-30T00:00:00", "2024-04-30T23:59:59"),
        ("2024-12-31", "2024-12-31T00:00:00", "2024-12-31T23:59:59"),
        ("2024-04-19T05", "2024-04-19T05:00:00", "2024-04-19T05:59:59"),
        ("2024-04-19T05:40", "2024-04-19T05:40:00", "2024-04-19T05:40:59"),
        ("2024-04-19T05:40:00", "2024-04-19T05:40:00", "2024-04-19T05:40:00"),
        ("2024-04-19 05:40:00", "2024-04-19T05:40:00", "2024-04-19T05:40:00"),
        ("2024-04-19T054000", "2024-04-19T05:40:00", "2024-04-19T05:40:00"),
        ("2024-04-19T05:40:01.5", "2024-04-19T05:40:01.500000Z", "2024-04-19T05:40:01.599999Z"),
        ("2024-04-19T05:40:01,50", "2024-04-19T05:40:01.500000Z", "2024-04-19T05:40:01.509999Z"),
        ("2024-04-19T05:40:01.500", "2024-04-19T05:40:01.500000Z", "2024-04-19T05:40:01.500999Z"),
        ("2024-04-19T05:40:01.123456", "2024-04-19T05:40:01.123456Z", "2024-04-19T05:40:01.123456Z"),
        # The ledger counts microseconds: what is finer is the microsecond that it lies in.
        ("2024-04-19T05:40:01.123456789", "2024-04-19T05:40:01.123456Z", "2024-04-19T05:40:01.123456Z"),
        ("1969-12-31T23:59:59", "1969-12-31T23:59:59", "1969-12-31T23:59:59"),
        ("0001-01-01", "0001-01-01T00:00:00", "0001-01-01T23:59:59"),
        ("9998", "9998-01-01T00:00:00", "9998-12-31T23:59:59"),
    ],
)
def test_a_time_covers_all_of_the_unit_that_it_is_written_in(text: str, first: str, last: str) -> None:
    assert echo(parse_time(text, UTC)) == (first, last)


NOW_US = parse_time("2024-03-31T12:00:00Z", UTC).start_us


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("now", "2024-03-31T12:00:00", "2024-03-31T12:00:00.000000Z"),
        ("12h", "2024-03-31T00:00:00", "2024-03-31T00:00:00.000000Z"),
        ("7d", "2024-03-24T12:00:00", "2024-03-24T12:00:00.000000Z"),
        ("2w", "2024-03-17T12:00:00", "2024-03-17T12:00:00.000000Z"),
        # The clocks of Berlin went forward that night: the day has 23 hours.
        ("today", "2024-03-30T23:00:00", "2024-03-31T21:59:59"),
        ("yesterday", "2024-03-29T23:00:00", "2024-03-30T22:59:59"),
    ],
)
def test_a_time_may_be_told_from_now_on_where_there_is_a_clock(text: str, first: str, last: str) -> None:
    span = parse_time(text, zone_of("Europe/Berlin"), lambda: NOW_US)
    assert echo(span) == (first, last) or (echo(span)[0], format_end(span.end_us)) == (first, last)
    with pytest.raises(InvalidInput):  # lines of a file have none: read again, they are the same
        parse_time(text, UTC)


@pytest.mark.parametrize("text", ["1m", "1M", "1y", "1min", "2 weeks"])
def test_how_long_ago_is_in_hours_days_or_weeks(text: str) -> None:
    """An `m` may be minutes or months."""
    with pytest.raises(InvalidInput) as caught:
        parse_time(text, UTC, lambda: NOW_US)
    assert "12h, 7d or 2w" in str(caught.value.hint)


@pytest.mark.parametrize("text", ["tomorrow", "-7d", "7 d", "7D", "3661d", "0d", "9999999999d", "٧d", "Now", "now "])
def test_what_is_told_from_now_on_is_one_of_few(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_time(text, UTC, lambda: NOW_US)


@pytest.mark.parametrize("text", ["9999", "9999-12", "9999-12-31", "9999-12-31T23:59:59.999999"])
def test_the_last_moment_that_can_be_written_is_covered_too(text: str) -> None:
    span = parse_time(text, UTC)
    assert format_end(span.end_us) == "9999-12-31T23:59:59.999999Z"
    assert FIRST_US <= span.start_us <= LAST_US


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("2024-04-19T05:40:00Z", "2024-04-19T05:40:00"),
        ("2024-04-19T05:40:00+05:30", "2024-04-19T00:10:00"),
        ("2024-04-19T05:40:00+0530", "2024-04-19T00:10:00"),
        ("2024-04-19T05:40:00-08", "2024-04-19T13:40:00"),
        ("2024-04-19T05:40-03:00", "2024-04-19T08:40:00"),
        ("2024-01-01T00+14:00", "2023-12-31T10:00:00"),
    ],
)
def test_an_offset_wins_over_the_zone(text: str, first: str) -> None:
    assert echo(parse_time(text, BERLIN))[0] == first


@pytest.mark.parametrize(
    ("text", "zone", "first", "last"),
    [
        ("2024-04-30", KOLKATA, "2024-04-29T18:30:00", "2024-04-30T18:29:59"),
        ("2024-04", KOLKATA, "2024-03-31T18:30:00", "2024-04-30T18:29:59"),
        ("2024-01-15T12:00", BERLIN, "2024-01-15T11:00:00", "2024-01-15T11:00:59"),
        ("2024-07-15T12:00", BERLIN, "2024-07-15T10:00:00", "2024-07-15T10:00:59"),
        ("2024", BERLIN, "2023-12-31T23:00:00", "2024-12-31T22:59:59"),
        # Days of 23 and of 25 hours, and the months that hold them.
        ("2024-03-31", BERLIN, "2024-03-30T23:00:00", "2024-03-31T21:59:59"),
        ("2024-10-27", BERLIN, "2024-10-26T22:00:00", "2024-10-27T22:59:59"),
        ("2024-03", BERLIN, "2024-02-29T23:00:00", "2024-03-31T21:59:59"),
        # The clocks go from 02:00 to 03:00: the hours beside the gap are whole.
        ("2024-03-31T01", BERLIN, "2024-03-31T00:00:00", "2024-03-31T00:59:59"),
        ("2024-03-31T03", BERLIN, "2024-03-31T01:00:00", "2024-03-31T01:59:59"),
        # The hour that happens twice: from the first of them as a start, to the second of them as an end.
        ("2024-10-27T02", BERLIN, "2024-10-27T00:00:00", "2024-10-27T01:59:59"),
        ("2024-10-27T02:30", BERLIN, "2024-10-27T00:30:00", "2024-10-27T01:30:59"),
        ("2024-10-27T02:30:15", BERLIN, "2024-10-27T00:30:15", "2024-10-27T01:30:15"),
        ("2024-10-27T03", BERLIN, "2024-10-27T02:00:00", "2024-10-27T02:59:59"),
        # With an offset there is no doubt which of the two is meant.
        ("2024-10-27T02:30+02:00", BERLIN, "2024-10-27T00:30:00", "2024-10-27T00:30:59"),
        ("2024-10-27T02:30+01:00", BERLIN, "2024-10-27T01:30:00", "2024-10-27T01:30:59"),
        # A day that starts at 01:00, because its midnight was skipped, and the day before it.
        ("2018-11-04", SAO_PAULO, "2018-11-04T03:00:00", "2018-11-05T01:59:59"),
        ("2018-11-03", SAO_PAULO, "2018-11-03T03:00:00", "2018-11-04T02:59:59"),
    ],
)
def test_a_zone_rules_times_without_an_offset(text: str, zone: tzinfo, first: str, last: str) -> None:
    assert echo(parse_time(text, zone)) == (first, last)


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("2024-02-30", UTC),
        ("2023-02-29", UTC),
        ("1900-02-29", UTC),
        ("2024-04-31", UTC),
        ("2024-13", UTC),
        ("2024-00", UTC),
        ("2024-01-00", UTC),
        ("0000", UTC),
        ("2024-04-19T24:00", UTC),
        ("2024-04-19T23:60", UTC),
        ("2016-12-31T23:59:60", UTC),
        ("2024-04-19T05:40+25:00", UTC),
        ("2024-04-19T05:40+05:99", UTC),
        ("2024-03-31T02:30", BERLIN),
        ("2024-03-31T02", BERLIN),
        ("2018-11-04T00:30", SAO_PAULO),
    ],
)
def test_a_time_that_does_not_exist_is_refused(text: str, zone: tzinfo) -> None:
    with pytest.raises(InvalidInput, match="does not exist"):
        parse_time(text, zone)


@pytest.mark.parametrize("text", ["2024-10-27T02", "2024-10-27T02:30", "2024-10-27T02:59:59", "2024-10-27T02:00:00.5"])
def test_a_moment_that_comes_twice_is_not_guessed(text: str) -> None:
    """When a transaction was: for a bound of a period, it is the first of the two."""
    with pytest.raises(InvalidInput, match="comes twice") as caught:
        parse_start(text, BERLIN)
    assert "offset" in str(caught.value.hint)
    for offset in ("+02:00", "+01:00", "Z"):
        parse_start(text + offset, BERLIN)
    assert parse_start(text, UTC) == parse_start(f"{text}Z", UTC)


@pytest.mark.parametrize("text", ["2024-10-27", "2024-10-27T01:59:59", "2024-10-27T03:00", "2024-10", "2024"])
def test_the_moments_beside_it_come_once(text: str) -> None:
    assert parse_start(text, BERLIN) == parse_time(text, BERLIN).start_us


@pytest.mark.parametrize("text", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00"])
def test_a_time_that_cannot_be_echoed_in_utc_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_time(text, UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "yesterday",
        "24",
        "2024-4",
        "2024-04-1",
        "20240419",
        "2024-W16",
        "2024-110",
        "19.04.2024",
        "04/19/2024",
        "2024-04-19T",
        "2024-04-19T5",
        "2024-04-19T05:4",
        "2024-04-19T05:40:00.",
        "2024-04-19T05:40:00.1234567890",
        "2024-04-19T05:40Z+01:00",
        "2024-04-19T05:40 Z",
        " 2024-04-19",
        "2024-04-19\n",
        "２０２４",
        "1713505200",
        "-2024",
        "12024",
        "2" * 5000,
    ],
    ids=lambda text: ascii(text)[:32],
)
def test_text_that_is_not_a_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="not a time") as caught:
        parse_time(text, UTC)
    assert len(caught.value.message) < 200


def test_the_period_is_half_open_and_either_bound_may_be_left_out() -> None:
    day = parse_time("2024-04-30", UTC)
    assert parse_period("2024-04-30", "2024-04-30", UTC) == Period(day.start_us, day.end_us)
    assert parse_period("2024-04-30", None, UTC) == Period(day.start_us, None)
    assert parse_period(None, "2024-04-30", UTC) == Period(None, day.end_us)
    assert parse_period(None, None, UTC) == Period(None, None)
    assert day.end_us - day.start_us == 86_400_000_000


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2024-05-01", "2024-04-30"),
        ("2024-04-30T12", "2024-04-30T11"),
        ("2024-04-30T12:00:00.000001", "2024-04-30T12:00:00.000000"),
        ("2024-04-30T00:00+05:30", "2024-04-29T00:00-05:00"),
    ],
)
def test_a_reversed_period_is_refused(start: str, end: str) -> None:
    with pytest.raises(InvalidInput, match="ends before it starts"):
        parse_period(start, end, UTC)


def test_a_day_may_end_with_a_moment_of_itself() -> None:
    # Reversed by their first moments alone; the end covers the whole day.
    period = parse_period("2024-04-30T12", "2024-04-30", UTC)
    assert period.start_us is not None
    assert period.end_us is not None
    assert period.end_us - period.start_us == 12 * 3_600_000_000


@pytest.mark.parametrize(
    "text", ["2024", "2024-02", "2024-02-29", "2024-10-27T02", "2024-10-27T02:30:01", "9999-12-30"]
)
def test_an_echoed_bound_given_again_is_the_same_bound(text: str) -> None:
    span = parse_time(text, BERLIN)
    assert parse_time(format_time(span.start_us), BERLIN).start_us == span.start_us
    assert parse_time(format_end(span.end_us), BERLIN).end_us == span.end_us


def test_a_time_is_written_in_utc_to_the_microsecond() -> None:
    assert format_time(0) == "1970-01-01T00:00:00.000000Z"
    assert format_time(-1) == "1969-12-31T23:59:59.999999Z"
    assert format_time(1_795_341_600_000_000) == "2026-11-22T10:00:00.000000Z"
    assert format_end(1_795_341_600_000_000) == "2026-11-22T09:59:59.999999Z"
    assert format_time(FIRST_US) == "0001-01-01T00:00:00.000000Z"
    assert format_time(LAST_US) == "9999-12-31T23:59:59.999999Z"


@pytest.mark.parametrize(
    ("text", "length_us"),
    [
        ("1s", 1_000_000),
        ("90s", 90_000_000),
        ("15m", 15 * 60_000_000),
        ("12h", 12 * 3_600_000_000),
        ("7d", 7 * DAY_US),
        ("2w", 14 * DAY_US),
        ("007d", 7 * DAY_US),
        (f"{MAX_DURATION_DAYS}d", MAX_DURATION_DAYS * DAY_US),
    ],
)
def test_a_length_of_time_is_a_number_and_a_unit(text: str, length_us: int) -> None:
    assert parse_duration(text) == length_us


@pytest.mark.parametrize(
    "text",
    [
        *["", "d", "7", "0d", "-7d", "+7d", "7 d", " 7d", "7D", "1.5d", "7y", "7d12h", "１d", "7d\n", "P7D", "1e3s"],
        *[f"{MAX_DURATION_DAYS + 1}d", f"{MAX_DURATION_DAYS * 24 + 1}h", "9" * 5000 + "s"],
    ],
    ids=lambda text: ascii(text)[:32],
)
def test_any_other_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="not a duration") as caught:
        parse_duration(text)
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("at_us", "start_us"),
    [
        (0, 0),
        (1, 0),
        (DAY_US - 1, 0),
        (DAY_US, DAY_US),
        (-1, -DAY_US),
        (-DAY_US, -DAY_US),
        (-DAY_US - 1, -2 * DAY_US),
        (FIRST_US, FIRST_US),
    ],
)
def test_a_day_begins_at_midnight_utc(at_us: int, start_us: int) -> None:
    assert day_start_us(at_us) == start_us
    assert format_time(day_start_us(at_us)).endswith("T00:00:00.000000Z")


HOUR_US = 3_600_000_000


@pytest.mark.parametrize(
    ("zone", "text", "minutes"),
    [
        ("Europe/Berlin", "2024-10-27T02", 120),
        ("Europe/Berlin", "2024-10-27T02:30", 61),
        ("Europe/Berlin", "2024-10-27T01", 60),
        # The clocks of Lord Howe go back by half an hour, from 02:00 to 01:30.
        ("Australia/Lord_Howe", "2024-04-07T01", 90),
        ("Australia/Lord_Howe", "2024-04-07T01:30", 31),
        ("Australia/Lord_Howe", "2024-04-07T02", 60),
        # From 00:01 to 23:01 of the day before.
        ("America/St_Johns", "2010-11-06T23", 120),
        ("America/St_Johns", "2010-11-07T00", 120),
    ],
)
def test_a_time_covers_all_of_a_unit_that_comes_twice(zone: str, text: str, minutes: int) -> None:
    span = parse_time(text, ZoneInfo(zone))
    assert span.end_us - span.start_us == minutes * 60_000_000


@pytest.mark.parametrize(
    ("zone", "at", "day", "start", "hours"),
    [
        ("UTC", "2024-04-30T23:59:59.999999Z", "2024-04-30", "2024-04-30T00:00:00", 24),
        ("Asia/Kolkata", "2024-04-30T18:29:59.999999Z", "2024-04-30", "2024-04-29T18:30:00", 24),
        ("Asia/Kolkata", "2024-04-30T18:30:00Z", "2024-05-01", "2024-04-30T18:30:00", 24),
        ("America/New_York", "2024-03-10T12:00:00Z", "2024-03-10", "2024-03-10T05:00:00", 23),
        ("America/New_York", "2024-11-03T12:00:00Z", "2024-11-03", "2024-11-03T04:00:00", 25),
        # The clocks of Lord Howe go forward by half an hour.
        ("Australia/Lord_Howe", "2024-10-05T20:00:00Z", "2024-10-06", "2024-10-05T13:30:00", 23.5),
        # Samoa had no 30 December 2011.
        ("Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29", "2011-12-29T10:00:00", 24),
        ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31", "2011-12-30T10:00:00", 24),
        # Midnight is skipped: the day starts at 01:00, an hour after which it would have.
        ("America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04", "2018-11-04T03:00:00", 23),
        # From 23:30 to 00:30: at half past, and not when half an hour of the new day is over.
        ("America/Toronto", "1919-03-31T04:45:00Z", "1919-03-31", "1919-03-31T04:30:00", 23.5),
        # 24:00 becomes 23:00, which is of the same day once more.
        ("America/Sao_Paulo", "2018-02-18T02:30:00Z", "2018-02-17", "2018-02-17T02:00:00", 25),
        # Midnight comes twice, a minute after the first one: all that follows that is of the new day.
        ("America/St_Johns", "2010-11-07T03:00:00Z", "2010-11-07", "2010-11-07T02:30:00", 25),
        # The first and last hours that there are have no date everywhere.
        ("America/New_York", "0001-01-01T00:00:00Z", "0001-01-01", "0001-01-01T00:00:00", None),
        ("Asia/Kolkata", "9999-12-31T23:00:00Z", "9999-12-31", "9999-12-30T18:30:00", None),
    ],
)
def test_the_day_of_a_moment(zone: str, at: str, day: str, start: str, hours: float | None) -> None:
    at_us = parse_start(at, UTC)
    found = day_of(at_us, zone_of(zone))
    assert found.text == day
    assert format_time(found.start_us) == f"{start}.000000Z"
    assert day_start_us(at_us, zone_of(zone)) == found.start_us
    assert hours is None or found.end_us - found.start_us == hours * HOUR_US
    if hours is not None:
        assert parse_time(day, zone_of(zone)) == Span(found.start_us, found.end_us)


ODD_ZONES = (
    *("UTC", "Asia/Kolkata", "America/New_York", "Pacific/Apia", "Australia/Lord_Howe", "America/Sao_Paulo"),
    *("America/St_Johns", "Africa/Cairo", "Pacific/Kiritimati", "America/Toronto", "Antarctica/Troll", "Europe/Dublin"),
)


@given(st.sampled_from(ODD_ZONES), st.integers(parse_start("1900", UTC), parse_start("2100", UTC)))
def test_a_day_is_what_its_date_means_and_the_next_one_follows_it(zone: str, at_us: int) -> None:
    place = zone_of(zone)
    day = day_of(at_us, place)
    assert day.start_us <= at_us < day.end_us
    assert parse_time(day.text, place) == Span(day.start_us, day.end_us)
    assert day_of(day.start_us, place) == day_of(day.end_us - 1, place) == day
    following = day_of(day.end_us, place)
    assert following.start_us == day.end_us
    assert following.text > day.text
    # A month has the days that its name begins the names of.
    assert parse_time(day.text[:7], place).start_us <= day.start_us < parse_time(day.text[:7], place).end_us


@given(st.sampled_from(("America/St_Johns", "America/Sao_Paulo", "America/Toronto", "Pacific/Apia")), st.data())
def test_days_follow_each_other_around_each_change_of_the_clocks(zone: str, data: st.DataObject) -> None:
    place = zone_of(zone)
    year = data.draw(st.integers(1900, 2037))
    at_us = parse_start(f"{year}", UTC)
    while at_us < parse_start(f"{year + 1}", UTC):
        day = day_of(at_us, place)
        assert day.start_us <= at_us < day.end_us
        at_us = day.end_us


def test_a_zone_is_asked_for_only_where_a_time_has_no_offset() -> None:
    asked = []

    def zone() -> tzinfo:
        asked.append(1)
        return KOLKATA

    assert parse_time("2024-04-30T00:00Z", zone).start_us == parse_start("2024-04-30", UTC)
    assert parse_period("2024-04-30T00:00+00:00", "2024-04-30T12Z", zone).start_us
    assert not asked
    assert parse_start("2024-04-30", zone) == parse_start("2024-04-30", KOLKATA)
    assert asked


@pytest.mark.parametrize(
    "name", ["", "system", "Mars/Base", "../UTC", "/etc/localtime", "right/UTC", "posix/UTC", "utc", "IST-5:30", "A\0"]
)
def test_what_is_no_time_zone(name: str) -> None:
    with pytest.raises(InvalidInput):
        check_zone(name)


@pytest.mark.parametrize(
    "text",
    [
        "2024-04-19T05:40:01.123456Z",
        "1969-07-20T20:17:40.500000Z",
        "0001-01-01T00:00:00.000000Z",
        "9999-12-31T23:59:59.999999Z",
        "2024-04-19",
        "2024-04-19T05:40:00+05:30",
    ],
)
def test_the_quick_way_to_read_a_time_is_as_the_slow_one(text: str) -> None:
    assert parse_start(text, BERLIN) == parse_time(text, BERLIN).start_us


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-30T05:40:01.123456Z",
        "2024-04-19T25:40:01.123456Z",
        "2024-04-19T05:40:01.12345xZ",
        "2024-W16-5T05:40:01.12Z",
        "2024-04-19T054001.123456789",
        "２024-04-19T05:40:01.123456Z",
        "2024-04-19T05:40:60.000000Z",
        "",
    ],
)
def test_what_is_no_time_is_none_the_quick_way_either(text: str) -> None:
    def outcome(read: Callable[[str, tzinfo | None], object]) -> object:
        try:
            found = read(text, UTC)
        except InvalidInput as error:
            return error.message
        return found.start_us if isinstance(found, Span) else found

    assert outcome(parse_start) == outcome(parse_time)
