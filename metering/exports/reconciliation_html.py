"""A reconciliation as one HTML page: the bridge as a waterfall chart, and the variances. Self-contained, without scripts."""

from collections.abc import Iterator
from typing import NamedTuple

from metering.domain.instants import format_instant
from metering.domain.reconciliation.causes import Cause, CauseBasis
from metering.domain.reconciliation.descriptions import (
    describe_cause,
    describe_detail,
    describe_explanation,
    describe_invoice,
    matched_percent,
)
from metering.domain.reconciliation.records import ReconciliationReport, Variance
from metering.domain.reconciliation.variances import RECONCILE, VarianceState
from metering.exports.pages import render_page
from metering.exports.waterfall import Bar, BarKind, waterfall
from pricing.dollars import display_nano


class _Card(NamedTuple):
    """A figure at the top of the page; digits past cents are in small print."""

    title: str
    value: str
    note: str
    kind: str = ""
    decimals: str = ""


class _VarianceRow(NamedTuple):
    id: int
    cause: str
    is_inferred: bool
    details: list[str]
    location: list[str]
    items: str
    difference: str
    state: str
    is_tolerated: bool
    decision: str


def reconciliation_html(report: ReconciliationReport, account: str, *, made_at: int) -> Iterator[bytes]:
    """Yield the page, piece by piece."""
    chart = waterfall(_bars(report))
    return render_page(
        "reconciliation.html",
        account=account,
        run=report.run,
        run_at=_minute(report.run.run_at),
        invoice=report.invoice,
        invoice_description=describe_invoice(report.invoice),
        cards=_cards(report),
        chart=chart,
        axis_start=signed_usd(chart.axis_start),
        variances=[_variance_row(each) for each in report.variances],
        made_at=_minute(made_at),
    )


def signed_usd(nano: int, *, plus: bool = False) -> str:
    """Return nano-USD as dollars, exactly, with a true minus sign; with ``plus`` also a plus before a positive amount."""
    sign = "\u2212" if nano < 0 else "+" if plus and nano else ""
    return f"{sign}${display_nano(abs(nano))}"


def _cards(report: ReconciliationReport) -> list[_Card]:
    run, waiting = report.run, report.needs_attention
    difference = report.bridge.difference_nano
    matched = matched_percent(run) or "n/a"
    return [
        _amount_card("Metered", signed_usd(run.ours_nano), _counted(run.requests, "request")),
        _amount_card(_theirs(report), signed_usd(run.theirs_nano), _counted(report.invoice.lines, "line")),
        _amount_card("Difference", signed_usd(difference, plus=True), _explained(report), "uneven" if difference else "even"),
        _Card("Matched", matched, "of the amount billed for usage"),
        _Card("Open", str(len(waiting)), f"beyond {signed_usd(run.tolerance_nano)} tolerance", "bad" if waiting else "good"),
    ]


def _amount_card(title: str, amount: str, note: str, kind: str = "") -> _Card:
    cents = amount.index(".") + 3
    return _Card(title, amount[:cents], note, kind, decimals=amount[cents:])


def _theirs(report: ReconciliationReport) -> str:
    return "Billed quantities at our prices" if report.run.valued else "Billed"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _explained(report: ReconciliationReport) -> str:
    """Return how much of the difference has no cause."""
    if not report.bridge.steps:
        return "exact match"
    unexplained = report.bridge.amount_of(Cause.UNEXPLAINED)
    return f"{signed_usd(unexplained, plus=True)} of it unexplained" if unexplained else "fully explained"


def _bars(report: ReconciliationReport) -> list[Bar]:
    run = report.run
    bars = [Bar("Metered", run.ours_nano, "total", signed_usd(run.ours_nano))]
    for step in report.bridge.steps:
        kind: BarKind = "more" if step.amount_nano >= 0 else "less"
        if step.cause is Cause.UNEXPLAINED:
            kind = "unexplained"
        bars.append(Bar(describe_cause(step.cause), step.amount_nano, kind, signed_usd(step.amount_nano, plus=True)))
    return [*bars, Bar(_theirs(report), run.theirs_nano, "total", signed_usd(run.theirs_nano))]


def _variance_row(variance: Variance) -> _VarianceRow:
    details = [describe_detail(variance.detail)] if variance.detail else []
    details += [f"also fits: {describe_explanation(each)}" for each in variance.alternatives]
    session = f"session {variance.session}" if variance.session else ""
    return _VarianceRow(
        id=variance.id,
        cause=describe_cause(variance.cause),
        is_inferred=variance.basis == CauseBasis.INFERRED,
        details=details,
        location=[part for part in (variance.model, variance.provider, session) if part],
        items=f"{variance.items:,}",
        difference=signed_usd(variance.amount_nano, plus=True),
        state=variance.state,
        is_tolerated=variance.tolerated and variance.state == VarianceState.OPEN,
        decision="" if variance.who == RECONCILE else f"{variance.who}: {variance.reason}",
    )


def _minute(micros: int) -> str:
    return f"{format_instant(micros)[:16].replace('T', ' ')} UTC"
