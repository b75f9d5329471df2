"""Hold a bill against our usage at the finest grain that it states, and add what it holds besides usage."""

from sqlalchemy import Connection

from metering.domain.reconciliation.invoices import Grain, InvoiceLineKind
from metering.domain.reconciliation.other_lines import add_other_lines, add_total
from metering.domain.reconciliation.records import Invoice
from metering.operations.prices.known_rates import known_rates
from metering.operations.reconciliation.compare_requests import compare_requests
from metering.operations.reconciliation.compare_sums import compare_sums
from metering.operations.reconciliation.comparison import Comparison
from metering.storage.prices.price_tables import load_tables
from metering.storage.reconciliation.invoices import line_sums
from pricing.plans import PlanCatalogue


def compare_invoice(connection: Connection, invoice: Invoice, catalogue: PlanCatalogue) -> Comparison:
    """Return what is found, reading one state of the database."""
    amounts = {kind: amount for kind, (_, amount) in line_sums(connection, invoice.id).items()}
    versions = known_rates(load_tables(connection), invoice.account_id)
    usage_nano = amounts.pop(InvoiceLineKind.USAGE, 0)
    if invoice.grain == Grain.REQUEST:
        found = compare_requests(connection, invoice, versions, usage_nano)
    else:
        found = compare_sums(connection, invoice, versions, usage_nano, catalogue)
    add_other_lines(found.findings, amounts)
    lines_nano = found.usage_nano + sum(amounts.values())
    found.theirs_nano = lines_nano if invoice.total_nano is None or found.valued else invoice.total_nano
    add_total(
        found.findings,
        lines_nano=lines_nano,
        total_nano=found.theirs_nano,
        lines=invoice.lines,
        unit_nano=invoice.unit_nano,
    )
    return found
