"""The month a charge is billed in, and the months that statements and credits are computed for.

A closed statement never changes: what is charged or corrected after the close is billed in a month that is still open.
"""

from metering.domain.errors import InvalidTimeError
from metering.domain.instants import format_month, month_of, next_month

FIRST_MONTH = 202001
MONTHS_AHEAD = 12


def billing_month_of(event_month: int, closed_through: int | None) -> int:
    """Return the month (``YYYYMM``) in which a charge of an event of ``event_month`` is billed.

    ``closed_through`` is the account's last closed month, None if none is closed.
    """
    if closed_through is None or event_month > closed_through:
        return event_month
    return next_month(closed_through)


def check_month_in_range(month: int, now: int) -> None:
    """Raise InvalidTimeError for a month before 2020 or more than a year ahead of ``now``.

    Plans and credits are computed month by month, so a far future month would take very long.
    """
    last = month_of(now)
    for _ in range(MONTHS_AHEAD):
        last = next_month(last)
    if not FIRST_MONTH <= month <= last:
        raise InvalidTimeError(f"a month is written as 2026-11, from {format_month(FIRST_MONTH)} to {format_month(last)}")
