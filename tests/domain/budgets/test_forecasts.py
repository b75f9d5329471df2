"""Forecasts, worked out by hand: a period of ten days, in dollars."""

import pytest

from metering.domain.budgets.forecasts import Forecast, Method, forecast
from metering.domain.budgets.periods import Period
from metering.domain.instants import MICROS_PER_DAY, MICROS_PER_HOUR

USD = 1_000_000_000
PERIOD = Period("2026-11-01/2026-11-11", 20_758, 20_768)
QUIET = [0] * 7
BUDGET = 100 * USD


def after(days):
    return PERIOD.start + int(days * MICROS_PER_DAY)


def test_spending_goes_on_at_the_rate_of_the_period():
    # $20 in 2 days, $10 a day, 8 days to come: $100 in the end, which is just used up as the period ends.
    assert forecast(PERIOD, after(2), 20 * USD, QUIET, BUDGET) == Forecast(Method.PERIOD, 100 * USD, None)


def test_it_says_when_the_amount_is_used_up():
    # $40 in 2 days, $20 a day: the other $60 last three days.
    found = forecast(PERIOD, after(2), 40 * USD, QUIET, BUDGET)
    assert found == Forecast(Method.PERIOD, 200 * USD, after(5))


def test_recent_days_are_blended_in_at_half():
    # $10 a day in the period, $30 a day in the last seven: $20 a day on average, for the 8 days to come.
    found = forecast(PERIOD, after(2), 20 * USD, [30 * USD] * 7, BUDGET)
    assert found == Forecast(Method.BLENDED, 180 * USD, after(6))


def test_at_the_beginning_of_a_period_only_recent_days_say_something():
    found = forecast(PERIOD, after(0), 0, [14 * USD, 14 * USD, 42 * USD, 0, 0, 0, 0], BUDGET)
    # $70 in seven days, $10 a day, for ten days
    assert found == Forecast(Method.RECENT, 100 * USD, None)


@pytest.mark.parametrize("recent", [QUIET, [50 * USD, 50 * USD, 0, 0, 0, 0, 0]])
def test_too_little_is_known_at_the_beginning_without_three_recent_days_of_spending(recent):
    assert forecast(PERIOD, after(0.49), 50 * USD, recent, BUDGET) == Forecast(Method.NONE, None)
    assert forecast(PERIOD, after(0.5), 50 * USD, QUIET, BUDGET).method is Method.PERIOD


def test_of_a_day_an_hour_and_not_a_twentieth_has_to_pass():
    day = Period("2026-11-01", 20_758, 20_759)
    assert forecast(day, day.start + 71 * MICROS_PER_HOUR // 60, USD, QUIET, BUDGET).method is Method.NONE
    assert forecast(day, day.start + 72 * MICROS_PER_HOUR // 60, USD, QUIET, BUDGET).method is Method.PERIOD


def test_a_period_that_is_over_comes_to_what_was_spent():
    assert forecast(PERIOD, PERIOD.end, 70 * USD, [USD] * 7, BUDGET) == Forecast(Method.FINAL, 70 * USD)


def test_a_fixed_window_that_is_to_come_has_no_forecast():
    assert forecast(PERIOD, PERIOD.start - 1, 0, [USD] * 7, BUDGET).method is Method.NONE


def test_what_is_used_up_already_has_no_time_left_and_no_refund_makes_a_forecast_fall_below_what_is_spent():
    assert forecast(PERIOD, after(5), 150 * USD, QUIET, BUDGET).exhausted_at is None
    assert forecast(PERIOD, after(5), -10 * USD, QUIET, BUDGET) == Forecast(Method.PERIOD, -10 * USD)
