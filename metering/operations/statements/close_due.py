"""Close every month that is due: past its end and grace period, and the next to close of its account.

A month that cannot be closed stays open and raises one alert. It does not keep other accounts from being closed, even if the
cause is a bug. The check runs every minute, so it takes no write lock unless there is something to close or to report.
"""

import json
import logging
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import StatementError

from metering.domain.accounts.accounts import UNASSIGNED_ID, Account
from metering.domain.errors import DomainError
from metering.domain.instants import format_month, next_month
from metering.domain.statements.close_failure import CloseFailure
from metering.domain.statements.statements import Statement
from metering.operations.statements.close_month import CloseOptions, close_month, refuse_unpriced
from metering.operations.statements.close_settings import is_close_due
from metering.operations.steps.first_months import first_months, recorded_at
from metering.operations.steps.raise_alert import raise_alert
from metering.operations.steps.read_books import unpriced_of_month
from metering.storage.accounts.accounts import account_with_id
from metering.storage.alerts.alerts import NewAlert, thresholds_raised
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.statements.closed_months import mark_of, marks_after

STATEMENT_NOT_CLOSED = "statement.not_closed"
INTERNAL_ERROR = "internal_error"
_ACCOUNTS_AT_ONCE = 500

_log = logging.getLogger(__name__)


def close_due_months(engine: Engine, how: CloseOptions, *, grace_hours: int, now: int) -> Iterator[Statement | CloseFailure]:
    """Close the months that are due at ``now``, by account and month; yield each closed statement and each failure."""
    after = UNASSIGNED_ID
    while True:
        with read_snapshot(engine) as connection:
            marks = marks_after(connection, after, _ACCOUNTS_AT_ONCE)
            first = first_months(connection, [mark.account_id for mark in marks if mark.closed_through is None])
            without_usage = [mark.account_id for mark in marks if mark.first_ingest_at is None]
            recorded = recorded_at(connection, without_usage) if without_usage else {}
        for mark in marks:
            month = first.get(mark.account_id) if mark.closed_through is None else next_month(mark.closed_through)
            since = recorded.get(mark.account_id) if mark.first_ingest_at is None else mark.first_ingest_at
            if month is not None and since is not None and is_close_due(month, since, grace_hours, now):
                yield from _close_account(engine, mark.account_id, month, how, _Grace(since, grace_hours), now=now)
        if len(marks) < _ACCOUNTS_AT_ONCE:
            return
        after = marks[-1].account_id


class _Grace(NamedTuple):
    """When an account was first known to have something to bill (microseconds UTC), and the hours to wait."""

    since: int
    hours: int


def _close_account(
    engine: Engine, account_id: int, month: int, how: CloseOptions, grace: _Grace, *, now: int
) -> Iterator[Statement | CloseFailure]:
    while is_close_due(month, grace.since, grace.hours, now):
        with read_snapshot(engine) as connection:
            account = account_with_id(connection, account_id)
        if account is None:
            return
        try:
            closed = _close_if_priced(engine, account, month, how, now=now)
        except Exception as error:
            failure = _failure(account, month, error)
            _raise_alert_once(engine, failure, now)
            yield failure
            return
        yield from closed
        month = next_month(month)


def _close_if_priced(engine: Engine, account: Account, month: int, how: CloseOptions, *, now: int) -> list[Statement]:
    """Close a month. Check for unpriced usage before taking the lock, so that a refused month blocks no writer."""
    if not how.allow_unpriced:
        with read_snapshot(engine) as connection:
            closed_through = mark_of(connection, account.id).closed_through
            if closed_through is None or closed_through < month:
                refuse_unpriced(account.name, month, unpriced_of_month(connection, account.id, month))
    return close_month(engine, account.name, month, how, now=now)


def _failure(account: Account, month: int, error: Exception) -> CloseFailure:
    if isinstance(error, DomainError):
        return CloseFailure(account.id, account.name, month, error.code, str(error))
    if isinstance(error, StatementError):
        error.hide_parameters = True  # they may hold client data
    _log.error("closing %s of %s failed", format_month(month), account.name, exc_info=error)
    reason = f"internal error ({type(error).__name__}): see the service log; closing will be retried"
    return CloseFailure(account.id, account.name, month, INTERNAL_ERROR, reason)


def _raise_alert_once(engine: Engine, failure: CloseFailure, now: int) -> None:
    subject, period = f"account:{failure.account_id}", format_month(failure.month)
    with read_snapshot(engine) as connection:
        if thresholds_raised(connection, STATEMENT_NOT_CLOSED, subject, period):
            return
    data = json.dumps({"month": period, "code": failure.code, "reason": failure.reason})
    alert = NewAlert(STATEMENT_NOT_CLOSED, subject, now, data, period=period, account_id=failure.account_id)
    with exclusive_write(engine) as connection:
        raise_alert(connection, alert, now=now)
