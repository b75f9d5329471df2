"""Reading an account's books, and its statements: closed ones from storage, open ones as closing them now would make them."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace
from sqlalchemy import Connection

from metering.domain.accounts.accounts import Account
from metering.domain.accounts.plan_history import plan_month
from metering.domain.credits.credit_ledger import credits_on_statement
from metering.domain.statements.account_books import AccountBooks, BookedMonth, open_months
from metering.domain.statements.statement_record import StatementRecord, read_record, statement_of
from metering.domain.statements.statements import OutsideUsage, Statement, UsageSums, draft_statement, unpriced_usage
from metering.domain.usage.events import PriceGrade
from metering.storage.accounts.plans import plan_changes_of
from metering.storage.charges.billed_usage import billable_by_months, previously_unpriced, usage_of_month
from metering.storage.credits.adjustments import adjustments_of
from metering.storage.credits.credits import grants_of, ledger_of, used_elsewhere
from metering.storage.prices.price_tables import load_rates
from metering.storage.statements.closed_months import mark_of
from metering.storage.statements.statements import ClosedStatement, closed_months, statement_of_month
from pricing.plans import PlanCatalogue
from pricing.rates import Rate


def read_books(connection: Connection, account_id: int) -> AccountBooks:
    """Return all that is recorded of an account and that its statements are made of, except for the lines of usage."""
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


def statement_of_account(connection: Connection, account: Account, month: int, catalogue: PlanCatalogue) -> Statement:
    """Return the statement of an account's month, closed or as a draft."""
    closed = statement_of_month(connection, account.id, month)
    if closed is not None:
        return stored_statement(connection, closed)
    return draft_of(connection, account, booked_month(read_books(connection, account.id), month, catalogue))


def stored_statement(connection: Connection, closed: ClosedStatement) -> Statement:
    """Return a closed statement as it was closed."""
    record = read_record(closed.content.encode())
    return statement_of(record, _rates(connection, record), closed.digest)


def booked_month(books: AccountBooks, month: int, catalogue: PlanCatalogue) -> BookedMonth:
    """Return what an open month comes to now."""
    for booked in open_months(books, month, catalogue):
        if booked.month == month:
            return booked
    # Before the first statement of an account: what is billed late of it stands on a later one.
    plan = plan_month(books.plan_changes, month, catalogue)
    return BookedMonth(month=month, plan=plan, credits=credits_on_statement(month, (), 0)[0])


def draft_of(connection: Connection, account: Account, booked: BookedMonth) -> Statement:
    """Return the statement that a month's books and its rollups make."""
    usage = usage_of_month(connection, account.id, booked.month)
    beside = booked.beside
    if _unpriced_late(usage):
        beside = replace(beside, priced_at_last=tuple(previously_unpriced(connection, account.id, booked.month)))
    rates = load_rates(connection, {sums.rate_id for sums in usage if sums.rate_id})
    return draft_statement(account.name, booked.plan, usage, booked.credits, rates, beside)


def unpriced_of_month(connection: Connection, account_id: int, month: int) -> tuple[OutsideUsage, ...]:
    """Return the usage without a price that the draft of an open month shows, without drafting it."""
    usage = usage_of_month(connection, account_id, month)
    return unpriced_usage(usage, previously_unpriced(connection, account_id, month) if _unpriced_late(usage) else ())


def statements_of_account(
    connection: Connection, account: Account, months: list[int], catalogue: PlanCatalogue
) -> Iterator[Statement]:
    """Yield an account's statements of ``months``, in order; its books are read once."""
    books = read_books(connection, account.id)
    drafts = {booked.month: booked for booked in open_months(books, months[-1], catalogue)} if months else {}
    for month in months:
        closed = statement_of_month(connection, account.id, month)
        if closed is not None:
            yield stored_statement(connection, closed)
        else:
            yield draft_of(connection, account, drafts.get(month) or booked_month(books, month, catalogue))


def _unpriced_late(usage: Sequence[UsageSums]) -> bool:
    return any(sums.origin_month and sums.price_grade == PriceGrade.UNPRICED for sums in usage)


def _rates(connection: Connection, record: StatementRecord) -> dict[int, Rate]:
    return load_rates(connection, record.rate_ids) if record.rate_ids else {}
