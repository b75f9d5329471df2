"""Show invoices with their newest runs, and the documents that they were imported from."""

import zlib
from collections.abc import Iterator

from sqlalchemy import Engine

from metering.domain.reconciliation.records import InvoiceOverview
from metering.operations.reconciliation.find_invoice import find_invoice
from metering.storage.engine.database import read_snapshot
from metering.storage.reconciliation.invoices import document_parts
from metering.storage.reconciliation.invoices import list_invoices as stored_invoices
from metering.storage.reconciliation.reconciliations import newest_reconciliations


def show_invoice(engine: Engine, invoice_id: int, *, account_id: int | None = None) -> InvoiceOverview:
    """Return an invoice with its newest run; with ``account_id`` only that account's. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        invoice = find_invoice(connection, invoice_id, account_id=account_id)
        return InvoiceOverview(invoice, newest_reconciliations(connection, [invoice_id]).get(invoice_id))


def list_invoices(
    engine: Engine, *, account_id: int | None = None, before: int | None = None, limit: int | None = None
) -> list[InvoiceOverview]:
    """Return invoices with ids below ``before``, newest first; of one account, if given."""
    with read_snapshot(engine) as connection:
        invoices = stored_invoices(connection, account_id=account_id, before=before, limit=limit)
        newest = newest_reconciliations(connection, [each.id for each in invoices])
    return [InvoiceOverview(each, newest.get(each.id)) for each in invoices]


def current_invoices(engine: Engine, *, account_id: int | None = None) -> list[int]:
    """Return the ids of the invoices that no other invoice supersedes, oldest first; of one account, if given."""
    with read_snapshot(engine) as connection:
        invoices = stored_invoices(connection, account_id=account_id)
    return sorted(each.id for each in invoices if each.superseded_by is None)


def read_document(engine: Engine, invoice_id: int) -> Iterator[bytes]:
    """Yield the unchanged document of an invoice, part by part."""
    with read_snapshot(engine) as connection:
        for part in document_parts(connection, invoice_id):
            yield zlib.decompress(part)
