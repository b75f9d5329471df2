"""The variances of an invoice's newest run, or of the invoices that it supersedes: decisions on them carry over."""

from sqlalchemy import Connection

from metering.domain.reconciliation.records import Invoice, Reconciliation, Variance
from metering.storage.reconciliation.invoices import invoice_with_id
from metering.storage.reconciliation.reconciliations import newest_reconciliation, variances_of


def newest_variances(connection: Connection, invoice: Invoice) -> list[Variance]:
    """Return the variances of the newest run of an invoice or of one that it supersedes."""
    newest = newest_run(connection, invoice)
    return [] if newest is None else variances_of(connection, newest.id)


def newest_run(connection: Connection, invoice: Invoice) -> Reconciliation | None:
    """Return the newest run of an invoice or of one that it supersedes; None if none of them has a run."""
    lineage: list[Invoice | None] = [invoice]
    while (last := lineage[-1]) is not None and last.supersedes_id is not None:
        lineage.append(invoice_with_id(connection, last.supersedes_id))
    return newest_reconciliation(connection, [each.id for each in lineage if each is not None])
