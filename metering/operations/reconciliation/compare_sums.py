"""Compare an invoice with metered usage by sums, from rollups: a million requests take no longer than a thousand."""

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection

from metering.domain.charges.spend import parts_of_days
from metering.domain.instants import MICROS_PER_HOUR, month_of, month_start, next_month
from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.explain_groups import NO_STATEMENT, GroupExplainer, StatementTotal
from metering.domain.reconciliation.explanations import Candidate
from metering.domain.reconciliation.group_hypotheses import exactly
from metering.domain.reconciliation.invoices import HUGGING_FACE, Coverage, Grain
from metering.domain.reconciliation.period_shift import MAX_SHIFT_MICROS
from metering.domain.reconciliation.records import Invoice
from metering.domain.reconciliation.requests import Billability, billability_of
from metering.domain.reconciliation.usage_groups import EdgeUsage, MeteredUsage, session_of
from metering.operations.prices.known_rates import KnownRates
from metering.operations.reconciliation.comparison import Comparison
from metering.operations.steps.burn_credits import credits_through
from metering.operations.steps.require_events import require_events
from metering.storage.reconciliation.invoices import usage_lines
from metering.storage.reconciliation.metered_requests import HourRow, UsageRow, hour_rows, usage_rows
from metering.storage.usage.retired_months import retired_between
from pricing.money import NANO_PER_CENT
from pricing.plans import PlanCatalog


def compare_sums(
    connection: Connection,
    invoice: Invoice,
    rates: KnownRates,
    usage_nano: int,
    catalog: PlanCatalog,
    total: StatementTotal = NO_STATEMENT,
) -> Comparison:
    """Return the comparison; ``usage_nano`` is the sum of the invoice's usage lines, ``total`` what a pasted total may be.

    Raises EventsRetiredError if the period starts or ends within a day of which events were retired.
    """
    coverage = invoice.coverage
    explainer = GroupExplainer(
        coverage,
        unit_nano=invoice.unit_nano,
        recorded=rates.by_model,
        known=_known_candidates(connection, invoice, catalog),
        total=total,
    )
    for start, end in parts_of_days(coverage.start, coverage.end):
        require_events(connection, start, end, "an invoice that starts or ends within a day")
    by_tags = invoice.grain == Grain.SESSION
    rows = usage_rows(connection, invoice.account_id, coverage.start, coverage.end, by_tags=by_tags)
    edges = [] if invoice.grain == Grain.DAY else _edge_rows(connection, invoice)
    lines, usage = usage_lines(connection, invoice.id), _usage(rows, coverage, rates)
    findings = explainer.explain(lines, usage, _edges(edges, coverage))
    valued = invoice.lines_nano is None
    return Comparison(
        findings=findings,
        ours_nano=explainer.ours_nano,
        requests=explainer.requests,
        matched_requests=0,
        usage_nano=explainer.valued_nano if valued else usage_nano - explainer.other_nano,
        matched_nano=explainer.matched_nano,
        valued=valued,
        other_nano=explainer.other_nano,
        statement_nano=None if total.statement is None else total.statement.total_nano,
    )


def _usage(rows: Iterable[UsageRow], coverage: Coverage, rates: KnownRates) -> Iterator[MeteredUsage]:
    for row in rows:
        if not coverage.provider or row.provider == coverage.provider:
            yield MeteredUsage(
                day=row.day,
                provider=row.provider,
                model=row.model,
                session=session_of(row.project, row.tags),
                billability=billability_of(row.route, row.price_grade, coverage.routes),
                requests=row.requests,
                quantities=row.quantities,
                amount_nano=row.amount_nano,
                rate=rates.by_id.get(row.rate_id),
            )


def _edge_rows(connection: Connection, invoice: Invoice) -> list[HourRow]:
    """Return the hours near both edges of the period, of a short period all its hours.

    Without them, as next to a month whose events were retired, no difference is explained by a shifted period.
    """
    start, end = invoice.start // MICROS_PER_HOUR * MICROS_PER_HOUR, -(-invoice.end // MICROS_PER_HOUR) * MICROS_PER_HOUR
    margin = MAX_SHIFT_MICROS + MICROS_PER_HOUR
    parts = [(start - margin, start + margin), (end - margin, end + margin)]
    if start + margin >= end - margin:
        parts = [(start - margin, end + margin)]
    known = [part for part in parts if not retired_between(connection, *part)]
    by_tags = invoice.grain == Grain.SESSION
    return [row for part in known for row in hour_rows(connection, invoice.account_id, *part, by_tags=by_tags)]


def _edges(rows: Iterable[HourRow], coverage: Coverage) -> Iterator[EdgeUsage]:
    for row in rows:
        covered = not coverage.provider or row.provider == coverage.provider
        if covered and billability_of(row.route, row.price_grade, coverage.routes) == Billability.BILLED:
            session = session_of(row.project, row.tags)
            yield EdgeUsage(row.hour, session, row.provider, row.model, row.requests, row.amount_nano)


def _known_candidates(connection: Connection, invoice: Invoice, catalog: PlanCatalog) -> list[Candidate]:
    """Return what Hugging Face's total for a month can include in addition to usage: the credits and the fee we know of."""
    month = month_of(invoice.start)
    if invoice.biller != HUGGING_FACE or (invoice.start, invoice.end) != (month_start(month), month_start(next_month(month))):
        return []
    plan, burned = credits_through(connection, invoice.account_id, month, catalog)
    fee_nano = sum((fee.amount_cents or 0) * NANO_PER_CENT for fee in plan.fees)
    known = ((Cause.CREDITS, -burned.applied_nano), (Cause.FEE, fee_nano))
    return [exactly(cause, "", amount) for cause, amount in known if amount]
