"""Conflicts: records that contradict a counted event, side by side with it, and what a person decided."""

from enum import StrEnum

from msgspec import Struct

from metering.domain.usage.completion import RequestFacts

COMPARED = ("time", "provider", "model", "operation", "route", "status", "failure", "quantities", "quantity_grade")


class ConflictDecision(StrEnum):
    """`accepted`: the record replaced the event. `dismissed`: the event stays."""

    ACCEPTED = "accepted"
    DISMISSED = "dismissed"


class Conflict(Struct, frozen=True):
    """A record that contradicts an event. ``counted`` are the facts of the event that counts now; None if there is none.

    There is none if it was withdrawn, or retired with its month. ``counted_nano`` is its charge now, and ``record_nano`` what
    the record would cost at the prices known now; None: unpriced. Times are microseconds UTC.
    """

    id: int
    account_id: int
    source: str
    event_id: str
    received_at: int
    counted: RequestFacts | None
    counted_nano: int | None
    record: RequestFacts
    record_nano: int | None
    decision: ConflictDecision | None = None
    reason: str = ""
    decided_by: str = ""
    decided_at: int | None = None

    @property
    def differs_in(self) -> list[str]:
        """The names of the facts that differ."""
        if self.counted is None:
            return []
        return [name for name in COMPARED if getattr(self.counted, name) != getattr(self.record, name)]
