"""Re-rating: which charges are looked at again, and what that changes.

Only what is priced can be re-rated: what is unpriced waits for ``rate``, what failed owes nothing. A cost that the provider
reported stands until somebody asks for it to become a rated one. Where no price is known any more the charge stands, because
unknown is not zero; such events are counted.
"""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct, field

from metering.domain.errors import DomainError
from metering.domain.usage.events import PriceGrade
from pricing.rates import Rate


class RerateScope(Struct, frozen=True):
    """Which charges: of events that happened in ``[start, end)``, microseconds UTC.

    ``account_id`` None is every account. ``provider`` and ``model`` are names as the records stated them, None for any.
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
        """The grades of charges that may be replaced."""
        return frozenset({int(PriceGrade.RATED), *([int(PriceGrade.REPORTED)] if self.include_reported else [])})


EffectKey = tuple[int, str, str, int]
"""(account id, provider, model, month of the event as ``YYYYMM``); models that the cap folded are one."""


class Effect(Struct):
    """What changes of one kind of usage: how many events, and what they cost before and after, in nano-USD."""

    events: int = 0
    before_nano: int = 0
    after_nano: int = 0

    def add(self, events: int, before_nano: int, after_nano: int) -> None:
        """Count events that change."""
        self.events += events
        self.before_nano += before_nano
        self.after_nano += after_nano


class RerateSummary(Struct):
    """What a look at charges came to.

    ``events`` were priced and in the scope; ``kept`` of them stand although no price is known for them any more (or one that
    makes no possible charge); ``by_group`` holds those that change.
    """

    events: int = 0
    kept: int = 0
    by_group: dict[EffectKey, Effect] = field(default_factory=dict)

    @property
    def total(self) -> Effect:
        """All that changes."""
        total = Effect()
        for effect in self.by_group.values():
            total.add(effect.events, effect.before_nano, effect.after_nano)
        return total

    def include(self, other: "RerateSummary") -> None:
        """Add what another look came to."""
        self.events += other.events
        self.kept += other.kept
        for key, effect in other.by_group.items():
            self.by_group.setdefault(key, Effect()).add(effect.events, effect.before_nano, effect.after_nano)


def is_current(charged: Rate | None, applies: Rate) -> bool:
    """Whether a charge at ``charged`` stands where ``applies`` is the rate by now.

    A rate with the same prices is the same price: a new version of a table that repeats it corrects nothing.
    """
    return charged is not None and (charged.id == applies.id or _prices(charged) == _prices(applies))


def _prices(rate: Rate) -> Mapping[str, object]:
    return dict(rate.prices)


class RerateCursor(NamedTuple):
    """The event that was examined last: all before it, by account, time and id, are done."""

    account_id: int
    event_time: int
    event_id: int


class RerateRun(Struct, frozen=True):
    """A run. Times are microseconds UTC, amounts nano-USD; the counts are of everything up to the cursor."""

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
    """What the charges of a run come to: how often it took back and replaced, and the nano-USD of each."""

    reversals: int
    replacements: int
    before_nano: int
    after_nano: int


class RerateResult(Struct, frozen=True):
    """A run as it stands, and what the part of it that was done now came to: all of it, unless it was resumed."""

    run: RerateRun
    done_now: RerateSummary
