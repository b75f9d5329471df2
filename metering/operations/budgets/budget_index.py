"""All budgets, in memory, laid out so that judging costs what was touched and not how many budgets there are.

Budgets that ask for the same sum (account, window, scope, basis) are one group. A group keeps the amounts at which any of its
budgets has something to tell, in order, and how far each period has come among them: a sum is compared with the next one only.
"""

from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct, field
from sqlalchemy import Connection

from metering.domain.budgets.budgets import BLOCKED, THRESHOLD_REACHED, BudgetBasis, Scope, Trigger, amount_at
from metering.domain.budgets.periods import Period, Window, fixed_period, period_at
from metering.storage.budgets.budgets import (
    EvaluatedBudget,
    accounts_changed_after,
    accounts_with_budgets,
    evaluated_budgets,
    newest_revision_id,
    parse_scope,
    parse_thresholds,
)

Values = tuple[str, ...]


class TriggerEntry(NamedTuple):
    """Something that a budget tells: ordered by amount, then by budget; a threshold before the block at the same percentage."""

    nano: int
    budget_id: int
    percent: int
    blocks: bool

    @property
    def trigger(self) -> Trigger:
        """What it tells."""
        return Trigger(self.nano, self.percent, BLOCKED if self.blocks else THRESHOLD_REACHED)


class TriggerGroup(Struct, eq=False):
    """What budgets that ask for the same sum tell, by amount; ``told`` is how many of it each period was found to have told."""

    scope: Scope
    entries: list[TriggerEntry] = field(default_factory=list)
    told: dict[Period, int] = field(default_factory=dict)

    def reached(self, period: Period, spent_nano: int) -> list[TriggerEntry]:
        """Return what a sum reaches and was not found to be told before."""
        first = self.told.get(period, 0)
        if first == len(self.entries) or spent_nano < self.entries[first].nano:
            return []
        return self.entries[first : self._reached(spent_nano)]

    def note_told(self, period: Period, spent_nano: int) -> None:
        """Remember that all that a sum reaches has been told. What is told stays told when the sum falls."""
        self.told[period] = max(self.told.get(period, 0), self._reached(spent_nano))

    def _reached(self, spent_nano: int) -> int:
        return bisect_right(self.entries, spent_nano, key=lambda entry: entry.nano)


class Family(Struct, eq=False):
    """The groups of one account that ask about the same days, by the same dimensions.

    ``exact`` are those whose scope has one value in each dimension, by these; ``wide`` the others.
    """

    window: Window
    fixed: Period | None
    basis: BudgetBasis
    dimensions: Values
    exact: dict[Values, TriggerGroup] = field(default_factory=dict)
    wide: dict[tuple[Values, ...], TriggerGroup] = field(default_factory=dict)

    def periods(self, by_window: dict[Window, list[Period]], days: Iterable[int]) -> list[Period]:
        """Return the periods that days are in."""
        if self.fixed is None:
            return by_window[self.window]
        return [self.fixed] if any(self.fixed.first_day <= day < self.fixed.end_day for day in days) else []

    def group_for(self, scope: Scope) -> TriggerGroup:
        """Return the group of a scope, made where there is none."""
        values = tuple(scope.values())
        if all(len(each) == 1 for each in values):
            return self.exact.setdefault(tuple(each[0] for each in values), TriggerGroup(scope))
        return self.wide.setdefault(values, TriggerGroup(scope))


class BudgetIndex:
    """The budgets of the accounts that were asked for, as they are judged."""

    def __init__(self) -> None:
        self._newest = 0
        self._families: dict[int, list[Family]] = {}

    def refresh(self, connection: Connection) -> None:
        """Forget the accounts of whose budgets something was said since the last time."""
        newest = newest_revision_id(connection)
        if newest != self._newest:
            for account_id in accounts_changed_after(connection, self._newest):
                self._families.pop(account_id, None)
            self._newest = newest

    def accounts(self, connection: Connection) -> list[int]:
        """Return the accounts that have budgets."""
        return accounts_with_budgets(connection)

    def families_of(self, connection: Connection, account_id: int) -> list[Family]:
        """Return the account's budgets; ``refresh`` was called in the same transaction."""
        if account_id not in self._families:
            self._families[account_id] = families(evaluated_budgets(connection, account_id))
        return self._families[account_id]


def families(budgets: Iterable[EvaluatedBudget]) -> list[Family]:
    """Lay out the budgets of one account."""
    found: dict[tuple[Window, Period | None, BudgetBasis, Values], Family] = {}
    groups: dict[tuple[object, ...], TriggerGroup] = {}
    for budget in budgets:
        asks = budget[_FIRST_ASKED:_LAST_ASKED]
        group = groups.get(asks)
        if group is None:
            group = groups[asks] = _group_for(budget, found)
        amount, budget_id = budget.amount_nano, budget.id
        for percent in parse_thresholds(budget.thresholds):
            group.entries.append(TriggerEntry(amount_at(amount, percent), budget_id, percent, blocks=False))
        if budget.block_percent is not None:
            group.entries.append(
                TriggerEntry(amount_at(amount, budget.block_percent), budget_id, budget.block_percent, blocks=True)
            )
    for group in groups.values():
        group.entries.sort()
    return list(found.values())


def _group_for(budget: EvaluatedBudget, found: dict[tuple[Window, Period | None, BudgetBasis, Values], Family]) -> TriggerGroup:
    scope = parse_scope(budget.scope)
    first, end = budget.first_day, budget.end_day
    fixed = None if first is None or end is None else fixed_period(first, end)
    key = (Window(budget.window), fixed, BudgetBasis(budget.basis), tuple(scope))
    return found.setdefault(key, Family(*key)).group_for(scope)


_FIRST_ASKED = EvaluatedBudget._fields.index("scope")
_LAST_ASKED = EvaluatedBudget._fields.index("basis") + 1


def periods_by_window(days: Iterable[int]) -> dict[Window, list[Period]]:
    """Return the periods that days are in, of each window that is not fixed."""
    wanted = sorted(set(days))
    return {
        window: sorted({_period_at(window, day) for day in wanted}, key=lambda period: period.first_day)
        for window in Window
        if window is not Window.FIXED
    }


_period_at = lru_cache(maxsize=8192)(period_at)
