"""Re-rating: the scope of a run, its state, and the charges it changes.

Only priced events can be re-rated: unpriced events wait for ``rate``, and failed requests owe nothing. A cost reported by the
provider is replaced only on request. A charge for which no price is known anymore is kept, because unknown is not zero; such
charges are counted.
"""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct, field

from metering.domain.errors import DomainError
from metering.domain.usage.events import PriceGrade
from pricing.rates import Rate


class RerateScope(Struct, frozen=True):
    """Charges of events in ``[start, end)`` (microseconds UTC).

    ``account_id`` None: all accounts. ``provider`` and ``model`` are names as the records stated them; None: any.
    """

    account_id: int | None
    start: int
    end: int
    provider: str | None = None
    model: str | None = None
    include_reported: bool = False

    def check(self) -> None:
        """Raise DomainError for a period that does not end after it starts."""
        if self.end <= self.start:
            raise DomainError("the period must end after it starts")

    @property
    def grades(self) -> frozenset[int]:
        """The price grades of charges that may be replaced."""
        return frozenset({int(PriceGrade.RATED), *([int(PriceGrade.REPORTED)] if self.include_reported else [])})


class RerateGroup(NamedTuple):
    """The group of a changed charge. ``month`` (``YYYYMM``) is the event's; models folded by the series cap are one model."""

    account_id: int
    provider: str
    model: str
    month: int


class RerateTotals(Struct):
    """A number of charges that change, and their sums before and after in nano-USD."""

    events: int = 0
    before_nano: int = 0
    after_nano: int = 0

    @property
    def difference_nano(self) -> int:
        """After less before."""
        return self.after_nano - self.before_nano

    def add(self, events: int, before_nano: int, after_nano: int) -> None:
        """Add charges that change."""
        self.events += events
        self.before_nano += before_nano
        self.after_nano += after_nano


class RerateSummary(Struct):
    """Result of examining charges.

    ``examined`` charges are in the scope and priced. ``kept`` of them keep their charge because no price is known anymore, or
    only one that makes no valid charge. ``by_group`` holds the totals of those that change.
    """

    examined: int = 0
    kept: int = 0
    by_group: dict[RerateGroup, RerateTotals] = field(default_factory=dict)

    @property
    def total(self) -> RerateTotals:
        """Everything that changes."""
        total = RerateTotals()
        for group in self.by_group.values():
            total.add(group.events, group.before_nano, group.after_nano)
        return total

    def include(self, other: "RerateSummary") -> None:
        """Add the result for other charges."""
        self.examined += other.examined
        self.kept += other.kept
        for group, totals in other.by_group.items():
            self.by_group.setdefault(group, RerateTotals()).add(totals.events, totals.before_nano, totals.after_nano)


class RerateCursor(NamedTuple):
    """The event that was examined last, in the order of account, event time and ID."""

    account_id: int
    event_time: int
    event_id: int


class RerateRun(Struct, frozen=True):
    """A re-rating run. Times are microseconds UTC, amounts nano-USD; counts and amounts cover all charges up to the cursor."""

    id: int
    scope: RerateScope
    reason: str
    newest_table_id: int
    requested_at: int
    finished_at: int | None
    cursor: RerateCursor
    events_examined: int = 0
    events_changed: int = 0
    events_kept: int = 0
    before_nano: int = 0
    after_nano: int = 0


class RunSums(NamedTuple):
    """Number of reversals and replacements that a run wrote, and the nano-USD of each."""

    reversals: int
    replacements: int
    before_nano: int
    after_nano: int


class RerateResult(Struct, frozen=True):
    """A run in its current state, and the summary of the charges that were examined just now (all, unless it was resumed)."""

    run: RerateRun
    done_now: RerateSummary


def has_current_prices(charged: Rate | None, current: Rate) -> bool:
    """Whether a charge at the rate ``charged`` has the prices of the current rate.

    Rates with equal prices are the same: a new price table that repeats a price corrects nothing.
    """
    return charged is not None and (charged.id == current.id or _prices(charged) == _prices(current))


def _prices(rate: Rate) -> Mapping[str, object]:
    return dict(rate.prices)
