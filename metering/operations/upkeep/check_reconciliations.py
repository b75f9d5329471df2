"""What is recorded of bills adds up: an invoice is its lines, a bridge leads across, a variance is what shows it."""

from collections.abc import Iterator

from sqlalchemy import Connection

from metering.domain.violations import Violation
from metering.storage.reconciliation.invoices import line_sums, list_invoices
from metering.storage.reconciliation.reconciliations import item_sums_by_variance, list_reconciliations, variance_sums_by_run


def invoices_match_lines(connection: Connection) -> Iterator[Violation]:
    """An invoice has as many lines as it says, and they come to what it says."""
    for invoice in list_invoices(connection):
        sums = line_sums(connection, invoice.id).values()
        found = (sum(lines for lines, _ in sums), sum(nano for _, nano in sums))
        told = (invoice.lines, invoice.lines_nano or 0)
        if told != found:
            message = f"invoice {invoice.id} does not say what its lines come to"
            yield Violation("invoice_differs", f"invoice {invoice.id}", _in_words(*found), _in_words(*told), message)


def bridges_add_up(connection: Connection) -> Iterator[Violation]:
    """Our figure and the variances of a run add up to theirs, to the nano-dollar."""
    sums = variance_sums_by_run(connection)
    for run in list_reconciliations(connection):
        reached = run.ours_nano + sums.get(run.id, 0)
        if reached != run.theirs_nano:
            message = f"the steps of reconciliation {run.id} do not lead from our figure to theirs"
            yield Violation("bridge_broken", f"reconciliation {run.id}", str(run.theirs_nano), str(reached), message)


def variances_match_items(connection: Connection) -> Iterator[Violation]:
    """A variance has as many items as it says, and they come to its amount."""
    for variance_id, told_items, told_nano, items, nano in item_sums_by_variance(connection):
        message = f"variance {variance_id} does not say what its items come to"
        told = _in_words(told_items, told_nano)
        yield Violation("variance_differs", f"variance {variance_id}", _in_words(items, nano), told, message)


def _in_words(count: int, nano: int) -> str:
    return f"{count} of {nano} nano-USD"
