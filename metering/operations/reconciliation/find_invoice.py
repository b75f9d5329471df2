"""Find an invoice by its id."""

from sqlalchemy import Connection

from metering.domain.errors import NotFoundError
from metering.domain.reconciliation.records import Invoice
from metering.storage.reconciliation.invoices import invoice_with_id


def find_invoice(connection: Connection, invoice_id: int, *, account_id: int | None = None) -> Invoice:
    """Return an invoice; only of one account, if given. Raises NotFoundError."""
    invoice = invoice_with_id(connection, invoice_id)
    if invoice is None or account_id not in (None, invoice.account_id):
        raise NotFoundError(f"there is no invoice {invoice_id}; `metering reconcile show` lists them")
    return invoice
