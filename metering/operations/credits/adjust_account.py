"""Adjust what an account owes for a month: an amount without an event, decided by somebody.

It stands on the statement of its month, or, when that is closed, on the first open one, naming the month that it is about.
"""

from sqlalchemy import Connection, Engine

from metering.domain.accounts.accounts import UNASSIGNED_ID, UNASSIGNED_NAME
from metering.domain.credits.adjustments import Adjustment
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
    """Record an adjustment about ``month`` (``YYYYMM``), signed nano-USD; return it with the month it is billed in.

    ``reference`` names the decision: the same again is answered with the first, with other figures it is refused
    (AlreadyExistsError). Raises NotFoundError, and DomainError for a month that is not begun and for an empty reason.
    """
    with exclusive_write(engine) as connection:
        return add_adjustment(connection, account, month, amount_nano, reference=reference, reason=reason, now=now)


def add_adjustment(
    connection: Connection, account: str, month: int, amount_nano: int, *, reference: str, reason: str, now: int
) -> Adjustment:
    """Record an adjustment within a write transaction, as ``adjust_account`` does."""
    _check(month, amount_nano, reference, reason, now)
    row = find_account(connection, account)
    if row.id == UNASSIGNED_ID:
        raise DomainError(f"{UNASSIGNED_NAME!r} holds what nobody has declared; nobody is billed for it")
    for known in adjustments_of(connection, row.id):
        if known.reference == reference:
            if (known.origin_month, known.amount_nano) == (month, amount_nano):
                return known
            raise AlreadyExistsError(f"the reference {reference!r} is another adjustment of {account!r}")
    billed_in = billing_month_of(month, mark_of(connection, row.id).closed_through)
    wanted = Adjustment(
        billing_month=billed_in, origin_month=month, amount_nano=amount_nano, reason=reason, reference=reference
    )
    insert_adjustment(connection, row.id, wanted, now=now)
    return next(known for known in adjustments_of(connection, row.id) if known.reference == reference)


def list_adjustments(engine: Engine, account: str) -> list[Adjustment]:
    """Return an account's adjustments, in the order in which they were recorded. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        return adjustments_of(connection, find_account(connection, account).id)


def _check(month: int, amount_nano: int, reference: str, reason: str, now: int) -> None:
    if month > month_of(now):
        raise DomainError(f"{format_month(month)} has not begun: an adjustment is about a month that there is usage of")
    if not 0 < abs(amount_nano) <= MAX_AMOUNT_NANO:
        raise DomainError("an adjustment must be another amount than zero, and less than nine million dollars")
    for name, text in (("reference", reference), ("reason", reason)):
        if not text.strip() or len(text) > MAX_NAME_LENGTH:
            raise DomainError(f"an adjustment needs a {name} of 1 to {MAX_NAME_LENGTH} characters: it stands on the statement")
