"""Times and periods: TIME text to microseconds since 1970 in UTC, and back.

In the code, a moment is an `int` of microseconds (`…_us`) and a period is half-open: `start_us <= at < end_us`. People
write the last moment that they mean, so a time used as an end covers the whole unit in which it is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

from wallet_cli.errors import Damaged, InvalidInput, shown
from wallet_cli.named_tuples import NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
LAST_US = (datetime.max.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
FIRST_US = (datetime.min.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
MAX_TIME_CHARS = 40

_TIME = (
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:[T ](?P<hour>\d\d)(?::?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?)?"
    r"(?P<offset>Z|[+-]\d\d(?::?\d\d)?)?)?)?)?"
)


DAY_US = 86_400_000_000
MAX_DURATION_DAYS = 3660
ZONE_HINT = "an IANA name, such as Asia/Kolkata, or UTC"
_DURATION = r"(\d{1,9})([smhdw])"
_AGO = r"\d{1,9}[shdw]"
"""How long ago something was. An `m` could be minutes or months."""
AGO_HINT = "how long ago is 12h, 7d or 2w; for a month or a year write the date, for minutes the time"
_UNIT_US = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": DAY_US, "w": 7 * DAY_US}


UTC_NAME = "UTC"

Zone = tzinfo | Callable[[], tzinfo]
"""A time zone, or a function that returns it: called only where a text has no offset."""


class Span(NamedTuple):
    """The span of a written TIME: its first moment, and the first one after it. Microseconds since 1970, UTC."""

    start_us: int
    end_us: int


class Day(NamedTuple):
    """A day of a time zone: its date, its first moment, and the first one after it. Microseconds since 1970, UTC."""

    text: str
    start_us: int
    end_us: int


class Period(NamedTuple):
    """A half-open period. A bound is None if it was not given."""

    start_us: int | None
    end_us: int | None


def parse_time(text: str, zone: Zone, now_us: Callable[[], int] | None = None, *, once: bool = False) -> Span:
    """Read an ISO 8601 time of any precision from year to microsecond.

    `zone` is used where the text has no offset. With a clock, `now_us`, it may also be `now`, `today`, `yesterday`, or
    how long ago (`12h`, `7d`, `2w`). Raises InvalidInput for text that is not a time, and for a time that does not
    exist: 30 February, or an hour or a day skipped when the clocks go forward; with `once`, also for an hour that
    comes twice, when they go back (otherwise the first one is meant).
    """
    if now_us is not None and is_relative(text):
        return _relative(text, zone, now_us())
    match = re.fullmatch(_TIME, text, re.ASCII) if len(text) <= MAX_TIME_CHARS else None
    if match is None:
        words = "" if now_us is None else "; or now, today, yesterday, 7d (7 days ago), 12h"
        if words and re.fullmatch(r"\d{1,9} ?[a-zA-Z]+", text):
            raise InvalidInput(f"not a time: {shown(text)}", hint=AGO_HINT)
        raise InvalidInput(
            f"not a time: {shown(text)}",
            hint=f"ISO 8601, such as 2024-04-30, 2024-04-19T05:40 or 2024-04-19T05:40:00Z{words}",
        )
    part = match.groupdict()
    try:
        naive = datetime(
            int(part["year"]),
            int(part["month"] or 1),
            int(part["day"] or 1),
            int(part["hour"] or 0),
            int(part["minute"] or 0),
            int(part["second"] or 0),
            int((part["fraction"] or "0").ljust(6, "0")[:6]),
        )
        place = _offset(part["offset"]) if part["offset"] else zone if isinstance(zone, tzinfo) else zone()
        start_us = _utc_us(naive, place, fold=0) if part["hour"] else _midnight_us(naive, place)
        # A day whose midnight is skipped starts when the clocks have gone forward; a skipped hour does not exist.
        if part["hour"] and not part["offset"] and _wall_time(start_us, place) != naive:
            raise InvalidInput(
                f"this time does not exist: {shown(text)}",
                hint="the clocks skip it when they go forward; give an offset",
            )
        if once and part["hour"] and not part["offset"] and _utc_us(naive, place, fold=1) != start_us:
            raise InvalidInput(
                f"this time comes twice: {shown(text)}",
                hint="the clocks go back then; give an offset, as in 2024-10-27T02:30+02:00",
            )
        end_us = _end_us(naive, place, part)
        if not FIRST_US <= start_us < end_us <= LAST_US + 1:
            raise OverflowError
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"this time does not exist: {shown(text)}", hint="check the date, the hour and the offset"
        ) from None
    return Span(start_us, end_us)


def needs_zone(text: str) -> bool:
    """Whether it depends on the time zone what a TIME means."""
    match = re.fullmatch(_TIME, text, re.ASCII)
    return text in ("today", "yesterday") if match is None else match["offset"] is None


def is_relative(text: str) -> bool:
    """Whether a TIME means another one each time that it is read: `now`, `today`, `yesterday`, `7d`."""
    return text in ("now", "today", "yesterday") or re.fullmatch(_AGO, text, re.ASCII) is not None


def _relative(text: str, zone: Zone, now_us: int) -> Span:
    """What such a TIME covers: a day of `zone`, or the one microsecond so long ago. Raises InvalidInput."""
    if text in ("today", "yesterday"):
        place = zone if isinstance(zone, tzinfo) else zone()
        day = day_of(now_us, place)
        if text == "yesterday":
            day = day_of(day.start_us - 1, place)
        return Span(day.start_us, day.end_us)
    try:
        moment_us = now_us if text == "now" else now_us - parse_duration(text)
    except InvalidInput as error:
        raise InvalidInput(f"not a time: {shown(text)}", hint=f"{AGO_HINT}; at most {MAX_DURATION_DAYS}d") from error
    return Span(moment_us, moment_us + 1)


def parse_duration(text: str) -> int:
    """Read a duration (`90s`, `15m`, `12h`, `7d`, `2w`) as microseconds, 1 second to ten years.

    Raises InvalidInput.
    """
    match = re.fullmatch(_DURATION, text, re.ASCII)
    length_us = int(match[1]) * _UNIT_US[match[2]] if match else 0
    if not 0 < length_us <= MAX_DURATION_DAYS * DAY_US:
        raise InvalidInput(
            f"not a duration: {shown(text)}",
            hint=f"such as 90s, 15m, 12h, 7d or 2w; at most {MAX_DURATION_DAYS}d",
        )
    return length_us


@lru_cache(maxsize=64)
def zone_of(name: str) -> tzinfo:
    """The time zone of an IANA name. Raises InvalidInput."""
    if name == UTC_NAME:
        return UTC
    from zoneinfo import ZoneInfo  # a ledger in UTC does not need its import

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise InvalidInput(f"not a time zone: {shown(name)}", hint=ZONE_HINT) from None


def check_zone(name: str) -> str:
    """Return the name of a time zone, if it is an IANA name; raises InvalidInput.

    Other files in the same folder (`localtime`, `right/UTC`) exist on this machine alone, or count leap seconds.
    """
    from importlib.resources import files

    # The package's list, not this machine's files: the ledger may be used on another machine.
    if name not in (files("tzdata") / "zones").read_text("ascii").split():
        raise InvalidInput(f"not a time zone: {shown(name)}", hint=ZONE_HINT)
    zone_of(name)
    return name


def day_of(at_us: int, zone: tzinfo) -> Day:
    """The day of `zone` that a moment is in.

    A day is the time between one midnight and the next. Days follow each other without a gap, although a wall clock
    that is set back at midnight shows the day before once more.
    """
    if zone is UTC:
        start_us = at_us - at_us % DAY_US
        return Day(format_time(start_us)[:10], start_us, start_us + DAY_US)
    try:
        day = _wall_time(at_us, zone).date()
    except OverflowError:  # in the first or last hours of the calendar, a zone may have no date
        day = date.min if at_us < 0 else date.max
    while at_us < (start_us := _date_us(day, zone)) and day > date.min:
        day -= timedelta(days=1)
    while at_us >= (end_us := _date_us(day + timedelta(days=1), zone) if day < date.max else LAST_US + 1):
        if day == date.max:
            break
        day, start_us = day + timedelta(days=1), end_us
    return Day(day.isoformat(), start_us, end_us)


def day_start_us(at_us: int, zone: tzinfo = UTC) -> int:
    """The midnight at which a moment's day began."""
    return day_of(at_us, zone).start_us


@lru_cache(maxsize=1024)
def _date_us(day: date, zone: tzinfo) -> int:
    """When a day begins, within the range of moments."""
    if day == date.min:
        return FIRST_US
    try:
        return _midnight_us(datetime(day.year, day.month, day.day), zone)
    except OverflowError:
        return LAST_US + 1


def parse_start(text: str, zone: Zone) -> int:
    """The first moment of a written TIME; fast for the form that this program writes."""
    if len(text) == 27 and text[4] == text[7] == "-" and text[10] == "T" and text[19] == "." and text[26] == "Z":
        try:
            return (datetime.fromisoformat(text) - EPOCH) // MICROSECOND
        except ValueError:
            pass  # the slow way reports the error
    return parse_time(text, zone, once=True).start_us


def parse_period(start: str | None, end: str | None, zone: Zone, now_us: Callable[[], int] | None = None) -> Period:
    """Read the two optional bounds of a period; with a clock, as parse_time does.

    Raises InvalidInput, also when they are reversed.
    """
    start_us = parse_time(start, zone, now_us).start_us if start is not None else None
    end_us = parse_time(end, zone, now_us).end_us if end is not None else None
    if start_us is not None and end_us is not None and start_us >= end_us:
        raise InvalidInput(
            f"the period ends before it starts: {shown(str(start))} to {shown(str(end))}",
            hint="give the earlier time first",
        )
    return Period(start_us, end_us)


@lru_cache(maxsize=256)
def format_time(at_us: int) -> str:
    """Return `2026-11-22T10:00:00.000000Z`. Raises Damaged, as `moment_of`."""
    return moment_of(at_us).isoformat(timespec="microseconds")[:-6] + "Z"


def moment_of(at_us: int) -> datetime:
    """A moment in UTC. Raises Damaged for one beyond the calendar: of all times, only a stored one can be."""
    try:
        return EPOCH + timedelta(microseconds=at_us)
    except OverflowError:
        raise beyond_calendar("a time") from None


def beyond_calendar(what: str) -> Damaged:
    """The error for a stored time that is not between FIRST_US and LAST_US."""
    return Damaged(
        f"{Damaged.DAMAGED}{what} is not within the years 1 to 9999",
        hint="for details: wallet verify; restore a backup",
    )


def format_end(end_us: int) -> str:
    """Return an end bound as the last moment inside the period, so that giving it again means the same period."""
    return format_time(end_us - 1)


def _offset(text: str) -> tzinfo:
    if text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:]) if len(text) > 3 else 0
    if minutes >= 60:
        raise ValueError(text)
    size = timedelta(hours=hours, minutes=minutes)
    return timezone(-size if text[0] == "-" else size)


def _utc_us(naive: datetime, zone: tzinfo, fold: int) -> int:
    """Microseconds of a wall time; `fold` picks the first or second of an hour that happens twice."""
    return (naive.replace(tzinfo=zone, fold=fold) - EPOCH) // MICROSECOND


def _midnight_us(midnight: datetime, zone: tzinfo) -> int:
    """When a day begins: at its first midnight, or when the clocks skip that."""
    start_us = _utc_us(midnight, zone, fold=0)
    earlier_us = _utc_us(midnight, zone, fold=1)
    if earlier_us >= start_us or _wall_time(start_us, zone) == midnight:
        return start_us
    # Skipped: the offset before the jump gives a moment too late, the offset after it one too early.
    while start_us - earlier_us > 1:
        middle_us = (earlier_us + start_us) // 2
        if _wall_time(middle_us, zone) < midnight:
            earlier_us = middle_us
        else:
            start_us = middle_us
    return start_us


def _wall_time(at_us: int, zone: tzinfo) -> datetime:
    moment = EPOCH + timedelta(microseconds=at_us)
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _end_us(naive: datetime, zone: tzinfo, part: dict[str, str | None]) -> int:
    """The first moment after the unit that the time is written in."""
    if part["hour"]:
        # Within a day the unit is a duration; where its end comes twice, the second one is later.
        last = naive + (_length(part) - MICROSECOND)
        return max(_utc_us(last, zone, fold=0), _utc_us(last, zone, fold=1)) + 1
    # A day, a month or a year ends at the next midnight, which may be 23 or 25 hours after the day's own.
    try:
        return _midnight_us(_following(naive, part), zone)
    except (ValueError, OverflowError):
        return LAST_US + 1  # the last day, month and year of the calendar


def _length(part: dict[str, str | None]) -> timedelta:
    if part["fraction"]:
        return timedelta(microseconds=10 ** max(0, 6 - len(part["fraction"])))
    if part["second"]:
        return timedelta(seconds=1)
    return timedelta(minutes=1) if part["minute"] else timedelta(hours=1)


def _following(naive: datetime, part: dict[str, str | None]) -> datetime:
    """The start of the next day, month or year."""
    if part["day"]:
        return naive + timedelta(days=1)
    if part["month"]:
        return naive.replace(year=naive.year + naive.month // 12, month=naive.month % 12 + 1)
    return naive.replace(year=naive.year + 1)
