"""Correcting usage after it was ingested: which events, what changes, and the runs that write it.

A correction moves events to the series that they belong to and charges them there. A withdrawal takes back events that should
not have been ingested. Both append to the ledger, so a run can be undone by another run.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct, field

from metering.domain.charges.rerating import RerateCursor
from metering.domain.errors import DomainError
from metering.domain.texts import control_character
from metering.domain.usage.events import MAX_NAME_LENGTH, ROUTES, UNKNOWN
from metering.domain.usage.series import SeriesKey

# The year 10000, past any event: the end of a period without one.
END_OF_TIME = 253_402_300_800_000_000

# What can be selected by, and what can be set.
SELECTABLE = ("provider", "model", "operation", "route", "project", "key")
CHANGEABLE = ("provider", "model", "operation", "route", "project", "key")


class RunKind(StrEnum):
    """What a run does. `restore` undoes a withdrawal; a correction is undone by another `correct` run."""

    CORRECT = "correct"
    WITHDRAW = "withdraw"
    RESTORE = "restore"


class CorrectionScope(Struct, frozen=True):
    """Which events of an account: those in ``[start, end)`` (microseconds UTC), None for no limit.

    ``where`` maps names of SELECTABLE to the value that the event has now. ``source`` is the source of the record; None: any.
    """

    account_id: int
    start: int | None = None
    end: int | None = None
    source: str | None = None
    where: Mapping[str, str] = {}

    def check(self) -> None:
        """Raise DomainError for an empty period, an unknown name, or a value that no record can have."""
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise DomainError("the period must end after it starts")
        _check_names(self.where, SELECTABLE, "select by")

    @property
    def is_limited(self) -> bool:
        """Whether the scope is less than all usage of the account."""
        return bool(self.where or self.source is not None or self.start is not None or self.end is not None)

    def includes(self, series: SeriesKey) -> bool:
        """Whether an event that is in this series now is meant."""
        return series.account_id == self.account_id and all(
            getattr(series, name) == value for name, value in self.where.items()
        )


class CorrectionChanges(Struct, frozen=True):
    """New values by name of CHANGEABLE. An empty project or key removes it."""

    values: Mapping[str, str]

    def check(self) -> None:
        """Raise DomainError if nothing changes, for an unknown name, or a value that no record can have."""
        if not self.values:
            raise DomainError(f"nothing to change: set at least one of {', '.join(CHANGEABLE)}")
        _check_names(self.values, CHANGEABLE, "change")
        for name in ("provider", "model", "operation", "route"):
            if self.values.get(name) in ("", UNKNOWN):
                raise DomainError(f"{name} cannot be changed to {self.values[name]!r}")

    def applied(self, series: SeriesKey) -> SeriesKey:
        """Return the series with the new values."""
        changes: dict[str, Any] = dict(self.values)
        return series._replace(**changes)


class CorrectionGroup(NamedTuple):
    """The provider, model and route of events as they are now, and the month (``YYYYMM``) of the requests."""

    provider: str
    model: str
    route: str
    month: int


class CorrectedUsage(Struct):
    """Events of one group: what they cost before and after (nano-USD), and how many are unpriced."""

    events: int = 0
    before_nano: int = 0
    after_nano: int = 0
    unpriced_before: int = 0
    unpriced_after: int = 0

    def include(self, other: "CorrectedUsage") -> None:
        """Add the sums of other events."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class CorrectionSummary(Struct):
    """What a run changes, or would change. ``kept`` events are in the scope and stay as they are."""

    kept: int = 0
    by_group: dict[CorrectionGroup, CorrectedUsage] = field(default_factory=dict)

    @property
    def total(self) -> CorrectedUsage:
        """Everything that changes."""
        total = CorrectedUsage()
        for usage in self.by_group.values():
            total.include(usage)
        return total

    def include(self, other: "CorrectionSummary") -> None:
        """Add the result for other events."""
        self.kept += other.kept
        for group, usage in other.by_group.items():
            self.by_group.setdefault(group, CorrectedUsage()).include(usage)


class CorrectionRun(Struct, frozen=True):
    """A run. Times are microseconds UTC, amounts nano-USD; counts and amounts cover all events up to the cursor.

    ``newest_table_id`` limits the prices to those known when the run started; ``undoes`` is the run that this one undoes.
    """

    id: int
    kind: RunKind
    scope: CorrectionScope
    changes: CorrectionChanges
    reason: str
    newest_table_id: int
    requested_at: int
    finished_at: int | None
    cursor: RerateCursor
    undoes: int | None = None
    events_changed: int = 0
    events_kept: int = 0
    before_nano: int = 0
    after_nano: int = 0


class CorrectionResult(Struct, frozen=True):
    """A run in its current state, and what it changed just now (everything, unless it was resumed)."""

    run: CorrectionRun
    done_now: CorrectionSummary


def encode_selection(scope: CorrectionScope) -> str:
    """Return what a scope selects besides account and period, as JSON in canonical order."""
    stated = {"source": scope.source, "where": dict(sorted(scope.where.items()))}
    return msgspec.json.encode(stated).decode()


def _check_names(values: Mapping[str, str], known: tuple[str, ...], verb: str) -> None:
    for name, value in values.items():
        if name not in known:
            raise DomainError(f"cannot {verb} {name[:40]!r}; use {', '.join(known)}")
        if found := control_character(value):
            raise DomainError(f"{name} contains the control character {found}; remove it")
        if len(value) > MAX_NAME_LENGTH:
            raise DomainError(f"{name} must have at most {MAX_NAME_LENGTH} characters, this has {len(value)}")
    if values.get("route", UNKNOWN) not in ROUTES:
        raise DomainError(f"{values['route']!r} is not a route; use {', '.join(ROUTES)}")
