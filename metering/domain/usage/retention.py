"""Retiring a month: its events leave the log, what they came to stays.

A month can be retired when nothing of it can change any more: every account that has events in it is closed through the last
month in which anything of it is billed. Usage that nobody has priced or assigned yet would stay so for ever, which has to be
said.
"""

from typing import NamedTuple

from metering.domain.errors import DomainError
from metering.domain.instants import format_month


class StillOpenError(DomainError):
    """Something of the month is on a statement that is not closed."""

    code = "month_still_open"


class UnresolvedUsageError(DomainError):
    """Usage of the month has no price or no account yet."""

    code = "unresolved_usage"


class MonthChangedError(DomainError):
    """Events came or were charged between the export and the end."""

    code = "month_changed"


class SumsDifferError(DomainError):
    """The rollups of the month are not what its events come to."""

    code = "sums_differ"


class EventsRetiredError(DomainError):
    """The question needs events that were taken out of the log."""

    code = "events_retired"


class EventMonth(NamedTuple):
    """What is known of a month's events. ``billed_open`` are the accounts with something of it on an open statement."""

    month: int
    events: int
    retired_events: int
    unpriced_events: int
    unassigned_events: int
    billed_open: int

    @property
    def stored_events(self) -> int:
        """How many are in the log."""
        return self.events - self.retired_events

    @property
    def unresolved_events(self) -> int:
        """How many have no price or no account yet."""
        return self.unpriced_events + self.unassigned_events

    def check(self, *, with_unresolved: bool) -> None:
        """Raise StillOpenError or UnresolvedUsageError if the month can not be retired."""
        name = format_month(self.month)
        if self.billed_open:
            raise StillOpenError(
                f"{name} can still change: of {self.billed_open} accounts not everything of it is on a closed statement;"
                " `metering statements list` shows which"
            )
        if self.unresolved_events and not with_unresolved:
            raise UnresolvedUsageError(
                f"{name} has {self.unpriced_events} events without a price and {self.unassigned_events} without an account:"
                " afterwards they could never be charged or assigned; say --with-unresolved to retire them all the same"
            )
