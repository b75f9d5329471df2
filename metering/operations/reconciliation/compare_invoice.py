"""Compare an invoice with metered usage at the finest grain it states, and add what it bills other than usage."""

from sqlalchemy import Connection

from metering.domain.reconciliation.explain_groups import NO_STATEMENT, StatementTotal
from metering.domain.reconciliation.invoices import Grain, InvoiceLineKind
from metering.domain.reconciliation.other_lines import add_other_lines, add_total
from metering.domain.reconciliation.records import Invoice
from metering.operations.prices.known_rates import known_rates
from metering.operations.reconciliation.compare_requests import compare_requests
from metering.operations.reconciliation.compare_sums import compare_sums
from metering.operations.reconciliation.comparison import Comparison
from metering.storage.prices.price_tables import load_tables
from metering.storage.reconciliation.invoices import line_sums
from pricing.plans import PlanCatalog


def compare_invoice(
    connection: Connection, invoice: Invoice, catalog: PlanCatalog, total: StatementTotal = NO_STATEMENT
) -> Comparison:
    """Return the comparison, reading one state of the database. ``total`` is what a pasted total is compared with."""
    amounts = {kind: amount for kind, (_, amount) in line_sums(connection, invoice.id).items()}
    rates = known_rates(load_tables(connection), invoice.account_id)
    usage_nano = amounts.pop(InvoiceLineKind.USAGE, 0)
    if invoice.grain == Grain.REQUEST:
        result = compare_requests(connection, invoice, rates, usage_nano)
    else:
        result = compare_sums(connection, invoice, rates, usage_nano, catalog, total)
    add_other_lines(result.findings, amounts)
    lines_nano = result.usage_nano + result.other_nano + sum(amounts.values())
    result.theirs_nano = lines_nano if invoice.total_nano is None or result.valued else invoice.total_nano
    add_total(
        result.findings,
        lines_nano=lines_nano,
        total_nano=result.theirs_nano,
        lines=invoice.lines,
        unit_nano=invoice.unit_nano,
    )
    return result
