"""Retiring a month: its events leave the log, their sums stay.

A month can be retired when nothing of it can change any more: every account with events in it is closed through the last month
in which any of them is billed. Usage that is still unpriced or unassigned would stay so permanently, so retiring it must be
requested explicitly.
"""

from typing import NamedTuple

from metering.domain.errors import DomainError
from metering.domain.instants import format_month


class StillOpenError(DomainError):
    """Some usage of the month is on a statement that is not closed."""

    code = "month_still_open"


class UnresolvedUsageError(DomainError):
    """Some usage of the month is unpriced or unassigned."""

    code = "unresolved_usage"


class MonthChangedError(DomainError):
    """Events of the month arrived or were charged while it was being exported."""

    code = "month_changed"


class SumsDifferError(DomainError):
    """The month's rollups differ from the sums of its events."""

    code = "sums_differ"


class EventsRetiredError(DomainError):
    """The question needs events that were retired."""

    code = "events_retired"


class EventMonth(NamedTuple):
    """The state of a month's events. ``billed_open`` is the number of accounts with some of it on an open statement."""

    month: int
    events: int
    retired_events: int
    unpriced_events: int
    unassigned_events: int
    billed_open: int

    @property
    def stored_events(self) -> int:
        """The number of events in the log."""
        return self.events - self.retired_events

    @property
    def unresolved_events(self) -> int:
        """The number of events that are unpriced or unassigned."""
        return self.unpriced_events + self.unassigned_events

    def check(self, *, with_unresolved: bool) -> None:
        """Raise StillOpenError or UnresolvedUsageError if the month cannot be retired."""
        name = format_month(self.month)
        if self.billed_open:
            accounts = "1 account has" if self.billed_open == 1 else f"{self.billed_open:,} accounts have"
            raise StillOpenError(
                f"{name} can still change: {accounts} usage of it on an open statement; see `metering statements list`"
            )
        if self.unresolved_events and not with_unresolved:
            raise UnresolvedUsageError(
                f"{name} has {self.unpriced_events:,} unpriced and {self.unassigned_events:,} unassigned events, which could"
                " never be charged or assigned once retired; pass --with-unresolved to retire them anyway"
            )
