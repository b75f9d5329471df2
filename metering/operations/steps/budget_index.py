"""All budgets, in memory, laid out so that judging costs what was touched and not how many budgets there are.

Budgets that ask for the same sum (account, window, scope, basis) are one group. A group keeps the amounts at which any of its
budgets has something to tell, in order, and how far each period has come among them: a sum is compared with the next one only.
"""

from bisect import bisect_right
from collections.abc import Iterable

from msgspec import Struct, field
from sqlalchemy import Connection

from metering.domain.budgets import Basis, Scope, Trigger, triggers
from metering.domain.periods import Period, Window, fixed_period, period_at
from metering.storage.budgets import BudgetRow, newest_revision_id, revisions_after

Values = tuple[str, ...]


class Entry(Struct, frozen=True):
    """Something that a budget tells, and when."""

    budget: BudgetRow
    trigger: Trigger


class Group(Struct, eq=False):
    """What budgets that ask for the same sum tell, by amount; ``told`` is how many of it each period was found to have told."""

    scope: Scope
    entries: list[Entry] = field(default_factory=list)
    amounts: list[int] = field(default_factory=list)
    told: dict[Period, int] = field(default_factory=dict)

    def reached(self, period: Period, spent_nano: int) -> list[Entry]:
        """Return what a sum reaches and was not found to be told before."""
        return self.entries[self.told.get(period, 0) : bisect_right(self.amounts, spent_nano)]

    def note_told(self, period: Period, spent_nano: int) -> None:
        """Remember that all that a sum reaches has been told. What is told stays told when the sum falls."""
        self.told[period] = max(self.told.get(period, 0), bisect_right(self.amounts, spent_nano))


class Family(Struct, eq=False):
    """The groups of one account that ask about the same days, by the same dimensions.

    ``exact`` are those whose scope has one value in each dimension, by these; ``wide`` the others.
    """

    window: Window
    fixed: Period | None
    basis: Basis
    dimensions: Values
    exact: dict[Values, Group] = field(default_factory=dict)
    wide: dict[tuple[Values, ...], Group] = field(default_factory=dict)

    def periods(self, by_window: dict[Window, list[Period]], days: Iterable[int]) -> list[Period]:
        """Return the periods that days are in."""
        if self.fixed is None:
            return by_window[self.window]
        return [self.fixed] if any(self.fixed.first_day <= day < self.fixed.end_day for day in days) else []

    def group_for(self, scope: Scope) -> Group:
        """Return the group of a scope, made where there is none."""
        values = tuple(scope.values())
        if all(len(each) == 1 for each in values):
            return self.exact.setdefault(tuple(each[0] for each in values), Group(scope))
        return self.wide.setdefault(values, Group(scope))


class BudgetIndex:
    """The budgets that are not archived, by account."""

    def __init__(self) -> None:
        self._newest = 0
        self._rows: dict[int, dict[int, BudgetRow]] = {}
        self._families: dict[int, list[Family]] = {}

    def refresh(self, connection: Connection) -> None:
        """Take in what was said of budgets since the last time."""
        newest = newest_revision_id(connection)
        if newest == self._newest:
            return
        for row in revisions_after(connection, self._newest):
            self._families.pop(row.account_id, None)
            of_account = self._rows.setdefault(row.account_id, {})
            if row.archived:
                of_account.pop(row.id, None)
            else:
                of_account[row.id] = row
        self._newest = newest

    def accounts(self) -> list[int]:
        """Return the accounts that have budgets."""
        return sorted(account_id for account_id, rows in self._rows.items() if rows)

    def budgets_of(self, account_id: int) -> list[BudgetRow]:
        """Return the account's budgets."""
        return list(self._rows.get(account_id, {}).values())

    def families_of(self, account_id: int) -> list[Family]:
        """Return the account's budgets as they are judged."""
        if account_id not in self._families:
            self._families[account_id] = families(self.budgets_of(account_id))
        return self._families[account_id]


def families(rows: Iterable[BudgetRow]) -> list[Family]:
    """Lay out budgets of one account."""
    found: dict[object, Family] = {}
    told: dict[int, list[tuple[int, int, Entry]]] = {}
    groups: dict[int, Group] = {}
    for row in rows:
        terms = row.terms
        fixed = None if terms.first_day is None or terms.end_day is None else fixed_period(terms.first_day, terms.end_day)
        key = (terms.window, fixed, terms.basis, tuple(terms.scope))
        group = found.setdefault(key, Family(*key)).group_for(terms.scope)
        groups[id(group)] = group
        entries = [(each.nano, row.id, Entry(row, each)) for each in triggers(terms)]
        told.setdefault(id(group), []).extend(entries)
    for identity, group in groups.items():
        # Stable: what a budget tells at the same amount keeps its order.
        ordered = sorted(told[identity], key=lambda each: each[:2])
        group.entries = [entry for _, _, entry in ordered]
        group.amounts = [amount for amount, _, _ in ordered]
    return list(found.values())


def periods_by_window(days: Iterable[int]) -> dict[Window, list[Period]]:
    """Return the periods that days are in, of each window that is not fixed."""
    wanted = sorted(set(days))
    return {
        window: sorted({period_at(window, day) for day in wanted}, key=lambda period: period.first_day)
        for window in Window
        if window is not Window.FIXED
    }
