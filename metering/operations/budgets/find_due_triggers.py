"""Find the budget triggers that usage on some days of an account has reached. The caller raises their alerts."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from metering.domain.budgets.budgets import BudgetBasis
from metering.domain.budgets.periods import Period, Window
from metering.operations.budgets.account_spend import AccountSpend
from metering.operations.budgets.budget_index import TriggerEntry, TriggerGroup, WindowGroups, periods_by_window
from metering.storage.budgets.budget_spend import SeriesSpend


class DueTriggers(NamedTuple):
    """The triggers of a group that its spend in a period has reached and that are not known to have fired."""

    group: TriggerGroup
    period: Period
    spend: SeriesSpend

    @property
    def entries(self) -> list[TriggerEntry]:
        """The triggers, in order."""
        return self.group.due(self.period, self.spend.amount_nano)


def find_due_triggers(groups: Collection[WindowGroups], spend: AccountSpend, days: Collection[int]) -> list[DueTriggers]:
    """Return the triggers that are due in the periods that contain ``days``."""
    if not groups:
        return []
    by_window = periods_by_window(days)
    if any(each.window is Window.DAY for each in groups):
        spend.read_days(sorted(set(days)))
    billed = None
    if any(each.basis is BudgetBasis.AFTER_CREDITS for each in groups):
        billed = periods_by_window(spend.billed_days(days))
    return [
        due
        for each in groups
        for period in each.periods(billed if billed and each.basis is BudgetBasis.AFTER_CREDITS else by_window, days)
        for due in _in_period(each, period, spend)
        if due.entries
    ]


def _in_period(groups: WindowGroups, period: Period, spend: AccountSpend) -> Iterator[DueTriggers]:
    if groups.basis is BudgetBasis.AFTER_CREDITS:
        unpriced = spend.within({}, period.first_day, period.end_day).unpriced_events
        uncovered = SeriesSpend(spend.after_credits(period), unpriced)
        yield from (DueTriggers(group, period, uncovered) for group in groups.exact.values())
        return
    for values, amount in spend.sums(period.first_day, period.end_day, groups.dimensions).items():
        group = groups.exact.get(values)
        if group is not None:
            yield DueTriggers(group, period, amount)
    for group in groups.wide.values():
        yield DueTriggers(group, period, spend.within(group.scope, period.first_day, period.end_day))
