"""Find a variance with the run and the invoice it belongs to."""

from sqlalchemy import Connection

from metering.domain.errors import DomainError, NotFoundError
from metering.domain.reconciliation.records import VarianceHistory
from metering.storage.reconciliation.invoices import invoice_with_id
from metering.storage.reconciliation.reconciliations import (
    decisions_of,
    newest_reconciliation,
    reconciliation_with_id,
    variance_with_id,
)


def find_variance(
    connection: Connection, variance_id: int, *, run_id: int | None = None, account_id: int | None = None
) -> VarianceHistory:
    """Return a variance with its decisions; only of one run or account, if given. Raises NotFoundError."""
    variance = variance_with_id(connection, variance_id)
    run = None if variance is None else reconciliation_with_id(connection, variance.reconciliation_id)
    invoice = None if run is None else invoice_with_id(connection, run.invoice_id)
    if (
        variance is None
        or run is None
        or invoice is None
        or run_id not in (None, run.id)
        or account_id not in (None, run.account_id)
    ):
        of_run = "" if run_id is None else f" in reconciliation {run_id}"
        raise NotFoundError(f"there is no variance {variance_id}{of_run}; `metering reconcile show RUN` lists them")
    return VarianceHistory(variance, run, invoice, tuple(decisions_of(connection, variance_id)))


def find_newest_variance(connection: Connection, variance_id: int) -> VarianceHistory:
    """Return a variance of the newest run of an invoice. Raises NotFoundError, and DomainError for one of an earlier run."""
    found = find_variance(connection, variance_id)
    newest = newest_reconciliation(connection, [found.invoice.id])
    if found.invoice.superseded_by is not None or newest is None or newest.id != found.run.id:
        raise DomainError(
            f"variance {variance_id} belongs to an earlier run; decide on the variances of the newest one"
            " (`metering reconcile show` lists the newest runs)"
        )
    return found
