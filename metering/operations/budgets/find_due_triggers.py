"""What budgets have to tell after usage was counted on some days of an account: found from sums, raised by the caller."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from metering.domain.budgets.budgets import BudgetBasis
from metering.domain.budgets.periods import Period, Window
from metering.operations.budgets.account_spend import AccountSpend
from metering.operations.budgets.budget_index import Family, TriggerEntry, TriggerGroup, periods_by_window
from metering.storage.budgets.budget_spend import SeriesSpend


class DueTrigger(NamedTuple):
    """A group whose sum in a period has reached something that was not found to be told."""

    group: TriggerGroup
    period: Period
    spend: SeriesSpend

    @property
    def entries(self) -> list[TriggerEntry]:
        """What is reached."""
        return self.group.reached(self.period, self.spend.amount_nano)


def find_due_triggers(families: Collection[Family], spend: AccountSpend, days: Collection[int]) -> list[DueTrigger]:
    """Return what is due in the periods that ``days`` are in."""
    if not families:
        return []
    by_window = periods_by_window(days)
    if any(family.window is Window.DAY for family in families):
        spend.read_days(sorted(set(days)))
    return [
        due
        for family in families
        for period in family.periods(by_window, days)
        for due in _of_period(family, period, spend)
        if due.entries
    ]


def _of_period(family: Family, period: Period, spend: AccountSpend) -> Iterator[DueTrigger]:
    if family.basis is BudgetBasis.AFTER_CREDITS:
        unpriced = spend.within({}, period.first_day, period.end_day).unpriced_events
        owed = SeriesSpend(spend.after_credits(period), unpriced)
        yield from (DueTrigger(group, period, owed) for group in family.exact.values())
        return
    for values, spent in spend.sums(period.first_day, period.end_day, family.dimensions).items():
        group = family.exact.get(values)
        if group is not None:
            yield DueTrigger(group, period, spent)
    for group in family.wide.values():
        yield DueTrigger(group, period, spend.within(group.scope, period.first_day, period.end_day))
