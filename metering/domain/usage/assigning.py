"""Usage of undeclared accounts, and what assigning it to an account changes.

An assigned event counts once, in the account: its charge on ``unassigned`` is reversed and replaced at the account's prices.
Where the account has counted the same request before, the charge is only reversed. A record that differs from what the account
counted under the same ID is a conflict and stays unassigned.
"""

from typing import NamedTuple

from msgspec import Struct, field

from metering.domain.errors import DomainError
from metering.domain.texts import control_character


class UnassignedUsage(NamedTuple):
    """Unassigned usage under one account name (empty: records without one) from one source. Times are microseconds UTC."""

    name: str
    source: str
    first_time: int
    last_time: int
    events: int
    amount_nano: int
    unpriced: int


class AssignmentScope(Struct, frozen=True):
    """Which events of ``unassigned`` to assign: those of records that named the account ``name`` (empty: no account).

    ``start`` and ``end`` are microseconds UTC, half-open; None means no limit. ``source``, ``project`` and ``key`` are as the
    records stated them; None means any.
    """

    name: str
    start: int | None = None
    end: int | None = None
    source: str | None = None
    project: str | None = None
    key: str | None = None

    def check(self) -> None:
        """Raise DomainError for a period that does not end after it starts, or a text with a control character."""
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise DomainError("the period must end after it starts")
        for label in ("name", "source", "project", "key"):
            if found := control_character(getattr(self, label) or ""):
                raise DomainError(f"{label} contains the control character {found}; remove it")


class AssignmentGroup(NamedTuple):
    """What moved events share; months as ``YYYYMM``. ``billed_in`` differs from ``month`` if that month is closed."""

    provider: str
    model: str
    month: int
    billed_in: int


class MovedUsage(Struct):
    """Events of one group: what they cost on ``unassigned`` and in the account (nano-USD), and how many are unpriced there."""

    events: int = 0
    before_nano: int = 0
    after_nano: int = 0
    unpriced: int = 0

    def add(self, other: "MovedUsage") -> None:
        """Add the sums of other usage."""
        self.events += other.events
        self.before_nano += other.before_nano
        self.after_nano += other.after_nano
        self.unpriced += other.unpriced


class AssignmentResult(Struct):
    """What an assignment changed, or would change.

    ``repeats`` are events that the account had counted before (the same record, or another source's record of the same
    request): their charges, ``repeats_nano`` in total, are reversed without a replacement. ``conflicts`` stay unassigned.
    """

    by_group: dict[AssignmentGroup, MovedUsage] = field(default_factory=dict)
    repeats: int = 0
    repeats_nano: int = 0
    conflicts: int = 0

    @property
    def total(self) -> MovedUsage:
        """The sums over all groups."""
        total = MovedUsage()
        for moved in self.by_group.values():
            total.add(moved)
        return total

    def move(self, group: AssignmentGroup, moved: MovedUsage) -> None:
        """Add events that move to the account."""
        self.by_group.setdefault(group, MovedUsage()).add(moved)

    def include(self, other: "AssignmentResult") -> None:
        """Add the result of another chunk."""
        for group, moved in other.by_group.items():
            self.move(group, moved)
        self.repeats += other.repeats
        self.repeats_nano += other.repeats_nano
        self.conflicts += other.conflicts
