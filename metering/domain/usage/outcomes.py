"""The outcome of each record that was ingested. One bad record never costs its batch."""

from collections import Counter
from enum import StrEnum
from operator import attrgetter

from msgspec import Struct, field


class Outcome(StrEnum):
    """The outcome of one record.

    `accepted`: counted. `duplicate`: ingested before with the same content. `copy`: another source's record of a counted event.
    `completed`: states what an earlier record left open, and replaces it. `conflict`: contradicts an earlier record.
    `rejected`: not a valid event.
    """

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    COPY = "copy"
    COMPLETED = "completed"
    CONFLICT = "conflict"
    REJECTED = "rejected"


_ONLY_COUNTED = (Outcome.DUPLICATE, Outcome.COMPLETED)
OUTCOME_COUNTS = ("accepted", "duplicate", "copy", "completed", "conflict", "rejected")
# Accepted events that need attention.
WARNING_COUNTS = ("unpriced", "unassigned", "route_unknown", "series_capped")
_outcome_counts = attrgetter(*OUTCOME_COUNTS)


class ItemOutcome(Struct, frozen=True):
    """One record that was not accepted: where it is in the input, and why.

    ``line`` counts lines from 1, or the items of a JSON array from 0 (see ``BatchResult.by_index``).
    """

    line: int
    outcome: Outcome
    code: str
    reason: str
    id: str = ""
    field: str | None = None


class BatchResult(Struct):
    """Counts of all outcomes, and the items that were not accepted.

    The counts in WARNING_COUNTS are accepted events that need attention. ``by_index``: the input is a JSON document, so
    positions are 0-based items.
    """

    accepted: int = 0
    duplicate: int = 0
    copy: int = 0
    completed: int = 0
    conflict: int = 0
    rejected: int = 0
    unpriced: int = 0
    unassigned: int = 0
    route_unknown: int = 0
    series_capped: int = 0
    items: list[ItemOutcome] = field(default_factory=list)
    unread_fields: dict[str, int] = field(default_factory=dict)
    by_index: bool = False

    def add(self, item: ItemOutcome) -> None:
        """Count one item that was not accepted."""
        setattr(self, item.outcome, getattr(self, item.outcome) + 1)
        self.items.append(item)

    def merge(self, other: "BatchResult", *, keep_items: int | None = None) -> None:
        """Add the counts and items of another batch.

        With ``keep_items``, at most that many items are kept. Duplicates and completions are then only counted: a log can have
        many, and they would leave no room for what was rejected.
        """
        for name in (*OUTCOME_COUNTS, *WARNING_COUNTS):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if keep_items is None:
            self.items.extend(other.items)
        elif len(self.items) < keep_items:
            listed = [item for item in other.items if item.outcome not in _ONLY_COUNTED]
            self.items.extend(listed[: keep_items - len(self.items)])
        self.unread_fields = dict(Counter(self.unread_fields) + Counter(other.unread_fields))
        self.by_index = self.by_index or other.by_index

    @property
    def received(self) -> int:
        """The number of records."""
        return sum(_outcome_counts(self))
