"""Decide on a variance: explained, accepted, disputed, resolved, or open again; with who, and why.

A decision is a row of its own. Accepting one can write a correction to the account's month, as an adjustment in the same
transaction: their figure is then ours as well. Where statements were corrected for it before, by another amount, only what is
missing is written, so that what is written always adds up to what the variance came to last.
"""

from msgspec import Struct
from sqlalchemy import Connection, Engine

from metering.domain.errors import DomainError, NotFoundError
from metering.domain.instants import month_of
from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.records import Decision, Invoice, Reconciliation, Variance
from metering.domain.reconciliation.variances import VarianceState, check_decision
from metering.domain.usage.events import BILLED_ROUTES
from metering.operations.credits.adjust_account import add_adjustment
from metering.operations.reconciliation.newest_variances import newest_variances
from metering.storage.accounts.accounts import account_with_id
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.reconciliation.invoices import invoice_with_id, invoices_between
from metering.storage.reconciliation.reconciliations import (
    NewDecision,
    decisions_of,
    insert_decision,
    newest_reconciliation,
    reconciliation_with_id,
    variance_with_id,
)

NOT_OURS = frozenset({Cause.CREDITS, Cause.FEE, Cause.TAX, Cause.ROUNDING, Cause.TOTAL_MISMATCH})
"""What is no usage: statements have lines of their own for it, so that a correction would count it twice."""


class VarianceHistory(Struct, frozen=True):
    """A variance, where it was found, and everything that was decided about it."""

    variance: Variance
    run: Reconciliation
    invoice: Invoice
    decisions: tuple[Decision, ...]


def show_variance(engine: Engine, variance_id: int) -> VarianceHistory:
    """Return a variance. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        return _report(connection, variance_id)


def resolve_variance(
    engine: Engine, variance_id: int, state: str, *, who: str, reason: str, correct: bool = False, now: int
) -> VarianceHistory:
    """Record a decision; with ``correct``, also an adjustment about the month of the invoice, by what is not corrected yet.

    Raises NotFoundError, and DomainError without a name or a reason, for a run that is not the newest, and for a correction
    that is not accepted or would be about something else than usage.
    """
    decided = check_decision(state, who, reason)
    with exclusive_write(engine) as connection:
        found = _report(connection, variance_id)
        newest = newest_reconciliation(connection, [found.invoice.id])
        if found.invoice.superseded_by is not None or newest is None or newest.id != found.run.id:
            raise DomainError(f"variance {variance_id} is of an earlier run: decide on what the newest one found")
        decision = NewDecision(
            variance_id,
            decided,
            who.strip(),
            reason.strip(),
            now,
            found.variance.corrected_nano,
            found.variance.adjustment,
        )
        if correct:
            reference = _correct(connection, found, decided, reason, now)
            decision = decision._replace(corrected_nano=found.variance.amount_nano, adjustment=reference)
        insert_decision(connection, decision)
        return _report(connection, variance_id)


def _correct(connection: Connection, found: VarianceHistory, decided: VarianceState, reason: str, now: int) -> str:
    if decided is not VarianceState.ACCEPTED:
        raise DomainError("a correction goes with accepting a variance")
    if found.variance.cause in NOT_OURS:
        raise DomainError(f"{found.variance.cause} is no usage: a statement has lines of its own for it")
    if not set(found.invoice.routes) <= set(BILLED_ROUTES):
        raise DomainError(
            f"invoice {found.invoice.id} is about usage that Hugging Face does not bill: it is on no statement's total, and"
            " there is nothing to correct"
        )
    amount_nano = found.variance.amount_nano - found.variance.corrected_nano
    if not amount_nano:
        raise DomainError(f"statements are corrected by this amount already: {found.variance.adjustment or 'it is zero'}")
    _refuse_second(connection, found.invoice)
    account = account_with_id(connection, found.invoice.account_id)
    if account is None:
        raise NotFoundError(f"there is no account {found.invoice.account_id}")
    adjustment = add_adjustment(
        connection,
        account.name,
        month_of(found.invoice.start),
        amount_nano,
        reference=f"variance {found.variance.id} of invoice {found.invoice.id}",
        reason=reason,
        now=now,
    )
    return adjustment.reference


def _refuse_second(connection: Connection, invoice: Invoice) -> None:
    """Raise DomainError where statements were corrected by another invoice about some of the same usage."""
    for other in invoices_between(connection, invoice.account_id, invoice.start, invoice.end):
        if other.id == invoice.id or not other.coverage.overlaps(invoice.coverage):
            continue
        corrected = [each for each in newest_variances(connection, other) if each.corrected_nano]
        if corrected:
            raise DomainError(
                f"statements are corrected by variance {corrected[0].id} of invoice {other.id} already, which is about some of"
                " the same usage: a second correction would count it twice"
            )


def _report(connection: Connection, variance_id: int) -> VarianceHistory:
    variance = variance_with_id(connection, variance_id)
    run = None if variance is None else reconciliation_with_id(connection, variance.reconciliation_id)
    invoice = None if run is None else invoice_with_id(connection, run.invoice_id)
    if variance is None or run is None or invoice is None:
        raise NotFoundError(f"there is no variance {variance_id}")
    return VarianceHistory(variance, run, invoice, tuple(decisions_of(connection, variance_id)))
