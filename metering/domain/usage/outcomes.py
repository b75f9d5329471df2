"""What became of each record that was handed in. One bad record never costs its batch."""

from collections import Counter
from enum import StrEnum

from msgspec import Struct, field


class Outcome(StrEnum):
    """``accepted`` counts; ``duplicate`` was counted before; ``copy`` is another source's record of a counted event;
    ``conflict`` has the identity of an event with other content; ``rejected`` can not become an event.
    """

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    COPY = "copy"
    CONFLICT = "conflict"
    REJECTED = "rejected"


class ItemOutcome(Struct, frozen=True):
    """The outcome of one record that was not simply accepted, with where it stands and why."""

    line: int
    outcome: Outcome
    code: str
    reason: str
    id: str = ""
    field: str | None = None


class BatchResult(Struct):
    """Counts of all outcomes, and the items that were not accepted.

    ``unpriced``, ``unassigned``, ``route_unknown`` and ``series_capped`` are accepted events that someone should look at.
    """

    accepted: int = 0
    duplicate: int = 0
    copy: int = 0
    conflict: int = 0
    rejected: int = 0
    unpriced: int = 0
    unassigned: int = 0
    route_unknown: int = 0
    series_capped: int = 0
    items: list[ItemOutcome] = field(default_factory=list)
    unread_fields: dict[str, int] = field(default_factory=dict)

    def add(self, item: ItemOutcome) -> None:
        """Count one item that was not accepted."""
        setattr(self, item.outcome, getattr(self, item.outcome) + 1)
        self.items.append(item)

    def merge(self, other: "BatchResult", *, keep_items: int | None = None) -> None:
        """Add another batch's counts; of its items, keep as many as fit into ``keep_items`` in all."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        room = None if keep_items is None else max(0, keep_items - len(self.items))
        self.items.extend(other.items[:room])
        self.unread_fields = dict(Counter(self.unread_fields) + Counter(other.unread_fields))

    @property
    def received(self) -> int:
        """How many records were handed in."""
        return self.accepted + self.duplicate + self.copy + self.conflict + self.rejected


_COUNTS = tuple(name for name in BatchResult.__struct_fields__ if name not in ("items", "unread_fields"))
