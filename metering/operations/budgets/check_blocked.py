"""Check whether a budget blocks a request before it is made."""

from collections.abc import Collection

from sqlalchemy import Engine

from metering.domain.budgets.budgets import Action, Budget
from metering.operations.budgets.account_spend import AccountSpend, SeriesValues
from metering.operations.budgets.budget_states import state_of
from metering.storage.budgets.budgets import current_budgets
from metering.storage.engine.database import read_snapshot
from pricing.plans import PlanCatalog


def blocking_budgets(
    engine: Engine, account_id: int, dimensions: Collection[tuple[str, str]], catalog: PlanCatalog, *, now: int
) -> list[Budget]:
    """Return the budgets that block a request of an account with these (dimension, value) pairs; empty: it is allowed.

    Dimensions are ``provider``, ``model``, ``project``, ``key`` and ``tag:<name>``; a missing one is empty. Spend is read from
    the rollups on every call, so a budget stops blocking as soon as its spend falls.
    """
    with read_snapshot(engine) as connection:
        budgets = current_budgets(connection, account_id=account_id, action=Action.BLOCK)
        spend = AccountSpend(connection, account_id, SeriesValues(), catalog)
        return [each for each in budgets if each.terms.covers(dimensions) and state_of(each.terms, spend, now).blocked]
