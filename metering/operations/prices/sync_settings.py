"""Settings of the price sync: where prices are fetched from, how often, and how much may change without being accepted."""

from msgspec import Struct

from metering.domain.instants import MICROS_PER_SECOND
from metering.domain.prices.price_syncs import SourceHealth

DEFAULT_URL = "https://router.huggingface.co/v1"

_MICROS_PER_MINUTE = 60 * MICROS_PER_SECOND
_FIRST_RETRY_MINUTES = 5
_LONGEST_RETRY_MINUTES = 24 * 60
_MAX_DOUBLINGS = 12  # enough to exceed the longest retry; bounds the number after any number of failures


class SyncSettings(Struct, frozen=True):
    """Settings of the price sync; with ``interval_minutes`` 0, prices are fetched by command only.

    A sync is pending until it is accepted if it changes the prices of more than ``max_changed_percent`` of the models, leaves
    more than ``max_vanished_percent`` of them without a price, or changes a price by more than ``max_factor``.
    """

    router_url: str = DEFAULT_URL
    interval_minutes: int = 60
    max_changed_percent: int = 25
    max_vanished_percent: int = 10
    max_factor: int = 10


def is_sync_due(health: SourceHealth, interval_minutes: int, now: int) -> bool:
    """Return whether prices should be fetched at ``now`` (microseconds UTC).

    They should if the last attempt is older than the interval. After a failure, the wait is five minutes, doubled with each
    further failure up to a day. An attempt in the future means that a clock was wrong, and is ignored.
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
        wait = min(first * 2 ** min(health.consecutive_failures - 1, _MAX_DOUBLINGS), longest)
    return now - last >= wait * _MICROS_PER_MINUTE
