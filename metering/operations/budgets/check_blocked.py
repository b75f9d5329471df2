"""Ask whether a budget blocks a request that is about to be made, or what an account does as a whole."""

from collections.abc import Collection

from sqlalchemy import Engine

from metering.domain.budgets.budgets import Action, Budget
from metering.operations.budgets.account_spend import AccountSpend, SeriesValues
from metering.operations.budgets.budget_states import state_of
from metering.storage.budgets.budgets import current_budgets
from metering.storage.engine.database import read_snapshot
from pricing.plans import PlanCatalogue


def blocking_budgets(
    engine: Engine, account_id: int, dimensions: Collection[tuple[str, str]], catalogue: PlanCatalogue, *, now: int
) -> list[Budget]:
    """Return the budgets that block, now, a request of an account with these (dimension, value); nothing: it may be made.

    Dimensions are ``provider``, ``model``, ``project``, ``key`` and ``tag:<name>``; what is not stated is empty. Read from the
    rollups, so that a budget releases with the first question after its spending fell.
    """
    with read_snapshot(engine) as connection:
        rows = current_budgets(connection, account_id=account_id, action=Action.BLOCK)
        spend = AccountSpend(connection, account_id, SeriesValues(), catalogue)
        return [row for row in rows if row.terms.covers(dimensions) and state_of(row.terms, spend, now).blocked]
