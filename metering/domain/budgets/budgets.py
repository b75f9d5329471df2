"""A budget: how much may be spent in a period, by whom on what, and when somebody is told.

It counts what is charged by event time, so that late and corrected usage counts where it happened. Percentages are whole: a
finer one would be passed by a single request. What is unpriced counts nothing and is shown beside it.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from metering.domain.budgets.periods import Period, Window, fixed_period, period_at
from metering.domain.charges.spend import TAG_PREFIX
from metering.domain.errors import DomainError
from metering.domain.instants import MICROS_PER_DAY, date_of, first_day
from metering.domain.usage.events import MAX_NAME_LENGTH
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
"""The values that count, by dimension; a request must have one of them in each. Nothing named: everything of the account."""


class Action(StrEnum):
    """What a budget does: it tells, or it also says that what it is about is blocked."""

    NOTIFY = "notify"
    BLOCK = "block"


class BudgetBasis(StrEnum):
    """What counts: every charge of every route, or the month's billable charges that no credit pays."""

    GROSS = "gross"
    AFTER_CREDITS = "after_credits"


class BudgetError(DomainError):
    """A budget that can not be; ``code`` says what of it: ``invalid_amount``, ``invalid_threshold``, and so on."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class BudgetTerms(Struct, frozen=True, kw_only=True):
    """What a budget says. A fixed window has its days, ``[first_day, end_day)`` since 1970; others have none.

    ``thresholds`` and the other percentages are of the amount. ``forecast_percent`` None: forecasts are not watched.
    ``block_percent`` is when a blocking budget blocks; None with ``notify``. Raises BudgetError.
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
            raise BudgetError("invalid_amount", "a budget is more than nothing and at most a thousand million dollars")
        if len(self.name) > MAX_NAME_LENGTH or not (self.name.isprintable() or not self.name):
            raise BudgetError("invalid_request", f"a name has at most {MAX_NAME_LENGTH} printable characters")
        _check_percentages(self)
        _check_window(self)
        _check_scope(self.scope)
        if self.basis is BudgetBasis.AFTER_CREDITS and (self.window is not Window.MONTH or self.scope):
            raise BudgetError(
                "invalid_basis",
                "credits pay for a month of an account as a whole: with the basis after_credits a budget is by month and has"
                " no scope",
            )

    def period_of(self, day: int) -> Period | None:
        """Return the period that a day is in; None where a fixed window does not hold it."""
        if self.window is not Window.FIXED:
            return period_at(self.window, day)
        period = self.current_period(day * MICROS_PER_DAY)
        return period if period.first_day <= day < period.end_day else None

    def current_period(self, now: int) -> Period:
        """Return the period at an instant; of a fixed window its only one, be it over or to come."""
        if self.first_day is not None and self.end_day is not None:
            return fixed_period(self.first_day, self.end_day)
        return period_at(self.window, now // MICROS_PER_DAY)

    def covers(self, dimensions: Collection[tuple[str, str]]) -> bool:
        """Return whether a request with these (dimension, value) is within the scope; what is not stated is empty."""
        stated = dict(dimensions)
        return all(stated.get(name, "") in values for name, values in self.scope.items())


def changed(terms: BudgetTerms, changes: Mapping[str, Any]) -> BudgetTerms:
    """Return terms with some of their fields changed, and what follows from that. Raises BudgetError.

    A window that is no longer fixed has no days any more; a budget that blocks does so at FULL unless something else is said.
    """
    fields = dict(changes)
    if fields.get("window", terms.window) is not Window.FIXED and terms.window is Window.FIXED:
        fields = {"first_day": None, "end_day": None} | fields
    action = fields.get("action", terms.action)
    if action is Action.BLOCK:
        fields["block_percent"] = fields.get("block_percent") or terms.block_percent or FULL
    elif terms.action is Action.BLOCK:
        fields.setdefault("block_percent", None)
    return replace(terms, **fields)


class Trigger(NamedTuple):
    """An amount at which something is to be told: at ``nano`` spent, ``percent`` of the amount is reached."""

    nano: int
    percent: int
    type: str


def triggers(terms: BudgetTerms) -> list[Trigger]:
    """Return what a budget tells of and when, in the order in which spending meets it."""
    wanted = [(percent, THRESHOLD_REACHED) for percent in terms.thresholds]
    if terms.block_percent is not None:
        wanted.append((terms.block_percent, BLOCKED))
    # A threshold is told before the block at the same percentage.
    wanted.sort(key=lambda each: (each[0], each[1] == BLOCKED))
    return [Trigger(amount_at(terms.amount_nano, percent), percent, type_) for percent, type_ in wanted]


def amount_at(amount_nano: int, percent: int) -> int:
    """Return the least whole nano-USD that are ``percent`` of an amount."""
    return -(-amount_nano * percent // FULL)


def due_triggers(terms: BudgetTerms, spent_nano: int, fired: Collection[tuple[str, int]]) -> list[Trigger]:
    """Return what is to be told now, in order: all that is reached and is not among (type, percent) that fired before."""
    return [each for each in triggers(terms) if spent_nano >= each.nano and (each.type, each.percent) not in fired]


def canonical_scope(scope: Scope) -> Scope:
    """Return a scope with its dimensions and values in order, each once."""
    return {name: tuple(sorted(set(values))) for name, values in sorted(scope.items())}


def _check_percentages(terms: BudgetTerms) -> None:
    if len(terms.thresholds) > MAX_THRESHOLDS:
        raise BudgetError("invalid_threshold", f"a budget has at most {MAX_THRESHOLDS} thresholds, got {len(terms.thresholds)}")
    named: list[tuple[str, int | None]] = [("a threshold", percent) for percent in terms.thresholds]
    named += [("the forecast's threshold", terms.forecast_percent), ("the blocking threshold", terms.block_percent)]
    for what, percent in named:
        if percent is not None and not 1 <= percent <= MAX_PERCENT:
            raise BudgetError("invalid_threshold", f"{what} is a whole percentage from 1 to {MAX_PERCENT}, got {percent}")
    for percent in terms.thresholds:
        if terms.thresholds.count(percent) > 1:
            raise BudgetError("invalid_threshold", f"the threshold {percent} is named twice")
    if (terms.action is Action.BLOCK) != (terms.block_percent is not None):
        raise BudgetError("invalid_threshold", "a blocking threshold is for the action block, which needs one")
    if not (terms.thresholds or terms.forecast_percent or terms.block_percent):
        raise BudgetError("invalid_threshold", "a budget without any threshold would never say a thing")


def _check_window(terms: BudgetTerms) -> None:
    first, end = terms.first_day, terms.end_day
    if terms.window is not Window.FIXED:
        if first is not None or end is not None:
            raise BudgetError("invalid_window", f"a start and an end are for a fixed window, not for a {terms.window.value}")
        return
    if first is None or end is None:
        raise BudgetError("invalid_window", "a fixed window needs a start and an end, the end is no more part of it")
    if end <= first:
        raise BudgetError("invalid_window", f"the window must end after it starts, {date_of(first)} to {date_of(end)} does not")
    if not (first >= _EARLIEST_DAY and end <= _LATEST_DAY and end - first <= _MAX_FIXED_DAYS):
        raise BudgetError("invalid_window", "a fixed window lies between 2020 and 2100 and has at most ten years")


def _check_scope(scope: Scope) -> None:
    for name, values in scope.items():
        if name not in SCOPE_DIMENSIONS and not (name.startswith(TAG_PREFIX) and name != TAG_PREFIX):
            known = ", ".join(SCOPE_DIMENSIONS)
            raise BudgetError("invalid_scope", f"{name[:40]!r} is nothing to narrow a budget by; use {known} or tag:<name>")
        if not 1 <= len(values) <= MAX_SCOPE_VALUES:
            raise BudgetError("invalid_scope", f"{name[:40]} has {len(values)} values; 1 to {MAX_SCOPE_VALUES} are possible")
        if any(len(value) > MAX_NAME_LENGTH for value in values):
            raise BudgetError("invalid_scope", f"a value of {name[:40]} has more than {MAX_NAME_LENGTH} characters")
    if scope != canonical_scope(scope):
        raise BudgetError("invalid_scope", "a scope names its values in order, each once")


class Budget(NamedTuple):
    """A budget as one revision of it says; ``revision_id`` tells the order of all revisions."""

    id: int
    account_id: int
    created_at: int
    revision_id: int
    revision: int
    archived: bool
    terms: BudgetTerms
    recorded_by: str
    recorded_at: int
