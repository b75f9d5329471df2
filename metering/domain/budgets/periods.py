"""Periods of budgets: half-open ranges of whole UTC days, each with a name that is unique within its window.

Names: day ``2026-11-25``; week ``2026-W53`` (ISO 8601: starts on Monday, belongs to the year of its Thursday); month
``2026-11``; quarter ``2026-Q4``. A fixed window has one period: ``2026-11-03/2026-11-20``, which excludes the 20th.
"""

from enum import StrEnum
from typing import NamedTuple

from metering.domain.instants import MICROS_PER_DAY, date_of, day_number, first_date, format_month, next_month


class Window(StrEnum):
    """The length of a budget's periods."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    FIXED = "fixed"


class Period(NamedTuple):
    """The days from ``first_day`` up to, not including, ``end_day``, counted from 1970."""

    name: str
    first_day: int
    end_day: int

    @property
    def start(self) -> int:
        """Its first instant, in microseconds UTC."""
        return self.first_day * MICROS_PER_DAY

    @property
    def end(self) -> int:
        """The first instant after it, in microseconds UTC."""
        return self.end_day * MICROS_PER_DAY

    def is_over(self, now: int) -> bool:
        """Whether it has ended at ``now``."""
        return self.end <= now


def period_at(window: Window, day: int) -> Period:
    """Return the period that contains a day, for any window except a fixed one."""
    date = date_of(day)
    match window:
        case Window.DAY:
            return Period(date.isoformat(), day, day + 1)
        case Window.WEEK:
            year, week, weekday = date.isocalendar()
            monday = day - (weekday - 1)
            return Period(f"{year:04d}-W{week:02d}", monday, monday + 7)
        case Window.MONTH:
            month = date.year * 100 + date.month
            return Period(format_month(month), day_number(first_date(month)), day_number(first_date(next_month(month))))
        case Window.QUARTER:
            quarter = (date.month - 1) // 3 + 1
            first = date.year * 100 + 3 * quarter - 2
            after = next_month(first + 2)
            return Period(f"{date.year:04d}-Q{quarter}", day_number(first_date(first)), day_number(first_date(after)))
        case Window.FIXED:
            raise ValueError("a fixed window has no recurring periods; use fixed_period")


def fixed_period(first_day: int, end_day: int) -> Period:
    """Return the only period of a fixed window."""
    return Period(f"{date_of(first_day).isoformat()}/{date_of(end_day).isoformat()}", first_day, end_day)
