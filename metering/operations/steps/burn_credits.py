"""An account's credits in a month, over all that is known now: plan, usage and grants put together."""

from sqlalchemy import Connection

from metering.domain.accounts.plan_history import PlanMonth, plan_month
from metering.domain.credits.credits import MonthCredits
from metering.operations.steps.read_books import read_books
from pricing.plans import PlanCatalogue


def credits_through(
    connection: Connection, account_id: int, month: int, catalogue: PlanCatalogue
) -> tuple[PlanMonth, MonthCredits]:
    """Return the plan and the credits of ``month``: purchased credits are what earlier months left of them."""
    books = read_books(connection, account_id)
    first, known = books.known_months(month, catalogue)
    return plan_month(books.plan_changes, month, catalogue), known.burn(first, month)[-1]
