"""Hold a bill against our usage by sums: from rollups, so that a million requests take no longer than a thousand."""

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection

from metering.domain.charges.spend import parts_of_days
from metering.domain.instants import MICROS_PER_HOUR, month_of, month_start, next_month
from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.explain_groups import GroupExplainer
from metering.domain.reconciliation.explanations import Candidate
from metering.domain.reconciliation.group_hypotheses import exactly
from metering.domain.reconciliation.invoices import HUGGING_FACE, Coverage, Grain
from metering.domain.reconciliation.period_shift import LONGEST_SHIFT_MICROS
from metering.domain.reconciliation.records import Invoice
from metering.domain.reconciliation.requests import Billability, billability_of
from metering.domain.reconciliation.usage_groups import EdgeUsage, MeteredUsage
from metering.operations.prices.known_rates import KnownRates
from metering.operations.reconciliation.comparison import Comparison
from metering.operations.steps.burn_credits import credits_through
from metering.operations.steps.require_events import require_events
from metering.storage.reconciliation.invoices import usage_lines
from metering.storage.reconciliation.metered_requests import HourRow, UsageRow, hour_rows, usage_rows
from metering.storage.usage.retired_months import retired_between
from pricing.money import NANO_PER_CENT
from pricing.plans import PlanCatalogue


def compare_sums(
    connection: Connection, invoice: Invoice, versions: KnownRates, usage_nano: int, catalogue: PlanCatalogue
) -> Comparison:
    """Return what is found; ``usage_nano`` is what the bill's usage lines come to."""
    coverage = invoice.coverage
    explainer = GroupExplainer(
        coverage,
        unit_nano=invoice.unit_nano,
        versions=versions.by_model,
        known=_known(connection, invoice, catalogue),
    )
    for start, end in parts_of_days(coverage.start, coverage.end):
        require_events(connection, start, end, "a bill that begins or ends within a day")
    rows = usage_rows(connection, invoice.account_id, coverage.start, coverage.end)
    edges = [] if invoice.grain == Grain.DAY else _edge_rows(connection, invoice)
    findings = explainer.explain(usage_lines(connection, invoice.id), _usage(rows, coverage, versions), _edges(edges, coverage))
    valued = invoice.lines_nano is None
    return Comparison(
        findings=findings,
        ours_nano=explainer.ours_nano,
        requests=explainer.requests,
        matched_requests=0,
        usage_nano=explainer.valued_nano if valued else usage_nano,
        matched_nano=explainer.matched_nano,
        valued=valued,
    )


def _usage(rows: Iterable[UsageRow], coverage: Coverage, versions: KnownRates) -> Iterator[MeteredUsage]:
    for row in rows:
        if not coverage.provider or row.provider == coverage.provider:
            yield MeteredUsage(
                day=row.day,
                provider=row.provider,
                model=row.model,
                session=row.project,
                standing=billability_of(row.route, row.price_grade, coverage.routes),
                requests=row.requests,
                quantities=row.quantities,
                amount_nano=row.amount_nano,
                rate=versions.by_id.get(row.rate_id),
            )


def _edge_rows(connection: Connection, invoice: Invoice) -> list[HourRow]:
    """Return the hours near both edges of the period; a period shorter than that is read once.

    Without them, as beside a month whose events were retired, nothing is explained by requests that moved over the edge.
    """
    start, end = invoice.start // MICROS_PER_HOUR * MICROS_PER_HOUR, -(-invoice.end // MICROS_PER_HOUR) * MICROS_PER_HOUR
    reach = LONGEST_SHIFT_MICROS + MICROS_PER_HOUR
    parts = [(start - reach, start + reach), (end - reach, end + reach)]
    if parts[0][1] >= parts[1][0]:
        parts = [(start - reach, end + reach)]
    known = [part for part in parts if not retired_between(connection, *part)]
    return [row for part in known for row in hour_rows(connection, invoice.account_id, *part)]


def _edges(rows: Iterable[HourRow], coverage: Coverage) -> Iterator[EdgeUsage]:
    for row in rows:
        covered = not coverage.provider or row.provider == coverage.provider
        if covered and billability_of(row.route, row.price_grade, coverage.routes) == Billability.BILLED:
            yield EdgeUsage(row.hour, row.project, row.provider, row.model, row.requests, row.amount_nano)


def _known(connection: Connection, invoice: Invoice, catalogue: PlanCatalogue) -> list[Candidate]:
    """Return what a total of Hugging Face's may hold besides usage, as we know it: the month's credits and its fee."""
    month = month_of(invoice.start)
    if invoice.biller != HUGGING_FACE or (invoice.start, invoice.end) != (month_start(month), month_start(next_month(month))):
        return []
    plan, burned = credits_through(connection, invoice.account_id, month, catalogue)
    fee_nano = sum((fee.amount_cents or 0) * NANO_PER_CENT for fee in plan.fees)
    known = ((Cause.CREDITS, -burned.applied_nano), (Cause.FEE, fee_nano))
    return [exactly(cause, "", amount) for cause, amount in known if amount]
