"""When a delivery is tried again, and when an endpoint is given up.

Ten attempts, at about 0, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h after the first. The pauses run from each
attempt to the next: after an outage of the service a delivery is not tried several times in a row.
"""

from itertools import pairwise

from metering.domain.instants import MICROS_PER_DAY, MICROS_PER_SECOND

_MINUTE = 60
_HOUR = 60 * _MINUTE
_OFFSETS = (0, 5, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR)
_PAUSES = tuple((later - earlier) * MICROS_PER_SECOND for earlier, later in pairwise(_OFFSETS))

ATTEMPTS = len(_OFFSETS)
# A receiver that asks for more patience than this is asked again after this.
LONGEST_RETRY_AFTER = MICROS_PER_DAY
GIVEN_UP_AFTER = 5 * MICROS_PER_DAY

# So that what failed together does not come back together; a tenth of the pause to either side, in thousandths.
_JITTER_PER_MILLE = 100


def next_attempt_at(tries: int, ended_at: int, *, chance: float, retry_after: int | None = None) -> int | None:
    """Return when a delivery is due again whose attempt number ``tries`` (from 1) failed at ``ended_at``; None: not any more.

    ``chance`` is a number from 0 to 1. ``retry_after`` is for how many microseconds the receiver asks to be left alone: the
    pause is no shorter, and no longer for it than a day.
    """
    if tries >= ATTEMPTS:
        return None
    pause = _PAUSES[tries - 1]
    spread = pause * _JITTER_PER_MILLE // 1_000
    pause += round((2 * chance - 1) * spread)
    return ended_at + max(pause, min(retry_after or 0, LONGEST_RETRY_AFTER))


def should_disable(failing_since: int, now: int) -> bool:
    """Whether an endpoint has failed for so long that nothing is sent to it any more."""
    return now - failing_since >= GIVEN_UP_AFTER
