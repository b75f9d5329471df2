"""An in-memory index of all budgets: the cost of an evaluation depends on the usage, not on the number of budgets.

Budgets that need the same sum (account, window, scope, basis) form one group. A group keeps the amounts at which its budgets
raise alerts, in order, and how many of them have fired in each period. A sum is compared only with the next amount.
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
    """A trigger of one budget. Sorted by amount, then by budget; a threshold precedes the block at the same percentage."""

    nano: int
    budget_id: int
    percent: int
    blocks: bool

    @property
    def trigger(self) -> Trigger:
        """The trigger without its budget."""
        return Trigger(self.nano, self.percent, BLOCKED if self.blocks else THRESHOLD_REACHED)


class TriggerGroup(Struct, eq=False):
    """The triggers of all budgets that need the same sum, in order; ``fired`` counts those known to have fired, by period."""

    scope: Scope
    entries: list[TriggerEntry] = field(default_factory=list)
    fired: dict[Period, int] = field(default_factory=dict)

    def due(self, period: Period, spent_nano: int) -> list[TriggerEntry]:
        """Return the triggers that a sum reaches and that are not known to have fired."""
        first = self.fired.get(period, 0)
        if first == len(self.entries) or spent_nano < self.entries[first].nano:
            return []
        return self.entries[first : self._reached(spent_nano)]

    def mark_fired(self, period: Period, spent_nano: int) -> None:
        """Remember that all triggers that a sum reaches have fired. They remain so when the sum falls.

        Call this only after the commit that raised their alerts.
        """
        self.fired[period] = max(self.fired.get(period, 0), self._reached(spent_nano))

    def _reached(self, spent_nano: int) -> int:
        return bisect_right(self.entries, spent_nano, key=lambda entry: entry.nano)


class WindowGroups(Struct, eq=False):
    """The groups of one account that share a window, a basis and the dimensions of their scopes.

    ``exact`` holds those whose scope has a single value per dimension, by these values; ``wide`` the others, by all values.
    """

    window: Window
    fixed: Period | None
    basis: BudgetBasis
    dimensions: Values
    exact: dict[Values, TriggerGroup] = field(default_factory=dict)
    wide: dict[tuple[Values, ...], TriggerGroup] = field(default_factory=dict)

    def periods(self, by_window: dict[Window, list[Period]], days: Iterable[int]) -> list[Period]:
        """Return the periods that contain any of the days."""
        if self.fixed is None:
            return by_window[self.window]
        return [self.fixed] if any(self.fixed.first_day <= day < self.fixed.end_day for day in days) else []

    def group_for(self, scope: Scope) -> TriggerGroup:
        """Return the group of a scope; create it if necessary."""
        values = tuple(scope.values())
        if all(len(each) == 1 for each in values):
            return self.exact.setdefault(tuple(each[0] for each in values), TriggerGroup(scope))
        return self.wide.setdefault(values, TriggerGroup(scope))


class BudgetIndex:
    """The budgets of the accounts that have been evaluated, grouped for evaluation."""

    def __init__(self) -> None:
        self._newest_revision = 0
        self._by_account: dict[int, list[WindowGroups]] = {}

    def refresh(self, connection: Connection) -> None:
        """Drop the accounts whose budgets have new revisions."""
        newest = newest_revision_id(connection)
        if newest != self._newest_revision:
            for account_id in accounts_changed_after(connection, self._newest_revision):
                self._by_account.pop(account_id, None)
            self._newest_revision = newest

    def accounts(self, connection: Connection) -> list[int]:
        """Return the accounts that have budgets."""
        return accounts_with_budgets(connection)

    def groups_of(self, connection: Connection, account_id: int) -> list[WindowGroups]:
        """Return the groups of an account. Call ``refresh`` in the same transaction first."""
        if account_id not in self._by_account:
            self._by_account[account_id] = group_budgets(evaluated_budgets(connection, account_id))
        return self._by_account[account_id]


_GroupsKey = tuple[Window, Period | None, BudgetBasis, Values]


def group_budgets(budgets: Iterable[EvaluatedBudget]) -> list[WindowGroups]:
    """Group the budgets of one account by the sum that they need."""
    by_window: dict[_GroupsKey, WindowGroups] = {}
    by_sum: dict[tuple[object, ...], TriggerGroup] = {}
    for budget in budgets:
        sum_key = (budget.scope, budget.window, budget.first_day, budget.end_day, budget.basis)
        group = by_sum.get(sum_key)
        if group is None:
            group = by_sum[sum_key] = _group_for(budget, by_window)
        amount, budget_id = budget.amount_nano, budget.id
        for percent in parse_thresholds(budget.thresholds):
            group.entries.append(TriggerEntry(amount_at(amount, percent), budget_id, percent, blocks=False))
        if budget.block_percent is not None:
            group.entries.append(
                TriggerEntry(amount_at(amount, budget.block_percent), budget_id, budget.block_percent, blocks=True)
            )
    for group in by_sum.values():
        group.entries.sort()
    return list(by_window.values())


def _group_for(budget: EvaluatedBudget, by_window: dict[_GroupsKey, WindowGroups]) -> TriggerGroup:
    scope = parse_scope(budget.scope)
    first, end = budget.first_day, budget.end_day
    fixed = None if first is None or end is None else fixed_period(first, end)
    key = (Window(budget.window), fixed, BudgetBasis(budget.basis), tuple(scope))
    return by_window.setdefault(key, WindowGroups(*key)).group_for(scope)


def periods_by_window(days: Iterable[int]) -> dict[Window, list[Period]]:
    """Return the periods that contain any of the days, for each window that is not fixed."""
    ordered = sorted(set(days))
    return {
        window: sorted({_period_at(window, day) for day in ordered}, key=lambda period: period.first_day)
        for window in Window
        if window is not Window.FIXED
    }


_period_at = lru_cache(maxsize=8192)(period_at)
