"""An hour of an account that is far outside of its recent hours.

Compared are whole UTC hours with spending, over the 28 days before: who rests at night is not unusual in the morning. An hour
is unusual when it is dearer than all of these:

- ten dollars, because what costs little surprises nobody;
- the median and six robust deviations (the median absolute deviation times 1.4826: the standard deviation, where amounts are
  spread normally);
- twice what 99 of 100 recent hours stay within, so that a job that runs once a day is usual.

With fewer than 48 hours of spending to compare with, nobody can tell, and nothing is said.
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
# An hour is summed when it is over and its stragglers are in, and anew when its day is, for what came later.
STRAGGLERS = MICROS_PER_HOUR // 6
SETTLES_AFTER = 6 * MICROS_PER_HOUR
_NORMAL = 14_826, 10_000


class UsualSpend(Struct, frozen=True):
    """What is usual in an hour with spending, nano-USD: in the middle, and at most."""

    median_nano: int
    most_nano: int
    hours: int


def usual_spend(recent_nano: Sequence[int]) -> UsualSpend | None:
    """Return what is usual by the amounts of recent hours; None where too few of them had any spending."""
    spent = sorted(amount for amount in recent_nano if amount > 0)
    if len(spent) < LEAST_HOURS:
        return None
    middle = _median(spent)
    deviation = _median(sorted(abs(amount - middle) for amount in spent))
    scaled = DEVIATIONS * deviation * _NORMAL[0] // _NORMAL[1]
    # Nearest rank: the least amount that 99 of 100 hours are at or below.
    high = spent[-(-99 * len(spent) // 100) - 1]
    return UsualSpend(middle, max(LEAST_NANO, middle + scaled, FACTOR * high), len(spent))


def is_hour_due(hour: int, summed_at: int | None, now: int) -> bool:
    """Return whether an hour (since 1970) is to be summed at an instant, given when it was last."""
    end = (hour + 1) * MICROS_PER_HOUR
    if now < end + STRAGGLERS:
        return False
    settled = (hour // 24 + 1) * MICROS_PER_DAY + SETTLES_AFTER
    return summed_at is None or summed_at < settled <= now


def _median(ordered: Sequence[int]) -> int:
    """Return the middle of ordered amounts, of two the lower mean."""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) // 2
