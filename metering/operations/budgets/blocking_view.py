"""Read the blocking budgets of accounts, for a gateway that counts what requests cost until it is stored.

The view is exact: it has the spend as of a position of the gateway's journal, with every event up to it and none after it.
"""

from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager

from sqlalchemy import Connection, Engine

from metering.domain.budgets.blocking import BilledAccount, BlockingBudget, BlockingView, blocking_budget
from metering.domain.budgets.budgets import Action, Budget, BudgetBasis
from metering.operations.budgets.account_spend import AccountSpend, SeriesValues
from metering.operations.budgets.budget_states import spend_in
from metering.operations.steps.resolve_accounts import resolve_names
from metering.storage.budgets.budgets import current_budgets, newest_revision_id
from metering.storage.engine.database import read_snapshot
from pricing.plans import PlanCatalog

_NAMES_PER_STATEMENT = 500

Unchanged = Callable[[], AbstractContextManager[int | None]]
"""Keeps the gateway's events from being stored, and gives the position they are stored up to; None: no exact one is known."""


class BlockingBudgets:
    """Reads views. Keeps the budgets and the values of series between them; spend is read every time."""

    def __init__(self, engine: Engine, catalog: PlanCatalog, clock: Callable[[], int], declared_tags: Iterable[str]) -> None:
        self._engine = engine
        self._catalog = catalog
        self._clock = clock
        self._declared_tags = sorted(declared_tags)
        self._values = SeriesValues()
        self._newest_revision = -1
        self._has_blocking = False
        self._budgets: dict[int, list[Budget]] = {}

    def read(self, names: Collection[str], unchanged: Unchanged) -> BlockingView | None:
        """Return the blocking budgets of the accounts with these names; None if no exact position is known."""
        with read_snapshot(self._engine) as connection:
            with unchanged() as as_of:
                # The first read fixes the state that the connection sees.
                newest = newest_revision_id(connection)
            if as_of is None:
                return None
            # Read after that: no event that the connection sees started later, so none is in a period that has yet to begin.
            now = self._clock()
            if newest != self._newest_revision:
                self._newest_revision = newest
                self._budgets = {}
                self._has_blocking = bool(current_budgets(connection, action=Action.BLOCK, limit=1))
            if not self._has_blocking:
                return BlockingView(as_of, {}, [], self._declared_tags, has_blocking=False)
            accounts = _accounts(connection, sorted(names), now)
            budgets = [
                budget
                for account_id in sorted({each.id for each in accounts.values()})
                for budget in self._of_account(connection, account_id, now)
            ]
        return BlockingView(as_of, accounts, budgets, self._declared_tags, has_blocking=True)

    def _of_account(self, connection: Connection, account_id: int, now: int) -> list[BlockingBudget]:
        if account_id not in self._budgets:
            self._budgets[account_id] = current_budgets(connection, account_id=account_id, action=Action.BLOCK)
        spend = AccountSpend(connection, account_id, self._values, self._catalog)
        return [_view_of(budget, spend, now) for budget in self._budgets[account_id]]


def _accounts(connection: Connection, names: list[str], now: int) -> dict[str, BilledAccount]:
    accounts = {}
    for start in range(0, len(names), _NAMES_PER_STATEMENT):
        part = names[start : start + _NAMES_PER_STATEMENT]
        resolved = resolve_names(connection, part)
        for name in part:
            billed = resolved.at(name, now)
            accounts[name] = BilledAccount(billed.account_id, billed.default_route)
    return accounts


def _view_of(budget: Budget, spend: AccountSpend, now: int) -> BlockingBudget:
    period = budget.terms.current_period(now)
    if budget.terms.basis is BudgetBasis.AFTER_CREDITS:
        return blocking_budget(budget, spend.beyond_credits(period), period, only_billable=True)
    return blocking_budget(budget, spend_in(budget.terms, period, spend).amount_nano, period, only_billable=False)
