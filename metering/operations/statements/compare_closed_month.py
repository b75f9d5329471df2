"""What has changed about a closed month since: what computing it again would say, and which corrections carry it."""

from sqlalchemy import Engine

from metering.domain.accounts.plan_history import plan_month
from metering.domain.credits.credit_ledger import EntryKind
from metering.domain.errors import NotFoundError
from metering.domain.instants import format_month, month_of, next_month
from metering.domain.statements.account_books import AccountBooks, open_months
from metering.domain.statements.closed_month_drift import ClosedMonthDrift, StatementCorrection
from metering.operations.steps.find_account import find_account
from metering.operations.steps.read_books import read_books, stored_statement
from metering.storage.engine.database import read_snapshot
from metering.storage.statements.statements import statement_of_month
from pricing.plans import PlanCatalogue


def compare_closed_month(engine: Engine, account: str, month: int, catalogue: PlanCatalogue, *, now: int) -> ClosedMonthDrift:
    """Return what has changed about a closed month. Raises NotFoundError for a month that is not closed."""
    with read_snapshot(engine) as connection:
        row = find_account(connection, account)
        closed = statement_of_month(connection, row.id, month)
        if closed is None:
            raise NotFoundError(f"{format_month(month)} of {account[:80]!r} is not closed")
        statement = stored_statement(connection, closed)
        books = read_books(connection, row.id)
    corrections = _corrections(books, month, catalogue, now)
    own = books.usage_by_origin().get(month, 0)
    credits_nano = statement.credits.applied_nano + sum(each.credits_nano for each in corrections)
    return ClosedMonthDrift(statement, own, credits_nano, plan_month(books.plan_changes, month, catalogue), corrections)


def _corrections(books: AccountBooks, month: int, catalogue: PlanCatalogue, now: int) -> list[StatementCorrection]:
    last = max(month_of(now), books.next_open or 0)
    entries = [*books.entries, *(entry for booked in open_months(books, last, catalogue) for entry in booked.entries)]
    found = []
    at = next_month(month)
    while at <= last:
        usage = books.usage.get((at, month), 0)
        adjusted = sum(each.amount_nano for each in books.adjustments_on(at) if each.origin_month == month)
        paid = -sum(
            entry.amount_nano
            for entry in entries
            if (entry.billing_month, entry.usage_month) == (at, month) and entry.kind in (EntryKind.APPLY, EntryKind.RESTORE)
        )
        if usage or adjusted or paid:
            found.append(StatementCorrection(at, at in books.closed, usage, adjusted, paid))
        at = next_month(at)
    return found
