"""Lock accounts while their events are stored, so that no month of theirs is closed, and read how far they are closed."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection

from metering.domain.instants import month_of_day
from metering.domain.statements.billing_months import billing_month_of
from metering.storage.statements.closed_months import lock_open, record_first_ingest


class ClosedMonths:
    """How far accounts are closed; ``last`` is the latest closed month of any of them, 0 if none is closed."""

    def __init__(self, closed_through: dict[int, int]) -> None:
        self._closed_through = closed_through
        self.last = max(closed_through.values(), default=0)

    def billed_in(self, account_id: int, event_month: int) -> int:
        """Return the month in which an event of ``event_month`` is billed. After ``last`` it is always ``event_month``."""
        return billing_month_of(event_month, self._closed_through.get(account_id))

    def billed_months(self, account_ids: Sequence[int], days: Sequence[int]) -> list[int]:
        """Return the month in which each event is billed, from its account and its UTC day since 1970."""
        month_of = {day: month_of_day(day) for day in set(days)}
        months = [month_of[day] for day in days]
        if min(month_of.values(), default=self.last + 1) > self.last:
            return months
        return [self.billed_in(account_id, month) for account_id, month in zip(account_ids, months, strict=True)]


def lock_open_months(connection: Connection, account_ids: Collection[int], *, now: int) -> ClosedMonths:
    """Keep the accounts' months from being closed until the transaction ends; return which are closed already.

    Call it before the transaction reads anything else: a close may have just ended. Records the time of an account's first
    ingest.
    """
    marks = lock_open(connection, account_ids)
    record_first_ingest(connection, [mark.account_id for mark in marks if mark.first_ingest_at is None], now)
    return ClosedMonths({mark.account_id: mark.closed_through for mark in marks if mark.closed_through is not None})
