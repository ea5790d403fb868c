"""Times as people are told them: by the clock of a time zone."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import NamedTuple

from wallet_cli.domain.period import moment_of


class Clock(NamedTuple):
    """Times in a zone."""

    zone: tzinfo

    def moment(self, at_us: int) -> datetime:
        utc = moment_of(at_us)
        try:
            return utc.astimezone(self.zone)
        except OverflowError:  # the first and last hours of the calendar
            return utc

    def stamp(self, at_us: int) -> tuple[str, str]:
        """The day and the minute: `2024-04-19`, `05:27`."""
        text = self.moment(at_us).isoformat(" ", "minutes")
        return text[:10], text[11:16]

    def second(self, at_us: int) -> str:
        """The day and the second: `2024-04-19 05:27:13`."""
        return self.moment(at_us).isoformat(" ", "seconds")[:19]

    def words(self, at_us: int) -> str:
        return " ".join(self.stamp(at_us))

    @property
    def name(self) -> str:
        """The zone's name."""
        return str(self.zone)

    def bound(self, at_us: int, *, is_end: bool = False) -> str:
        """A bound of a period: the day, if it is a midnight; else the last second inside."""
        text = self.moment(at_us - 1 if is_end else at_us).isoformat(" ", "microseconds")
        between_days = "23:59:59.999999" if is_end else "00:00:00.000000"
        return text[:10] if text[11:26] == between_days else text[:19]
