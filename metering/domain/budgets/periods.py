"""Periods of budgets: whole UTC days, half-open, each with a name that no other period of its window has.

A day is ``2026-11-25``, a week ``2026-W53`` (ISO 8601: it begins on Monday and belongs to the year of its Thursday), a month
``2026-11``, a quarter ``2026-Q4``. A fixed window has one period: ``2026-11-03/2026-11-20``, of which the 20th is no more part.
"""

from enum import StrEnum
from typing import NamedTuple

from metering.domain.instants import MICROS_PER_DAY, date_of, day_number, first_date, format_month, next_month


class Window(StrEnum):
    """How long the periods of a budget are."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    FIXED = "fixed"


class Period(NamedTuple):
    """From ``first_day`` until ``end_day``, exclusively; days since 1970."""

    name: str
    first_day: int
    end_day: int

    @property
    def start(self) -> int:
        """The first instant, microseconds UTC."""
        return self.first_day * MICROS_PER_DAY

    @property
    def end(self) -> int:
        """The first instant after it."""
        return self.end_day * MICROS_PER_DAY

    def is_over(self, now: int) -> bool:
        """Whether it has ended at an instant."""
        return self.end <= now


def period_at(window: Window, day: int) -> Period:
    """Return the period of a window, any but a fixed one, that a day is in."""
    moment = date_of(day)
    match window:
        case Window.DAY:
            return Period(moment.isoformat(), day, day + 1)
        case Window.WEEK:
            year, week, weekday = moment.isocalendar()
            monday = day - (weekday - 1)
            return Period(f"{year:04d}-W{week:02d}", monday, monday + 7)
        case Window.MONTH:
            month = moment.year * 100 + moment.month
            return Period(format_month(month), day_number(first_date(month)), day_number(first_date(next_month(month))))
        case Window.QUARTER:
            quarter = (moment.month - 1) // 3 + 1
            first = moment.year * 100 + 3 * quarter - 2
            after = next_month(first + 2)
            return Period(f"{moment.year:04d}-Q{quarter}", day_number(first_date(first)), day_number(first_date(after)))
        case Window.FIXED:
            raise ValueError("a fixed window has its own days")


def fixed_period(first_day: int, end_day: int) -> Period:
    """Return the one period of a fixed window."""
    return Period(f"{date_of(first_day).isoformat()}/{date_of(end_day).isoformat()}", first_day, end_day)
