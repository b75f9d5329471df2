"""Stored reconciliations add up: invoices from their lines, bridges from their variances, variances from their items."""

from collections.abc import Iterator

from sqlalchemy import Connection

from metering.domain.violations import Violation
from metering.storage.reconciliation.invoices import line_sums, list_invoices
from metering.storage.reconciliation.reconciliations import item_sums_by_variance, list_reconciliations, variance_sums_by_run


def invoices_match_lines(connection: Connection) -> Iterator[Violation]:
    """An invoice's number of lines and their total match its lines."""
    for invoice in list_invoices(connection):
        sums = line_sums(connection, invoice.id).values()
        found = (sum(lines for lines, _ in sums), sum(nano for _, nano in sums))
        stored = (invoice.lines, invoice.lines_nano or 0)
        if stored != found:
            message = f"the number or total of lines of invoice {invoice.id} does not match its lines"
            yield Violation("invoice_differs", f"invoice {invoice.id}", _in_words(*found), _in_words(*stored), message)


def bridges_add_up(connection: Connection) -> Iterator[Violation]:
    """Our figure plus the variances of a run equals theirs, to the nano-dollar."""
    sums = variance_sums_by_run(connection)
    for run in list_reconciliations(connection):
        reached = run.ours_nano + sums.get(run.id, 0)
        if reached != run.theirs_nano:
            message = f"our figure and the variances of reconciliation {run.id} do not add up to theirs"
            yield Violation("bridge_broken", f"reconciliation {run.id}", str(run.theirs_nano), str(reached), message)


def variances_match_items(connection: Connection) -> Iterator[Violation]:
    """A variance's number of items and amount match its items."""
    for variance_id, stored_items, stored_nano, items, nano in item_sums_by_variance(connection):
        message = f"the number or amount of items of variance {variance_id} does not match its items"
        stored = _in_words(stored_items, stored_nano)
        yield Violation("variance_differs", f"variance {variance_id}", _in_words(items, nano), stored, message)


def _in_words(count: int, nano: int) -> str:
    return f"{count}, {nano} nano-USD in total"
