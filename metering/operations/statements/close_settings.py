"""When months are closed automatically."""

from msgspec import Struct

from metering.domain.instants import MICROS_PER_HOUR, month_start, next_month

DEFAULT_GRACE_HOURS = 72


class CloseSettings(Struct, frozen=True):
    """``automatic`` False: months are only closed by hand.

    ``grace_hours`` run from the end of the month, or from the account's first ingest if that is later; for an account without
    usage, from when its plan was recorded.
    """

    automatic: bool = True
    grace_hours: int = DEFAULT_GRACE_HOURS


def is_close_due(month: int, since: int, grace_hours: int, now: int) -> bool:
    """Return whether a month is due to be closed at ``now`` (microseconds UTC).

    The grace period never starts before ``since``, the account's first ingest: otherwise imported history would all be
    corrections.
    """
    return now >= max(month_start(next_month(month)), since) + grace_hours * MICROS_PER_HOUR
