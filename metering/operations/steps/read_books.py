"""Reading an account's books and its statements: closed ones as stored, open ones as closing them now would seal them."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace
from sqlalchemy import Connection

from metering.domain.accounts.accounts import Account
from metering.domain.accounts.plan_history import plan_month
from metering.domain.credits.credit_ledger import credits_on_statement
from metering.domain.instants import day_number, day_of
from metering.domain.statements.account_books import AccountBooks, BookedMonth, open_months
from metering.domain.statements.statement_record import StatementRecord, read_record, statement_of
from metering.domain.statements.statements import ExcludedUsage, Statement, UsageSums, draft_statement, unpriced_usage
from metering.domain.usage.events import UNKNOWN, PriceGrade
from metering.operations.steps.possible_costs import with_possible_costs
from metering.storage.accounts.plans import plan_changes_of
from metering.storage.charges.billed_usage import billable_by_days, billable_by_months, previously_listed, usage_of_month
from metering.storage.credits.adjustments import adjustments_of
from metering.storage.credits.credits import grants_of, ledger_of, used_elsewhere
from metering.storage.prices.price_tables import load_rates
from metering.storage.statements.closed_months import mark_of
from metering.storage.statements.statements import ClosedStatement, closed_months, statement_of_month
from pricing.plans import PlanCatalog
from pricing.rates import Rate


def books_for_credits(connection: Connection, account_id: int, catalog: PlanCatalog) -> AccountBooks:
    """Return an account's books with what burning credits needs: the usage of days that may have a daily credit."""
    return with_usage_by_day(connection, account_id, read_books(connection, account_id), catalog)


def read_books(connection: Connection, account_id: int) -> AccountBooks:
    """Return everything recorded about an account that its statements depend on, except usage by line and by day."""
    grants = grants_of(connection, account_id)
    closed = closed_months(connection, account_id)
    through = mark_of(connection, account_id).closed_through
    return AccountBooks(
        usage=billable_by_months(connection, account_id),
        adjustments=adjustments_of(connection, account_id),
        plan_changes=plan_changes_of(connection, account_id),
        grants=grants,
        entries=ledger_of(connection, account_id, grants),
        elsewhere=used_elsewhere(connection, account_id),
        closed=frozenset(closed),
        closed_through=through,
        carried_cents=0 if through is None else closed.get(through, 0),
    )


def with_usage_by_day(connection: Connection, account_id: int, books: AccountBooks, catalog: PlanCatalog) -> AccountBooks:
    """Return books with the usage of the days that may have a daily credit; nothing is read if no plan has one."""
    days = [day_of(grant.granted_at) for grant in books.grants if grant.is_daily]
    if catalog.first_daily_credit is not None:
        days.append(day_number(catalog.first_daily_credit))
    return replace(books, usage_by_day=billable_by_days(connection, account_id, min(days))) if days else books


def statement_of_account(connection: Connection, account: Account, month: int, catalog: PlanCatalog) -> Statement:
    """Return an account's statement of a month, closed or draft."""
    closed = statement_of_month(connection, account.id, month)
    if closed is not None:
        return stored_statement(connection, closed)
    booked = booked_month(books_for_credits(connection, account.id, catalog), month, catalog)
    return with_possible_costs(connection, account.id, draft_of(connection, account, booked))


def stored_statement(connection: Connection, closed: ClosedStatement) -> Statement:
    """Return a closed statement from its stored record."""
    record = read_record(closed.content.encode())
    return statement_of(record, _rates(connection, record), closed.digest)


def booked_month(books: AccountBooks, month: int, catalog: PlanCatalog) -> BookedMonth:
    """Return an open month as it would be closed now."""
    for booked in open_months(books, month, catalog):
        if booked.month == month:
            return booked
    # A month before the account's first statement: late usage of it is billed on a later one.
    plan = plan_month(books.plan_changes, month, catalog)
    return BookedMonth(month=month, plan=plan, credits=credits_on_statement(month, (), 0)[0])


def draft_of(connection: Connection, account: Account, booked: BookedMonth) -> Statement:
    """Return the statement of a month from its books and rollups."""
    usage = usage_of_month(connection, account.id, booked.month)
    other = booked.other_items
    if _has_late_listed(usage):
        other = replace(other, previously_listed=tuple(previously_listed(connection, account.id, booked.month)))
    rates = load_rates(connection, {sums.rate_id for sums in usage if sums.rate_id})
    return draft_statement(account.name, booked.plan, usage, booked.credits, rates, other)


def unpriced_of_month(connection: Connection, account_id: int, month: int) -> tuple[ExcludedUsage, ...]:
    """Return the unpriced usage of an open month, as on its draft, without drafting it."""
    usage = usage_of_month(connection, account_id, month)
    return unpriced_usage(usage, previously_listed(connection, account_id, month) if _has_late_listed(usage) else ())


def statements_of_account(
    connection: Connection, account: Account, months: list[int], catalog: PlanCatalog
) -> Iterator[Statement]:
    """Yield an account's statements of ``months``, in order. The books are read once."""
    books = books_for_credits(connection, account.id, catalog)
    drafts = {booked.month: booked for booked in open_months(books, months[-1], catalog)} if months else {}
    for month in months:
        closed = statement_of_month(connection, account.id, month)
        if closed is not None:
            yield stored_statement(connection, closed)
        else:
            yield draft_of(connection, account, drafts.get(month) or booked_month(books, month, catalog))


def _has_late_listed(usage: Sequence[UsageSums]) -> bool:
    return any(sums.origin_month and (sums.price_grade == PriceGrade.UNPRICED or sums.route == UNKNOWN) for sums in usage)


def _rates(connection: Connection, record: StatementRecord) -> dict[int, Rate]:
    return load_rates(connection, record.rate_ids) if record.rate_ids else {}
