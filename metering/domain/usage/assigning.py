"""Assigning usage of ``unassigned`` to an account: which of it, and what that changes.

Each event then counts once, in the account: its charge on ``unassigned`` is taken back and written anew at the account's
prices. Where the account had counted the same request before, the charge is only taken back. A record that differs from what
the account counted under the same id is a conflict, and stays where it is.
"""

from typing import NamedTuple

from msgspec import Struct, field

from metering.domain.errors import DomainError


class AssignmentScope(Struct, frozen=True):
    """Which events of ``unassigned``: whose records named the account ``name`` (empty: none), from ``start`` until ``end``.

    Times are microseconds UTC, None without a limit; ``source``, ``project`` and ``key`` are as the records stated them, None
    for any.
    """

    name: str
    start: int | None = None
    end: int | None = None
    source: str | None = None
    project: str | None = None
    key: str | None = None

    def check(self) -> None:
        """Raise DomainError for a period that does not end after it starts."""
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise DomainError("the period must end after it starts")


class AssignmentGroup(NamedTuple):
    """What moved events share; months as ``YYYYMM``. Billed in another month than their own: that one is closed."""

    provider: str
    model: str
    month: int
    billed_in: int


class MovedUsage(Struct):
    """Events of one kind: what they cost on ``unassigned`` and cost the account, nano-USD, and how many have no price there."""

    events: int = 0
    before_nano: int = 0
    after_nano: int = 0
    unpriced: int = 0

    def add(self, other: "MovedUsage") -> None:
        """Count others."""
        self.events += other.events
        self.before_nano += other.before_nano
        self.after_nano += other.after_nano
        self.unpriced += other.unpriced


class AssignmentResult(Struct):
    """What assigning came to, or would.

    ``repeats`` are events that the account had counted before (the same record, or another source's of the same request): their
    charge, ``repeats_nano`` in all, is taken back and nothing put in its place. ``conflicts`` stay unassigned.
    """

    by_group: dict[AssignmentGroup, MovedUsage] = field(default_factory=dict)
    repeats: int = 0
    repeats_nano: int = 0
    conflicts: int = 0

    @property
    def total(self) -> MovedUsage:
        """All that moves to the account."""
        total = MovedUsage()
        for moved in self.by_group.values():
            total.add(moved)
        return total

    def move(self, key: AssignmentGroup, moved: MovedUsage) -> None:
        """Count events that move."""
        self.by_group.setdefault(key, MovedUsage()).add(moved)

    def include(self, other: "AssignmentResult") -> None:
        """Add what another part came to."""
        for key, moved in other.by_group.items():
            self.move(key, moved)
        self.repeats += other.repeats
        self.repeats_nano += other.repeats_nano
        self.conflicts += other.conflicts


class UnassignedUsage(NamedTuple):
    """What arrived under one name (empty: under none) from one source. Times are microseconds UTC."""

    name: str
    source: str
    first_time: int
    last_time: int
    events: int
    amount_nano: int
    unpriced: int
