"""When months close by themselves."""

from msgspec import Struct

from metering.domain.instants import MICROS_PER_HOUR, month_start, next_month

DEFAULT_GRACE_HOURS = 72


class CloseSettings(Struct, frozen=True):
    """``automatic`` False: never by themselves. ``grace_hours`` after the later of its end and the account's first events."""

    automatic: bool = True
    grace_hours: int = DEFAULT_GRACE_HOURS


def is_close_due(month: int, first_ingest_at: int, grace_hours: int, now: int) -> bool:
    """Return whether a month is to be closed at ``now`` (microseconds UTC): its late events have had their time.

    History that is imported at once is not all correction: a month closes no earlier than the grace after the first of it.
    """
    return now >= max(month_start(next_month(month)), first_ingest_at) + grace_hours * MICROS_PER_HOUR
