"""Read a pasted total: compare it with our statement and with our usage, and choose which of the two it is about.

Choosing a reading appends a run that compares the total with it. The runs before stay as they are.
"""

from sqlalchemy import Engine

from metering.domain.errors import DomainError
from metering.domain.reconciliation.readings import ReadTotal, TotalReading, readings_of
from metering.domain.reconciliation.records import Invoice
from metering.domain.reconciliation.variances import Tolerance
from metering.operations.reconciliation.find_variance import find_newest_variance
from metering.operations.reconciliation.our_statement import billable_nano, our_statement
from metering.operations.reconciliation.reconcile import reconcile
from metering.operations.reconciliation.reconcile_settings import DEFAULT_SETTINGS, ReconcileSettings
from metering.operations.reconciliation.resolve_variance import NOT_USAGE
from metering.storage.engine.database import read_snapshot
from pricing.plans import PlanCatalog


def read_total(engine: Engine, invoice: Invoice, catalog: PlanCatalog, *, now: int) -> tuple[ReadTotal, ...]:
    """Return a pasted total compared with both readings as they are now; none for any other invoice."""
    with read_snapshot(engine) as connection:
        statement = our_statement(connection, invoice, catalog, now=now)
        if statement is None:
            return ()
        usage_nano = billable_nano(connection, invoice)
    return readings_of(invoice.owed_nano or 0, statement_nano=statement.total_nano, usage_nano=usage_nano)


def choose_reading(
    engine: Engine,
    variance_id: int,
    reading: TotalReading,
    catalog: PlanCatalog,
    *,
    settings: ReconcileSettings = DEFAULT_SETTINGS,
    now: int,
) -> int:
    """Return the variance to decide on under a reading: the given one, or that of a new run if it was compared with another.

    Raises NotFoundError, and DomainError for an invoice that has no readings and where nothing differs under this one.
    """
    with read_snapshot(engine) as connection:
        found = find_newest_variance(connection, variance_id)
    if found.run.reading == reading:
        return variance_id
    report = reconcile(
        engine,
        found.invoice.id,
        catalog,
        tolerance=Tolerance(found.run.tolerance_nano),
        settings=settings,
        reading=reading,
        now=now,
    )
    differing = [each for each in report.variances if each.cause not in NOT_USAGE and each.items]
    candidates = [each.id for each in differing if each.key == found.variance.key] or [each.id for each in differing]
    if len(candidates) != 1:
        what = "several variances" if candidates else "no variance to decide on"
        raise DomainError(
            f"read as {reading}, the total of invoice {found.invoice.id} has {what}: `metering reconcile show {report.run.id}`"
        )
    return candidates[0]
