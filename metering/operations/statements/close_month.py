"""Close an account's month: its statement is sealed and never changes again.

One transaction writes the statement with its digest, the credit entries, how far the account is closed, and the alert: all or
nothing. Closing a month that is already closed returns the same statement.
"""

import json
from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import Connection, Engine

from metering.domain.accounts.accounts import UNASSIGNED_ID, UNASSIGNED_NAME, Account
from metering.domain.errors import DomainError
from metering.domain.instants import format_month, month_start, next_month
from metering.domain.statements.account_books import AccountBooks, BookedMonth
from metering.domain.statements.statement_record import canonical_form, digest_of, record_of
from metering.domain.statements.statements import ExcludedUsage, Statement
from metering.operations.steps.find_account import find_account
from metering.operations.steps.raise_alert import raise_alert
from metering.operations.steps.read_books import booked_month, draft_of, read_books, stored_statement, with_usage_by_day
from metering.operations.steps.record_credits import record_entries
from metering.storage.alerts.alerts import NewAlert
from metering.storage.credits.credits import last_entry_id
from metering.storage.engine.database import exclusive_write
from metering.storage.statements.closed_months import advance_closed_through, last_charge_id, lock_for_close
from metering.storage.statements.statements import ClosedStatement, insert_statement, statement_of_month
from pricing.money import NANO_PER_CENT
from pricing.plans import PlanCatalog

STATEMENT_CLOSED = "statement.closed"


class MonthNotOverError(DomainError):
    """A month cannot be closed before it ends."""

    code = "month_not_over"


class EarlierMonthsOpenError(DomainError):
    """Months are closed in order."""

    code = "earlier_months_open"


class UnpricedUsageError(DomainError):
    """Some usage of the month is not priced yet."""

    code = "unpriced_usage"


class NothingToCloseError(DomainError):
    """The account has nothing in the month or before it."""

    code = "nothing_to_close"


class CloseOptions(Struct, frozen=True):
    """``allow_unpriced``: close and flag a month with unpriced usage. ``with_earlier``: close earlier open months first."""

    catalog: PlanCatalog
    allow_unpriced: bool = False
    with_earlier: bool = False


def close_month(engine: Engine, account: str, month: int, how: CloseOptions, *, now: int) -> list[Statement]:
    """Close ``month`` (``YYYYMM``) of an account; return its statement, after those of the earlier months closed with it.

    Each month is closed in its own transaction: if one cannot be closed, those before it stay closed. Raises NotFoundError,
    MonthNotOverError, EarlierMonthsOpenError, UnpricedUsageError, NothingToCloseError.
    """
    closed: list[Statement] = []
    while True:
        with exclusive_write(engine) as connection:
            row = find_account(connection, account)
            # Lock before reading: an event stored after the read would be billed in this month but missing on its statement.
            lock_for_close(connection, row.id)
            stored = statement_of_month(connection, row.id, month)
            if stored is not None:
                return closed or [stored_statement(connection, stored)]
            books = with_usage_by_day(connection, row.id, read_books(connection, row.id), how.catalog)
            closing = _month_to_close(row, books, month, how, now)
            booked = booked_month(books, closing, how.catalog)
            closed.append(_close(connection, row, booked, how, now=now))
        if closing == month:
            return closed


def refuse_unpriced(account: str, month: int, unpriced: Sequence[ExcludedUsage]) -> None:
    """Raise UnpricedUsageError if some usage of a month is not priced yet."""
    if unpriced:
        count = sum(usage.events for usage in unpriced)
        requests, are = ("1 request", "is") if count == 1 else (f"{count:,} requests", "are")
        raise UnpricedUsageError(
            f"{requests} of {account!r} in {format_month(month)} {are} not priced yet: add the missing prices (see"
            " `metering prices unpriced`), or close with --allow-unpriced (HTTP: allow_unpriced); the statement is then"
            " flagged unpriced_usage"
        )


def _close(connection: Connection, account: Account, booked: BookedMonth, how: CloseOptions, *, now: int) -> Statement:
    """Close the next month of a locked account."""
    draft = draft_of(connection, account, booked)
    if not how.allow_unpriced:
        refuse_unpriced(account.name, booked.month, draft.unpriced)
    record_entries(connection, account.id, booked.entries, now=now)
    content = canonical_form(record_of(draft, now))
    stored = ClosedStatement(
        account_id=account.id,
        month=booked.month,
        closed_at=now,
        content=content.decode(),
        digest=digest_of(content),
        total_cents=draft.total_cents,
        carried_cents=draft.carried_out_cents,
        last_charge_id=last_charge_id(connection),
        last_entry_id=last_entry_id(connection, account.id),
    )
    insert_statement(connection, stored)
    advance_closed_through(connection, account.id, booked.month)
    _raise_closed_alert(connection, stored, now=now)
    return stored_statement(connection, stored)


def _month_to_close(account: Account, books: AccountBooks, month: int, how: CloseOptions, now: int) -> int:
    """Return the month to close now: ``month``, or an earlier open one that must be closed first."""
    shown = format_month(month)
    if account.id == UNASSIGNED_ID:
        raise NothingToCloseError(
            f"{UNASSIGNED_NAME!r} holds usage of undeclared accounts and has no statements to close; assign the usage first"
        )
    if now < month_start(next_month(month)):
        raise MonthNotOverError(f"{shown} cannot be closed before it ends on {format_month(next_month(month))}-01 at 00:00 UTC")
    next_open = books.next_open
    if books.closed_through is not None and month <= books.closed_through:
        raise NothingToCloseError(
            f"{account.name!r} is closed through {format_month(books.closed_through)} and has no statement for {shown}"
        )
    if next_open is None or month < next_open:
        raise NothingToCloseError(f"{account.name!r} has no usage, adjustment or paid plan in {shown} or before")
    if next_open < month and not how.with_earlier:
        raise EarlierMonthsOpenError(
            f"{format_month(next_open)} of {account.name!r} is still open: close it first, or close every month up to {shown}"
            " with --with-earlier (HTTP: with_earlier)"
        )
    return next_open


def _raise_closed_alert(connection: Connection, closed: ClosedStatement, *, now: int) -> None:
    period = format_month(closed.month)
    data = {
        "month": period,
        "total_nano_usd": closed.total_cents * NANO_PER_CENT,
        "digest": closed.digest,
    }
    alert = NewAlert(
        STATEMENT_CLOSED, f"account:{closed.account_id}", now, json.dumps(data), period=period, account_id=closed.account_id
    )
    raise_alert(connection, alert, now=now)
