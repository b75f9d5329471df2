"""Forecasting the spend of a period from two rates.

- The period rate: spend in the period divided by the time since it started. It is available after both an hour and a twentieth
  of the period, so that one request in the first minute makes no forecast.
- The recent rate: spend on the seven whole days before today, divided by seven days. It is available if at least three of them
  have spend.

The forecast is the spend to date plus the remaining time at the mean of the available rates. Without a rate there is no
forecast.
"""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from metering.domain.budgets.periods import Period
from metering.domain.instants import MICROS_PER_DAY, MICROS_PER_HOUR

RECENT_DAYS = 7
LEAST_RECENT_DAYS = 3
_LEAST_PART = 20


class ForecastMethod(StrEnum):
    """Which rates a forecast uses; ``final``: the period is over."""

    BLENDED = "blended_rate"
    PERIOD = "period_rate"
    RECENT = "recent_rate"
    FINAL = "final"
    NONE = "too_little_known"


class Forecast(Struct, frozen=True):
    """The forecast spend of a period in nano-USD, None without a rate, and when the budget is used up.

    ``exhausted_at`` is None if the budget is already used up, lasts the period, or there is no rate.
    """

    method: ForecastMethod
    amount_nano: int | None
    exhausted_at: int | None = None


def forecast(period: Period, now: int, spent_nano: int, recent_nano: Sequence[int], budget_nano: int) -> Forecast:
    """Forecast a period at ``now``; ``recent_nano`` is the spend on each of the RECENT_DAYS days before today."""
    if period.is_over(now):
        return Forecast(ForecastMethod.FINAL, spent_nano)
    # Each rate is a fraction: nano-USD over microseconds.
    rates: list[tuple[int, int]] = []
    elapsed, length = now - period.start, period.end - period.start
    has_period_rate = elapsed >= max(MICROS_PER_HOUR, length // _LEAST_PART)
    if has_period_rate:
        rates.append((spent_nano, elapsed))
    has_recent_rate = sum(amount > 0 for amount in recent_nano) >= LEAST_RECENT_DAYS and now >= period.start
    if has_recent_rate:
        rates.append((sum(recent_nano), RECENT_DAYS * MICROS_PER_DAY))
    if not rates:
        return Forecast(ForecastMethod.NONE, None)
    single = ForecastMethod.PERIOD if has_period_rate else ForecastMethod.RECENT
    method = ForecastMethod.BLENDED if len(rates) == 2 else single
    numerator, denominator = _mean(rates)
    remaining = max(0, numerator * (period.end - now) // denominator)
    return Forecast(
        method, spent_nano + remaining, _exhausted_at(period, now, budget_nano - spent_nano, (numerator, denominator))
    )


def _mean(rates: Sequence[tuple[int, int]]) -> tuple[int, int]:
    if len(rates) == 1:
        return rates[0]
    (amount, time), (other_amount, other_time) = rates
    return amount * other_time + other_amount * time, 2 * time * other_time


def _exhausted_at(period: Period, now: int, left_nano: int, rate: tuple[int, int]) -> int | None:
    amount, time = rate
    if left_nano <= 0 or amount <= 0:
        return None
    at = now + -(-left_nano * time // amount)
    return at if at < period.end else None
