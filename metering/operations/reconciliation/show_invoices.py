"""Show invoices, and the documents that they came in."""

import zlib
from collections.abc import Iterator

from sqlalchemy import Engine

from metering.domain.errors import NotFoundError
from metering.domain.reconciliation.records import Invoice
from metering.storage.engine.database import read_snapshot
from metering.storage.reconciliation.invoices import document_parts, invoice_with_id
from metering.storage.reconciliation.invoices import list_invoices as stored_invoices


def show_invoice(engine: Engine, invoice_id: int) -> Invoice:
    """Return an invoice. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        invoice = invoice_with_id(connection, invoice_id)
    if invoice is None:
        raise NotFoundError(f"there is no invoice {invoice_id}")
    return invoice


def list_invoices(
    engine: Engine, *, account_id: int | None = None, before: int | None = None, limit: int | None = None
) -> list[Invoice]:
    """Return invoices, newest first, with ids below ``before``; of one account where it is named."""
    with read_snapshot(engine) as connection:
        return stored_invoices(connection, account_id=account_id, before=before, limit=limit)


def read_document(engine: Engine, invoice_id: int) -> Iterator[bytes]:
    """Yield the document of an invoice as it came, part by part."""
    with read_snapshot(engine) as connection:
        for part in document_parts(connection, invoice_id):
            yield zlib.decompress(part)
