"""The state of a budget: what is shown, and what it blocks, to the nano-dollar."""

import pytest

from metering.domain.budgets.budget_state import BudgetState
from metering.domain.budgets.budgets import Action, BudgetTerms
from metering.domain.budgets.forecasts import Forecast, ForecastMethod
from metering.domain.budgets.periods import Window, period_at

USD = 1_000_000_000
NO_FORECAST = Forecast(ForecastMethod.NONE, None)
BLOCKING = {"action": Action.BLOCK, "block_percent": 90}


def state(spent_nano, *, forecast=NO_FORECAST, is_current=True, **terms):
    """Return the state of a budget of $10.00 in a month."""
    return BudgetState(
        terms=BudgetTerms(**{"amount_nano": 10 * USD} | terms),
        period=period_at(Window.MONTH, 20_000),
        spent_nano=spent_nano,
        unpriced_events=0,
        forecast=forecast,
        is_current=is_current,
    )


@pytest.mark.parametrize(
    ("spent_nano", "percent"),
    [
        (0, "0.0"),
        (8_250_000_000, "82.5"),
        (9_996_000_000, "99.9"),
        (10 * USD - 1, "99.9"),
        (10 * USD, "100.0"),
        (27 * USD, "270.0"),
        (-1 * USD, "-10.0"),
    ],
)
def test_the_percentage_is_rounded_down_so_that_100_means_reached(spent_nano, percent):
    assert state(spent_nano).percent == percent


@pytest.mark.parametrize(("spent_nano", "remaining_nano"), [(0, 10 * USD), (10 * USD, 0), (12 * USD, -2 * USD)])
def test_what_remains_is_negative_once_the_budget_is_exceeded(spent_nano, remaining_nano):
    assert state(spent_nano).remaining_nano == remaining_nano


@pytest.mark.parametrize(
    ("spent_nano", "reached"), [(5 * USD - 1, ()), (5 * USD, (50,)), (8 * USD - 1, (50,)), (10 * USD, (50, 80, 100))]
)
def test_a_threshold_is_reached_at_its_amount(spent_nano, reached):
    assert state(spent_nano, thresholds=(80, 50, 100)).reached == reached


@pytest.mark.parametrize(("spent_nano", "blocked"), [(9 * USD - 1, False), (9 * USD, True), (20 * USD, True)])
def test_a_budget_blocks_from_its_percentage_on_and_in_its_current_period_only(spent_nano, blocked):
    assert state(spent_nano, **BLOCKING).blocked is blocked
    assert state(spent_nano, is_current=False, **BLOCKING).blocked is False
    assert state(spent_nano).blocked is False


@pytest.mark.parametrize(("forecast_nano", "exceeded"), [(None, False), (12 * USD - 1, False), (12 * USD, True)])
def test_a_forecast_exceeds_a_budget_from_its_percentage_on(forecast_nano, exceeded):
    forecast = Forecast(ForecastMethod.PERIOD, forecast_nano)
    assert state(0, forecast=forecast, forecast_percent=120).forecast_exceeded is exceeded
    assert state(0, forecast=forecast).forecast_exceeded is False
