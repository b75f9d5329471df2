"""Compare a closed month with the same month computed now, and find the corrections that carry the difference."""

from sqlalchemy import Engine

from metering.domain.accounts.plan_history import plan_month
from metering.domain.credits.credit_ledger import EntryKind
from metering.domain.credits.credits import months_through
from metering.domain.errors import NotFoundError
from metering.domain.instants import format_month, month_of, next_month
from metering.domain.statements.account_books import AccountBooks, open_months
from metering.domain.statements.closed_month_drift import ClosedMonthDrift, StatementCorrection
from metering.operations.steps.find_account import find_account
from metering.operations.steps.read_books import books_for_credits, stored_statement
from metering.storage.engine.database import read_snapshot
from metering.storage.statements.statements import statement_of_month
from pricing.plans import PlanCatalog


def compare_closed_month(engine: Engine, account: str, month: int, catalog: PlanCatalog, *, now: int) -> ClosedMonthDrift:
    """Return how a closed month differs from the month computed now. Raises NotFoundError if the month is not closed."""
    with read_snapshot(engine) as connection:
        row = find_account(connection, account)
        closed = statement_of_month(connection, row.id, month)
        if closed is None:
            raise NotFoundError(f"{format_month(month)} of {account[:80]!r} is not closed; see `metering statements list`")
        statement = stored_statement(connection, closed)
        books = books_for_credits(connection, row.id, catalog)
    corrections = later_corrections(books, month, catalog, now)
    own = books.usage_by_origin().get(month, 0) + books.total_adjusted(month)
    credits_nano = statement.credits.applied_nano + sum(each.credits_nano for each in corrections)
    plan = plan_month(books.plan_changes, month, catalog)
    return ClosedMonthDrift(statement, own, credits_nano, plan, corrections)


def later_corrections(books: AccountBooks, month: int, catalog: PlanCatalog, now: int) -> list[StatementCorrection]:
    """Return what later statements, closed and open, correct about ``month``."""
    last = max(month_of(now), books.next_open or 0)
    entries = [*books.entries, *(entry for booked in open_months(books, last, catalog) for entry in booked.entries)]
    found = []
    for later in months_through(next_month(month), last):
        usage = books.usage.get((later, month), 0)
        adjusted = sum(each.amount_nano for each in books.adjustments_on(later) if each.origin_month == month)
        paid = -sum(
            entry.amount_nano
            for entry in entries
            if (entry.billing_month, entry.usage_month) == (later, month) and entry.kind in (EntryKind.APPLY, EntryKind.RESTORE)
        )
        if usage or adjusted or paid:
            found.append(StatementCorrection(later, later in books.closed, usage, adjusted, paid))
    return found
