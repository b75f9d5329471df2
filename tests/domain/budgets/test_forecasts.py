"""Forecasts, computed by hand: a period of ten days, in dollars."""

import pytest

from metering.domain.budgets.forecasts import Forecast, ForecastMethod, forecast
from metering.domain.budgets.periods import Period
from metering.domain.instants import MICROS_PER_DAY, MICROS_PER_HOUR

USD = 1_000_000_000
PERIOD = Period("2026-11-01/2026-11-11", 20_758, 20_768)
QUIET = [0] * 7
BUDGET = 100 * USD


def after(days):
    return PERIOD.start + int(days * MICROS_PER_DAY)


def test_the_period_rate_is_extrapolated():
    # $20 in 2 days, $10 a day, 8 days to go: $100 in total, used up exactly when the period ends.
    assert forecast(PERIOD, after(2), 20 * USD, QUIET, BUDGET) == Forecast(ForecastMethod.PERIOD, 100 * USD, None)


def test_the_time_at_which_the_amount_is_used_up():
    # $40 in 2 days, $20 a day: the remaining $60 last three days.
    result = forecast(PERIOD, after(2), 40 * USD, QUIET, BUDGET)
    assert result == Forecast(ForecastMethod.PERIOD, 200 * USD, after(5))


def test_the_recent_rate_is_blended_in_at_half():
    # $10 a day in the period, $30 a day in the last seven: $20 a day on average, for the remaining 8 days.
    result = forecast(PERIOD, after(2), 20 * USD, [30 * USD] * 7, BUDGET)
    assert result == Forecast(ForecastMethod.BLENDED, 180 * USD, after(6))


def test_at_the_start_of_a_period_only_the_recent_rate_is_available():
    result = forecast(PERIOD, after(0), 0, [14 * USD, 14 * USD, 42 * USD, 0, 0, 0, 0], BUDGET)
    # $70 in seven days, $10 a day, for ten days
    assert result == Forecast(ForecastMethod.RECENT, 100 * USD, None)


@pytest.mark.parametrize("recent", [QUIET, [50 * USD, 50 * USD, 0, 0, 0, 0, 0]])
def test_at_the_start_there_is_no_forecast_without_three_recent_days_of_spending(recent):
    assert forecast(PERIOD, after(0.49), 50 * USD, recent, BUDGET) == Forecast(ForecastMethod.NONE, None)
    assert forecast(PERIOD, after(0.5), 50 * USD, QUIET, BUDGET).method is ForecastMethod.PERIOD


def test_the_period_rate_of_a_day_needs_72_minutes():
    day = Period("2026-11-01", 20_758, 20_759)
    assert forecast(day, day.start + 71 * MICROS_PER_HOUR // 60, USD, QUIET, BUDGET).method is ForecastMethod.NONE
    assert forecast(day, day.start + 72 * MICROS_PER_HOUR // 60, USD, QUIET, BUDGET).method is ForecastMethod.PERIOD


def test_the_forecast_of_a_past_period_is_its_spend():
    assert forecast(PERIOD, PERIOD.end, 70 * USD, [USD] * 7, BUDGET) == Forecast(ForecastMethod.FINAL, 70 * USD)


def test_a_future_fixed_window_has_no_forecast():
    assert forecast(PERIOD, PERIOD.start - 1, 0, [USD] * 7, BUDGET).method is ForecastMethod.NONE


def test_a_used_up_amount_has_no_exhaustion_time_and_a_refund_does_not_lower_the_forecast_below_the_spend():
    assert forecast(PERIOD, after(5), 150 * USD, QUIET, BUDGET).exhausted_at is None
    assert forecast(PERIOD, after(5), -10 * USD, QUIET, BUDGET) == Forecast(ForecastMethod.PERIOD, -10 * USD)
