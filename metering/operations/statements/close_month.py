"""Close a month of an account: from then on its statement is what it was closed as.

One transaction writes the statement with its digest, the credit entries, the mark that the account is closed through the month,
and the alert: all of it or nothing, once. Closing a month that is closed answers with the same statement.
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
from metering.domain.statements.statements import OutsideUsage, Statement
from metering.operations.steps.find_account import find_account
from metering.operations.steps.raise_alert import raise_alert
from metering.operations.steps.read_books import booked_month, draft_of, read_books, stored_statement
from metering.operations.steps.record_credits import record_entries
from metering.storage.alerts.alerts import NewAlert
from metering.storage.credits.credits import last_entry_id
from metering.storage.engine.database import exclusive_write
from metering.storage.statements.closed_months import advance_closed_through, last_charge_id, lock_for_close
from metering.storage.statements.statements import ClosedStatement, insert_statement, statement_of_month
from pricing.money import NANO_PER_CENT
from pricing.plans import PlanCatalogue

STATEMENT_CLOSED = "statement.closed"


class MonthNotOverError(DomainError):
    """A month that has not ended can not be closed."""

    code = "month_not_over"


class EarlierMonthsOpenError(DomainError):
    """Months close in their order."""

    code = "earlier_months_open"


class UnpricedUsageError(DomainError):
    """Some usage of the month has no price yet."""

    code = "unpriced_usage"


class NothingToCloseError(DomainError):
    """The month is before the account's first, or the account has none."""

    code = "nothing_to_close"


class CloseOptions(Struct, frozen=True):
    """How to close: ``allow_unpriced`` usage, which the statement then says; ``with_earlier`` open months first."""

    catalogue: PlanCatalogue
    allow_unpriced: bool = False
    with_earlier: bool = False


def close_month(engine: Engine, account: str, month: int, how: CloseOptions, *, now: int) -> list[Statement]:
    """Close ``month`` (``YYYYMM``) of an account; return its statement, after those of earlier months closed with it.

    Earlier months are closed one by one: where one can not be, those before it stay closed. Raises NotFoundError,
    MonthNotOverError, EarlierMonthsOpenError, UnpricedUsageError, NothingToCloseError.
    """
    closed: list[Statement] = []
    while True:
        with exclusive_write(engine) as connection:
            row = find_account(connection, account)
            # Before anything is read: what is stored meanwhile would be in this month and not on its statement.
            lock_for_close(connection, row.id)
            stored = statement_of_month(connection, row.id, month)
            if stored is not None:
                return closed or [stored_statement(connection, stored)]
            books = read_books(connection, row.id)
            following = _check_month(row, books, month, how, now)
            booked = booked_month(books, following, how.catalogue)
            closed.append(_close(connection, row, booked, how, now=now))
        if following == month:
            return closed


def refuse_unpriced(account: str, month: int, unpriced: Sequence[OutsideUsage]) -> None:
    """Raise UnpricedUsageError where some usage of a month has no price."""
    if unpriced:
        count = sum(usage.events for usage in unpriced)
        raise UnpricedUsageError(
            f"There is no price yet for {count:,} of the requests of {account!r} in {format_month(month)}: price"
            " them (`metering prices unpriced` says what is missing), or close with unpriced usage allowed, which the statement"
            " then says"
        )


def _close(connection: Connection, account: Account, booked: BookedMonth, how: CloseOptions, *, now: int) -> Statement:
    """Close the month that is next of an account that is held."""
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
    _tell(connection, stored, now=now)
    return stored_statement(connection, stored)


def _check_month(account: Account, books: AccountBooks, month: int, how: CloseOptions, now: int) -> int:
    """Return the month to close now: ``month``, or an earlier one that has to be closed before it."""
    shown = format_month(month)
    if account.id == UNASSIGNED_ID:
        raise NothingToCloseError(f"{UNASSIGNED_NAME!r} holds what nobody has declared; it has no statements to close")
    if now < month_start(next_month(month)):
        raise MonthNotOverError(f"{shown} can not be closed: it ends on {format_month(next_month(month))}-01 at 00:00 UTC")
    following = books.next_open
    if books.closed_through is not None and month <= books.closed_through:
        raise NothingToCloseError(
            f"{account.name!r} is closed through {format_month(books.closed_through)}, and has no statement of {shown}"
        )
    if following is None or month < following:
        raise NothingToCloseError(f"{account.name!r} has no usage, adjustment or plan in {shown} or before it")
    if following < month and not how.with_earlier:
        raise EarlierMonthsOpenError(
            f"{format_month(following)} of {account.name!r} is still open: close it before {shown}, or close {shown} together"
            " with all earlier months"
        )
    return following


def _tell(connection: Connection, closed: ClosedStatement, *, now: int) -> None:
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
