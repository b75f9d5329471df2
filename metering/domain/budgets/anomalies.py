"""Detecting an hour in which an account spends far more than in its recent hours.

Whole UTC hours with spending are compared over the last 28 days; hours without spending are ignored, so a quiet night does not
make the morning unusual. An hour is unusual if it exceeds all of these:

- ten dollars: small amounts are not worth an alert;
- the median plus six robust standard deviations (the median absolute deviation times 1.4826, which equals the standard
  deviation for normally distributed amounts);
- twice the 99th percentile of recent hours, so that a job that runs once a day counts as usual.

With fewer than 48 hours of spending to compare with, no hour is unusual.
"""

from collections.abc import Sequence

from msgspec import Struct

from metering.domain.instants import MICROS_PER_DAY, MICROS_PER_HOUR
from pricing.money import NANO_PER_USD

RECENT_HOURS = 28 * 24
LEAST_HOURS = 48
LEAST_NANO = 10 * NANO_PER_USD
DEVIATIONS = 6
FACTOR = 2
# An hour is summed ten minutes after it ends, and again six hours after its day ends, to include late usage.
HOUR_DELAY = MICROS_PER_HOUR // 6
DAY_DELAY = 6 * MICROS_PER_HOUR
_NORMAL_NUMERATOR, _NORMAL_DENOMINATOR = 14_826, 10_000


class UsualSpend(Struct, frozen=True):
    """The usual spend in an hour with spending, in nano-USD: the median, and the most that is still usual."""

    median_nano: int
    most_nano: int
    hours: int


def usual_spend(recent_nano: Sequence[int]) -> UsualSpend | None:
    """Return the usual spend, given the amounts of recent hours; None if too few of them have spending."""
    spent = sorted(amount for amount in recent_nano if amount > 0)
    if len(spent) < LEAST_HOURS:
        return None
    median = _median(spent)
    deviation = _median(sorted(abs(amount - median) for amount in spent))
    scaled = DEVIATIONS * deviation * _NORMAL_NUMERATOR // _NORMAL_DENOMINATOR
    # Nearest rank: the lowest amount that 99 of 100 hours do not exceed.
    percentile_99 = spent[-(-99 * len(spent) // 100) - 1]
    return UsualSpend(median, max(LEAST_NANO, median + scaled, FACTOR * percentile_99), len(spent))


def is_hour_due(hour: int, summed_at: int | None, now: int) -> bool:
    """Return whether an hour (counted from 1970) must be summed at ``now``; ``summed_at`` is when it last was."""
    end = (hour + 1) * MICROS_PER_HOUR
    if now < end + HOUR_DELAY:
        return False
    settled = (hour // 24 + 1) * MICROS_PER_DAY + DAY_DELAY
    return summed_at is None or summed_at < settled <= now


def _median(ordered: Sequence[int]) -> int:
    """Return the median of sorted amounts; for an even count, the mean of the middle two, rounded down."""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) // 2
