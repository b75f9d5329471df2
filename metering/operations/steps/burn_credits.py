"""An account's plan and credits in a month, from everything known now."""

from sqlalchemy import Connection

from metering.domain.accounts.plan_history import PlanMonth, plan_month
from metering.domain.credits.credits import MonthCredits
from metering.operations.steps.read_books import books_for_credits
from pricing.plans import PlanCatalog


def credits_through(
    connection: Connection, account_id: int, month: int, catalog: PlanCatalog
) -> tuple[PlanMonth, MonthCredits]:
    """Return the plan and the credits of ``month``; earlier months have burned their share of purchased credits."""
    books = books_for_credits(connection, account_id, catalog)
    first, inputs = books.burn_inputs(month, catalog)
    return plan_month(books.plan_changes, month, catalog), inputs.burn(first, month)[-1]
