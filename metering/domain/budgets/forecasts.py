"""What a period will come to, if spending goes on as it does: sober, from two rates, and nothing where too little is known.

- The rate of the period: what was spent in it over the time since it began. It is known when an hour and a twentieth of the
  period have passed, so that one request in the first minute makes no forecast.
- The recent rate: what was spent on the seven whole days before today, over seven days. It is known when there was spending on
  at least three of them.

The forecast is what is spent, and what remains of the period at the mean of the rates that are known.
"""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from metering.domain.budgets.periods import Period
from metering.domain.instants import MICROS_PER_DAY, MICROS_PER_HOUR

RECENT_DAYS = 7
LEAST_RECENT_DAYS = 3
_LEAST_PART = 20


class Method(StrEnum):
    """Which rates a forecast is made from; ``final``: the period is over."""

    BLENDED = "blended_rate"
    PERIOD = "period_rate"
    RECENT = "recent_rate"
    FINAL = "final"
    NONE = "too_little_known"


class Forecast(Struct, frozen=True):
    """What a period will come to (nano-USD, None where too little is known), and when ``amount`` is used up.

    ``exhausted_at`` is None where it is used up already, or not within the period, or nobody knows.
    """

    method: Method
    amount_nano: int | None
    exhausted_at: int | None = None


def forecast(period: Period, now: int, spent_nano: int, recent_nano: Sequence[int], budget_nano: int) -> Forecast:
    """Forecast a period at an instant; ``recent_nano`` is what was spent on each of the RECENT_DAYS days before today."""
    if period.is_over(now):
        return Forecast(Method.FINAL, spent_nano)
    # Each rate is a fraction: nano-USD over microseconds.
    rates: list[tuple[int, int]] = []
    elapsed, length = now - period.start, period.end - period.start
    of_period = elapsed >= max(MICROS_PER_HOUR, length // _LEAST_PART)
    if of_period:
        rates.append((spent_nano, elapsed))
    of_recent_days = sum(amount > 0 for amount in recent_nano) >= LEAST_RECENT_DAYS and now >= period.start
    if of_recent_days:
        rates.append((sum(recent_nano), RECENT_DAYS * MICROS_PER_DAY))
    if not rates:
        return Forecast(Method.NONE, None)
    method = Method.BLENDED if len(rates) == 2 else Method.PERIOD if of_period else Method.RECENT
    numerator, denominator = _mean(rates)
    to_come = max(0, numerator * (period.end - now) // denominator)
    return Forecast(
        method, spent_nano + to_come, _exhausted_at(period, now, budget_nano - spent_nano, (numerator, denominator))
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
