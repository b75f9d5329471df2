"""Our statement of an invoice's month, for a pasted total that may be the total of the whole statement."""

from sqlalchemy import Connection

from metering.domain.instants import month_of, month_start, next_month
from metering.domain.reconciliation.invoices import HUGGING_FACE
from metering.domain.reconciliation.readings import OurStatement
from metering.domain.reconciliation.records import Invoice
from metering.domain.reconciliation.requests import Billability, billability_of
from metering.domain.statements.statements import CLOSED
from metering.domain.usage.events import BILLED_ROUTES
from metering.invoices.pasted_total import FORMAT
from metering.operations.reconciliation.newest_variances import newest_variances
from metering.operations.statements.compare_closed_month import later_corrections
from metering.operations.steps.read_books import read_books, statement_of_account
from metering.storage.accounts.accounts import account_with_id
from metering.storage.reconciliation.metered_requests import usage_rows
from pricing.money import NANO_PER_CENT
from pricing.plans import PlanCatalog


def our_statement(connection: Connection, invoice: Invoice, catalog: PlanCatalog, *, now: int) -> OurStatement | None:
    """Return our statement of the invoice's month; None for an invoice that cannot be the total of a statement.

    What later statements correct about a closed month belongs to it. Corrections because of the invoice itself, or of one that
    it supersedes, are in the total only.
    """
    month = month_of(invoice.start)
    account = account_with_id(connection, invoice.account_id)
    is_whole_month = (invoice.start, invoice.end) == (month_start(month), month_start(next_month(month)))
    covers_all = invoice.biller == HUGGING_FACE and not invoice.provider and {*invoice.routes} == {*BILLED_ROUTES}
    if account is None or invoice.format != FORMAT or not (is_whole_month and covers_all) or (invoice.total_nano or 0) < 0:
        return None
    statement = statement_of_account(connection, account, month, catalog)
    later = []
    if statement.status == CLOSED:
        later = later_corrections(read_books(connection, account.id), month, catalog, now)
    usage, adjusted, paid = (sum(getattr(each, name) for each in later) for name in _CORRECTED)
    own = sum(each.corrected_nano for each in newest_variances(connection, invoice))
    return OurStatement(
        total_nano=statement.total_cents * NANO_PER_CENT + usage + adjusted - paid,
        usage_nano=statement.usage_nano + usage,
        fees_nano=statement.subscription_cents * NANO_PER_CENT,
        credits_nano=statement.credits_nano + paid,
        adjustments_nano=statement.adjustments_nano + adjusted - own,
        carried_nano=statement.carried_in_cents * NANO_PER_CENT,
    )


def billable_nano(connection: Connection, invoice: Invoice) -> int:
    """Return what we charge for the usage that an invoice covers."""
    rows = usage_rows(connection, invoice.account_id, invoice.start, invoice.end)
    return sum(
        row.amount_nano
        for row in rows
        if invoice.provider in ("", row.provider)
        and billability_of(row.route, row.price_grade, invoice.routes) == Billability.BILLED
    )


_CORRECTED = ("usage_nano", "adjustments_nano", "credits_nano")
