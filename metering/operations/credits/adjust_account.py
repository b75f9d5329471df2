"""Adjust what an account owes for a month: an amount without an event, with a reason.

It is a line on the statement of its month, or on the first open one if that is closed, which then names the month.
"""

from sqlalchemy import Connection, Engine

from metering.domain.accounts.accounts import UNASSIGNED_ID, UNASSIGNED_NAME
from metering.domain.credits.adjustments import OF_USAGE, Adjustment
from metering.domain.errors import AlreadyExistsError, DomainError
from metering.domain.instants import format_month, month_of
from metering.domain.statements.billing_months import billing_month_of
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.steps.find_account import find_account
from metering.storage.credits.adjustments import adjustments_of, insert_adjustment
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.statements.closed_months import mark_of
from pricing.money import MAX_AMOUNT_NANO


def adjust_account(
    engine: Engine, account: str, month: int, amount_nano: int, *, reference: str, reason: str, now: int
) -> Adjustment:
    """Record an adjustment of signed nano-USD about ``month`` (``YYYYMM``); return it with its billing month.

    ``reference`` identifies it: the same reference and amount again returns the first one; a different month or amount raises
    AlreadyExistsError. Raises NotFoundError, and DomainError for a future month, a zero amount or an empty reason.
    """
    with exclusive_write(engine) as connection:
        return add_adjustment(connection, account, month, amount_nano, reference=reference, reason=reason, now=now)


def add_adjustment(
    connection: Connection,
    account: str,
    month: int,
    amount_nano: int,
    *,
    reference: str,
    reason: str,
    now: int,
    adjusts: str = OF_USAGE,
) -> Adjustment:
    """Record an adjustment as ``adjust_account`` does, within a write transaction; of usage or of the total."""
    _check(month, amount_nano, reference, reason, now)
    row = find_account(connection, account)
    if row.id == UNASSIGNED_ID:
        raise DomainError(f"{UNASSIGNED_NAME!r} holds usage of undeclared accounts; it is not billed and cannot be adjusted")
    for known in adjustments_of(connection, row.id):
        if known.reference == reference:
            if (known.origin_month, known.amount_nano) == (month, amount_nano):
                return known
            raise AlreadyExistsError(
                f"the reference {reference!r} belongs to a different adjustment of {account!r}; see `metering statements"
                " adjustments`"
            )
    billed_in = billing_month_of(month, mark_of(connection, row.id).closed_through)
    adjustment = Adjustment(
        billing_month=billed_in,
        origin_month=month,
        amount_nano=amount_nano,
        reason=reason,
        reference=reference,
        adjusts=adjusts,
    )
    insert_adjustment(connection, row.id, adjustment, now=now)
    return next(known for known in adjustments_of(connection, row.id) if known.reference == reference)


def list_adjustments(engine: Engine, account: str, *, after: int = 0, limit: int | None = None) -> list[Adjustment]:
    """Return an account's adjustments with an id above ``after``, in the order they were recorded. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        return adjustments_of(connection, find_account(connection, account).id, after=after, limit=limit)


def _check(month: int, amount_nano: int, reference: str, reason: str, now: int) -> None:
    if month > month_of(now):
        raise DomainError(f"{format_month(month)} has not begun: only the current month and earlier ones can be adjusted")
    if not 0 < abs(amount_nano) <= MAX_AMOUNT_NANO:
        raise DomainError("an adjustment cannot be zero and must be less than nine million dollars")
    for name, text in (("reference", reference), ("reason", reason)):
        if not text.strip() or len(text) > MAX_NAME_LENGTH:
            raise DomainError(f"an adjustment needs a {name} of 1 to {MAX_NAME_LENGTH} characters; the statement shows it")
