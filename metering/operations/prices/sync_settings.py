"""Where prices are fetched from, how often, and how much may change before somebody has to look."""

from msgspec import Struct

from metering.domain.instants import MICROS_PER_SECOND
from metering.domain.prices.price_syncs import SourceHealth

DEFAULT_URL = "https://router.huggingface.co/v1"

_MICROS_PER_MINUTE = 60 * MICROS_PER_SECOND
_FIRST_RETRY_MINUTES = 5
_LONGEST_RETRY_MINUTES = 24 * 60
_DOUBLINGS = 12  # past any bound; an endless row of failures must not make an endless number


class SyncSettings(Struct, frozen=True):
    """``interval_minutes`` 0: never by itself. A sync is held that changes the prices of more than ``max_changed_percent`` of
    the models, leaves more than ``max_vanished_percent`` without a price, or changes a price by more than ``max_factor``.
    """

    router_url: str = DEFAULT_URL
    interval_minutes: int = 60
    max_changed_percent: int = 25
    max_vanished_percent: int = 10
    max_factor: int = 10


def is_sync_due(health: SourceHealth, interval_minutes: int, now: int) -> bool:
    """Return whether a source is to be asked at ``now`` (microseconds UTC).

    It is when the last attempt is older than the interval; after failures, older than five minutes, doubled with each further
    failure up to a day. An attempt in the future tells of a clock that was wrong and delays nothing.
    """
    if not interval_minutes:
        return False
    last = health.last_attempt_at
    if last is None or last > now:
        return True
    wait = interval_minutes
    if health.consecutive_failures:
        first = min(interval_minutes, _FIRST_RETRY_MINUTES)
        longest = max(interval_minutes, _LONGEST_RETRY_MINUTES)
        wait = min(first * 2 ** min(health.consecutive_failures - 1, _DOUBLINGS), longest)
    return now - last >= wait * _MICROS_PER_MINUTE
