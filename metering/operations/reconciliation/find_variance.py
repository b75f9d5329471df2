"""Find a variance with the run and the invoice it belongs to."""

from sqlalchemy import Connection

from metering.domain.errors import NotFoundError
from metering.domain.reconciliation.records import VarianceHistory
from metering.storage.reconciliation.invoices import invoice_with_id
from metering.storage.reconciliation.reconciliations import decisions_of, reconciliation_with_id, variance_with_id


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
