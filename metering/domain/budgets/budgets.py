"""Budgets: limits on spend per period, their scope, and the thresholds that raise alerts.

Charges count by event time, so late and corrected usage counts in the period in which it happened. Percentages are whole
numbers. Usage without a price adds nothing to the spend; its requests are counted separately.
"""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from metering.domain.budgets.periods import Period, Window, fixed_period, period_at
from metering.domain.charges.spend import TAG_PREFIX
from metering.domain.errors import DomainError
from metering.domain.instants import MICROS_PER_DAY, date_of, first_day
from metering.domain.usage.events import MAX_NAME_LENGTH
from pricing.dollars import display_nano, with_dollar_sign
from pricing.money import NANO_PER_USD

SCOPE_DIMENSIONS = ("provider", "model", "project", "key")
DEFAULT_THRESHOLDS = (50, 80, 100)
MAX_PERCENT = 1_000
MAX_THRESHOLDS = 50
MAX_SCOPE_VALUES = 100
MAX_AMOUNT_NANO = 1_000_000_000 * NANO_PER_USD
FULL = 100

THRESHOLD_REACHED = "budget.threshold_reached"
FORECAST_EXCEEDED = "budget.forecast_exceeded"
BLOCKED = "budget.blocked"

_EARLIEST_DAY = first_day(202001)
_LATEST_DAY = first_day(210001)
_MAX_FIXED_DAYS = 3_660

Scope = dict[str, tuple[str, ...]]
"""The values that count, by dimension: a request must match one value of each. Empty: all usage of the account."""


class Action(StrEnum):
    """What a budget does: raise alerts, or also report that the requests in its scope are blocked."""

    NOTIFY = "notify"
    BLOCK = "block"


class BudgetBasis(StrEnum):
    """Which charges count: all charges of every route, or the month's billable charges that credits do not cover."""

    GROSS = "gross"
    AFTER_CREDITS = "after_credits"


class BudgetError(DomainError):
    """An invalid budget; ``code`` identifies the problem: ``invalid_amount``, ``invalid_threshold`` and others."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class BudgetTerms(Struct, frozen=True, kw_only=True):
    """The terms of a budget. Only a fixed window has days, ``[first_day, end_day)``, counted from 1970.

    All percentages are of the amount. ``forecast_percent`` None: no alerts on forecasts. ``block_percent`` is the threshold of
    the action ``block``; None with ``notify``. Raises BudgetError.
    """

    amount_nano: int
    window: Window = Window.MONTH
    scope: Scope = {}
    first_day: int | None = None
    end_day: int | None = None
    thresholds: tuple[int, ...] = DEFAULT_THRESHOLDS
    forecast_percent: int | None = None
    action: Action = Action.NOTIFY
    block_percent: int | None = None
    basis: BudgetBasis = BudgetBasis.GROSS
    name: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.amount_nano <= MAX_AMOUNT_NANO:
            amount = with_dollar_sign(display_nano(self.amount_nano))
            raise BudgetError("invalid_amount", f"a budget must be more than $0 and at most $1,000,000,000, got {amount}")
        if len(self.name) > MAX_NAME_LENGTH or not (self.name.isprintable() or not self.name):
            raise BudgetError("invalid_request", f"a budget name must be at most {MAX_NAME_LENGTH} printable characters")
        _check_percentages(self)
        _check_window(self)
        _check_scope(self.scope)
        if self.basis is BudgetBasis.AFTER_CREDITS and (self.window is not Window.MONTH or self.scope):
            raise BudgetError(
                "invalid_basis",
                "credits cover an account's whole month: a budget with the basis after_credits needs the window month and no"
                " scope",
            )

    def period_of(self, day: int) -> Period | None:
        """Return the period that contains a day; None if a fixed window does not."""
        if self.window is not Window.FIXED:
            return period_at(self.window, day)
        period = self.current_period(day * MICROS_PER_DAY)
        return period if period.first_day <= day < period.end_day else None

    def current_period(self, now: int) -> Period:
        """Return the period at ``now``; for a fixed window its only period, even if past or future."""
        if self.first_day is not None and self.end_day is not None:
            return fixed_period(self.first_day, self.end_day)
        return period_at(self.window, now // MICROS_PER_DAY)

    def covers(self, dimensions: Collection[tuple[str, str]]) -> bool:
        """Return whether a request with these (dimension, value) pairs is in scope; a missing dimension is empty."""
        given = dict(dimensions)
        return all(given.get(name, "") in values for name, values in self.scope.items())


class Budget(NamedTuple):
    """A budget with the terms of one of its revisions. ``revision_id`` orders the revisions of all budgets."""

    id: int
    account_id: int
    created_at: int
    revision_id: int
    revision: int
    archived: bool
    terms: BudgetTerms
    recorded_by: str
    recorded_at: int


def apply_changes(terms: BudgetTerms, changes: Mapping[str, Any]) -> BudgetTerms:
    """Return terms with some fields changed, and the fields that depend on them. Raises BudgetError.

    A window that is no longer fixed loses its days. The action ``block`` starts at FULL unless a percentage is given.
    """
    fields = dict(changes)
    if fields.get("window", terms.window) is not Window.FIXED and terms.window is Window.FIXED:
        fields = {"first_day": None, "end_day": None} | fields
    action = fields.get("action", terms.action)
    if action is Action.BLOCK:
        if fields.get("block_percent") is None:
            fields["block_percent"] = FULL if terms.block_percent is None else terms.block_percent
    elif terms.action is Action.BLOCK:
        fields.setdefault("block_percent", None)
    return replace(terms, **fields)


class Trigger(NamedTuple):
    """A point at which a budget raises an alert of ``type``: ``percent`` of its amount, which is ``nano`` nano-USD of spend."""

    nano: int
    percent: int
    type: str


def triggers(terms: BudgetTerms) -> list[Trigger]:
    """Return the triggers of a budget, in the order in which rising spend reaches them."""
    points = [(percent, THRESHOLD_REACHED) for percent in terms.thresholds]
    if terms.block_percent is not None:
        points.append((terms.block_percent, BLOCKED))
    # At the same percentage the threshold precedes the block.
    points.sort(key=lambda each: (each[0], each[1] == BLOCKED))
    return [Trigger(amount_at(terms.amount_nano, percent), percent, type_) for percent, type_ in points]


def amount_at(amount_nano: int, percent: int) -> int:
    """Return the lowest whole number of nano-USD that is at least ``percent`` of an amount."""
    return -(-amount_nano * percent // FULL)


def due_triggers(terms: BudgetTerms, spent_nano: int, fired: Collection[tuple[str, int]]) -> list[Trigger]:
    """Return the triggers that spend has reached, in order, except those whose (type, percent) is in ``fired``."""
    return [each for each in triggers(terms) if spent_nano >= each.nano and (each.type, each.percent) not in fired]


def amount_number(changed_at: Iterable[int], period: Period) -> int:
    """Return how often a budget's amount was changed within a period, given when it was changed (microseconds UTC).

    Alerts are about an amount: after a change they are raised again for the new one. An amount that was set before the period
    is its first, and one that was set after it changes nothing about it.
    """
    return sum(period.start <= at < period.end for at in changed_at)


def canonical_scope(scope: Scope) -> Scope:
    """Return a scope with its dimensions and values sorted and unique."""
    return {name: tuple(sorted(set(values))) for name, values in sorted(scope.items())}


def _check_percentages(terms: BudgetTerms) -> None:
    if len(terms.thresholds) > MAX_THRESHOLDS:
        count = len(terms.thresholds)
        raise BudgetError("invalid_threshold", f"a budget can have at most {MAX_THRESHOLDS} thresholds, got {count}")
    percentages: list[tuple[str, int | None]] = [("a threshold", percent) for percent in terms.thresholds]
    percentages += [("the forecast threshold", terms.forecast_percent), ("the blocking threshold", terms.block_percent)]
    for what, percent in percentages:
        if percent is not None and not 1 <= percent <= MAX_PERCENT:
            raise BudgetError("invalid_threshold", f"{what} must be a whole percentage from 1 to {MAX_PERCENT}, got {percent}")
    for percent in terms.thresholds:
        if terms.thresholds.count(percent) > 1:
            raise BudgetError("invalid_threshold", f"the threshold {percent} is listed twice")
    if terms.action is Action.BLOCK and terms.block_percent is None:
        raise BudgetError("invalid_threshold", "the action block needs a blocking threshold")
    if terms.action is not Action.BLOCK and terms.block_percent is not None:
        raise BudgetError("invalid_threshold", "a blocking threshold needs the action block")
    if not (terms.thresholds or terms.forecast_percent or terms.block_percent):
        raise BudgetError("invalid_threshold", "a budget needs a threshold: for spend, for the forecast, or for blocking")


def _check_window(terms: BudgetTerms) -> None:
    first, end = terms.first_day, terms.end_day
    if terms.window is not Window.FIXED:
        if first is not None or end is not None:
            raise BudgetError("invalid_window", f"start and end need the window fixed, not {terms.window.value}")
        return
    if first is None or end is None:
        raise BudgetError("invalid_window", "a fixed window needs a start and an end (exclusive)")
    if end <= first:
        raise BudgetError("invalid_window", f"a fixed window must end after it starts, got {date_of(first)} to {date_of(end)}")
    if not (first >= _EARLIEST_DAY and end <= _LATEST_DAY and end - first <= _MAX_FIXED_DAYS):
        raise BudgetError("invalid_window", "a fixed window must be between 2020 and 2100 and at most ten years long")


def _check_scope(scope: Scope) -> None:
    for name, values in scope.items():
        if name not in SCOPE_DIMENSIONS and not (name.startswith(TAG_PREFIX) and name != TAG_PREFIX):
            dimensions = ", ".join(SCOPE_DIMENSIONS)
            raise BudgetError("invalid_scope", f"{name[:40]!r} is not a scope dimension; use {dimensions} or tag:<name>")
        if not 1 <= len(values) <= MAX_SCOPE_VALUES:
            raise BudgetError("invalid_scope", f"{name[:40]} has {len(values)} values; use 1 to {MAX_SCOPE_VALUES}")
        if any(len(value) > MAX_NAME_LENGTH for value in values):
            raise BudgetError("invalid_scope", f"a value of {name[:40]} has more than {MAX_NAME_LENGTH} characters")
    if scope != canonical_scope(scope):
        raise BudgetError("invalid_scope", "the dimensions and values of a scope must be sorted and unique")
