"""Decide on a variance: explained, accepted, disputed, resolved, or open again, with a name and a reason.

Decisions are append-only. Accepting a variance can also correct the account's statement, by an adjustment in the same
transaction. If statements were corrected for it before by a different amount, only the rest is written, so that the
corrections always add up to the latest amount of the variance.
"""

from sqlalchemy import Connection, Engine

from metering.domain.credits.adjustments import OF_TOTAL, OF_USAGE
from metering.domain.errors import DomainError, NotFoundError
from metering.domain.instants import month_of
from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.readings import HALF_CENT_NANO, ReadingRequiredError, TotalReading, describe_reading
from metering.domain.reconciliation.records import Invoice, VarianceHistory
from metering.domain.reconciliation.variances import VarianceState, check_decision
from metering.domain.usage.events import BILLED_ROUTES
from metering.operations.credits.adjust_account import add_adjustment
from metering.operations.reconciliation.find_variance import find_newest_variance, find_variance
from metering.operations.reconciliation.newest_variances import newest_variances
from metering.storage.accounts.accounts import account_with_id
from metering.storage.engine.database import exclusive_write
from metering.storage.reconciliation.invoices import invoices_between
from metering.storage.reconciliation.reconciliations import NewDecision, insert_decision, variances_of

NOT_USAGE = frozenset({Cause.CREDITS, Cause.FEE, Cause.TAX, Cause.ADJUSTMENT, Cause.ROUNDING, Cause.TOTAL_MISMATCH})
"""Causes other than usage: statements have separate lines for them, so a correction would count them twice."""


def resolve_variance(
    engine: Engine, variance_id: int, state: str, *, who: str, reason: str, correct: bool = False, now: int
) -> VarianceHistory:
    """Record a decision; with ``correct`` also an adjustment to the invoice's month, by the amount not corrected yet.

    Raises NotFoundError, and DomainError without a name or a reason, for a run that is not the newest, and for a correction
    that is not accepted or that is about something other than usage. Raises ReadingRequiredError for a correction by a pasted
    total that can be read in two ways, until one is chosen.
    """
    decided = check_decision(state, who, reason)
    with exclusive_write(engine) as connection:
        found = find_newest_variance(connection, variance_id)
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
        return find_variance(connection, variance_id)


def _correct(connection: Connection, found: VarianceHistory, decided: VarianceState, reason: str, now: int) -> str:
    if decided is not VarianceState.ACCEPTED:
        raise DomainError("only an accepted variance can be corrected; set the state to accepted")
    if found.variance.cause in NOT_USAGE:
        raise DomainError(f"{found.variance.cause} is not usage: a statement has separate lines for it")
    if not set(found.invoice.routes) <= set(BILLED_ROUTES):
        raise DomainError(
            f"invoice {found.invoice.id} covers usage that Hugging Face does not bill; statements do not include it, so there"
            " is nothing to correct"
        )
    _require_reading(connection, found)
    amount_nano = found.variance.amount_nano - found.variance.corrected_nano
    if not amount_nano:
        raise DomainError(f"statements are already corrected by this amount ({found.variance.adjustment or 'zero'})")
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
        adjusts=_adjusted_by(found),
    )
    return adjustment.reference


def _adjusted_by(found: VarianceHistory) -> str:
    """Return what a correction adjusts: usage, which credits pay for, or the total of a statement, which they do not."""
    is_usage = found.run.statement_nano is None or found.run.reading == TotalReading.USAGE
    return OF_USAGE if is_usage else OF_TOTAL


def _require_reading(connection: Connection, found: VarianceHistory) -> None:
    """Raise ReadingRequiredError if the statement and the usage would be corrected by different amounts and none is chosen."""
    run = found.run
    if run.reading or run.statement_nano is None:
        return
    corrected = sum(each.corrected_nano for each in variances_of(connection, run.id))
    if abs(run.statement_nano - corrected - run.ours_nano) <= HALF_CENT_NANO:
        return
    readings = "; ".join(describe_reading(each) for each in run.readings)
    raise ReadingRequiredError(
        f"the total of invoice {found.invoice.id} can be read in two ways ({readings}), and a correction depends on it; choose"
        " one with --reads statement or --reads usage (`reads` over HTTP)"
    )


def _refuse_second(connection: Connection, invoice: Invoice) -> None:
    """Raise DomainError if statements were corrected by another invoice that covers some of the same usage."""
    for other in invoices_between(connection, invoice.account_id, invoice.start, invoice.end):
        if other.id == invoice.id or not other.coverage.overlaps(invoice.coverage):
            continue
        corrected = [each for each in newest_variances(connection, other) if each.corrected_nano]
        if corrected:
            raise DomainError(
                f"statements are already corrected by variance {corrected[0].id} of invoice {other.id}, which covers some of"
                " the same usage; a second correction would count it twice"
            )
