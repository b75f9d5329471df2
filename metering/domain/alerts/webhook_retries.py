"""When a failed delivery is retried, and when a failing endpoint is disabled.

Ten attempts, at about 0, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h after the first. Each pause starts at the
previous attempt, so that an outage of this service does not bunch several attempts together.
"""

from itertools import pairwise

from metering.domain.instants import MICROS_PER_DAY, MICROS_PER_SECOND

_MINUTE = 60
_HOUR = 60 * _MINUTE
_OFFSETS = (0, 5, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR)
_PAUSES = tuple((later - earlier) * MICROS_PER_SECOND for earlier, later in pairwise(_OFFSETS))

ATTEMPTS = len(_OFFSETS)
# Retry-After is honored up to this.
LONGEST_RETRY_AFTER = MICROS_PER_DAY
DISABLE_AFTER = 5 * MICROS_PER_DAY

# Up to a tenth of the pause either way, in thousandths, so that deliveries that failed together do not retry together.
_JITTER_PER_MILLE = 100


def next_attempt_at(tries: int, ended_at: int, *, chance: float, retry_after: int | None = None) -> int | None:
    """Return when to retry after attempt number ``tries`` (from 1) failed at ``ended_at``; None after the last attempt.

    ``chance`` is a random number from 0 to 1. ``retry_after`` is the pause in microseconds that the receiver asked for: it can
    make the pause longer, up to a day.
    """
    if tries >= ATTEMPTS:
        return None
    pause = _PAUSES[tries - 1]
    spread = pause * _JITTER_PER_MILLE // 1_000
    pause += round((2 * chance - 1) * spread)
    return ended_at + max(pause, min(retry_after or 0, LONGEST_RETRY_AFTER))


def should_disable(failing_since: int, now: int) -> bool:
    """Whether an endpoint has been failing long enough to be disabled."""
    return now - failing_since >= DISABLE_AFTER
