"""The month a charge is billed in: its event's month, or, when that is closed, the first open one.

Closed is closed: what is charged or corrected after the close appears where something can still be billed.
"""

from metering.domain.instants import next_month


def billing_month_of(event_month: int, closed_through: int | None) -> int:
    """Return the month (``YYYYMM``) in which a charge of an event of ``event_month`` is billed.

    ``closed_through`` is the account's last closed month; None while none is.
    """
    if closed_through is None or event_month > closed_through:
        return event_month
    return next_month(closed_through)
