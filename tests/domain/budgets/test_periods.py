"""Periods: half-open ranges of whole UTC days with unique names."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.domain.budgets.periods import Window, fixed_period, period_at
from metering.domain.instants import day_number

RECURRING = [window for window in Window if window is not Window.FIXED]


def days(first, end):
    return day_number(date.fromisoformat(first)), day_number(date.fromisoformat(end))


@pytest.mark.parametrize(
    ("window", "day", "name", "first", "end"),
    [
        (Window.DAY, "2026-11-25", "2026-11-25", "2026-11-25", "2026-11-26"),
        (Window.DAY, "2028-02-29", "2028-02-29", "2028-02-29", "2028-03-01"),
        (Window.DAY, "2026-12-31", "2026-12-31", "2026-12-31", "2027-01-01"),
        (Window.WEEK, "2026-11-25", "2026-W48", "2026-11-23", "2026-11-30"),
        # 2026 starts on a Thursday, so it has 53 weeks; the last one extends into 2027.
        (Window.WEEK, "2026-12-31", "2026-W53", "2026-12-28", "2027-01-04"),
        (Window.WEEK, "2027-01-03", "2026-W53", "2026-12-28", "2027-01-04"),
        (Window.WEEK, "2027-01-04", "2027-W01", "2027-01-04", "2027-01-11"),
        # A week can belong to a year that starts after its first day.
        (Window.WEEK, "2024-12-30", "2025-W01", "2024-12-30", "2025-01-06"),
        (Window.MONTH, "2026-11-30", "2026-11", "2026-11-01", "2026-12-01"),
        (Window.MONTH, "2026-12-31", "2026-12", "2026-12-01", "2027-01-01"),
        (Window.MONTH, "2028-02-29", "2028-02", "2028-02-01", "2028-03-01"),
        (Window.MONTH, "2026-02-28", "2026-02", "2026-02-01", "2026-03-01"),
        (Window.QUARTER, "2026-01-01", "2026-Q1", "2026-01-01", "2026-04-01"),
        (Window.QUARTER, "2028-03-31", "2028-Q1", "2028-01-01", "2028-04-01"),
        (Window.QUARTER, "2026-06-30", "2026-Q2", "2026-04-01", "2026-07-01"),
        (Window.QUARTER, "2026-09-01", "2026-Q3", "2026-07-01", "2026-10-01"),
        (Window.QUARTER, "2026-12-31", "2026-Q4", "2026-10-01", "2027-01-01"),
    ],
)
def test_a_day_belongs_to_its_calendar_period(window, day, name, first, end):
    period = period_at(window, day_number(date.fromisoformat(day)))
    assert (period.name, period.first_day, period.end_day) == (name, *days(first, end))


def test_a_fixed_window_is_one_period_that_excludes_its_end():
    period = fixed_period(*days("2026-11-03", "2026-11-20"))
    assert period.name == "2026-11-03/2026-11-20"
    assert (period.end - period.start) == 17 * 86_400 * 1_000_000


@given(day=st.integers(18_262, 47_000), window=st.sampled_from(RECURRING))
def test_periods_have_no_gaps_overlaps_or_shared_names(day, window):
    period = period_at(window, day)
    assert period.first_day <= day < period.end_day
    assert all(period_at(window, each) == period for each in (period.first_day, period.end_day - 1))
    following = period_at(window, period.end_day)
    assert following.first_day == period.end_day
    assert following.name > period.name


def test_a_period_is_over_at_its_end():
    period = period_at(Window.DAY, 20_000)
    assert not period.is_over(period.end - 1)
    assert period.is_over(period.end)
