"""Invoices, runs and variances as JSON: what the API answers and ``--json`` prints is the same."""

from metering.domain.amounts import money
from metering.domain.instants import format_instant
from metering.domain.reconciliation.descriptions import describe_day
from metering.domain.reconciliation.records import (
    Decision,
    Evidence,
    Invoice,
    Reconciliation,
    ReconciliationReport,
    Variance,
    VarianceExplanation,
)


def invoice_json(invoice: Invoice, account: str) -> dict[str, object]:
    """Return an invoice."""
    return {
        "id": invoice.id,
        "account": account,
        "biller": invoice.biller,
        "provider": invoice.provider or None,
        "number": invoice.number or None,
        "format": invoice.format,
        "file": invoice.file or None,
        "grain": invoice.grain,
        "routes": list(invoice.routes),
        "period_start": format_instant(invoice.start),
        "period_end": format_instant(invoice.end),
        "issued_at": format_instant(invoice.issued_at),
        "lines": invoice.lines,
        **money("lines", invoice.lines_nano),
        **money("total", invoice.total_nano),
        "supersedes": invoice.supersedes_id,
        "superseded_by": invoice.superseded_by,
        "notes": list(invoice.notes),
        "digest": invoice.digest,
        "imported_at": format_instant(invoice.imported_at),
    }


def run_json(run: Reconciliation) -> dict[str, object]:
    """Return what a run came to."""
    return {
        "id": run.id,
        "invoice": run.invoice_id,
        "run_at": format_instant(run.run_at),
        **money("ours", run.ours_nano),
        **money("theirs", run.theirs_nano),
        **money("difference", run.theirs_nano - run.ours_nano),
        "valued": run.valued,
        "requests": run.requests,
        "matched_requests": run.matched_requests,
        **money("usage", run.usage_nano),
        **money("matched", run.matched_nano),
        **money("tolerance", run.tolerance_nano),
    }


def report_json(report: ReconciliationReport, account: str) -> dict[str, object]:
    """Return a run with its bridge and variances."""
    return {
        **run_json(report.run),
        "account": account,
        "steps": [
            {"cause": str(step.cause), "items": step.items, **money("amount", step.amount_nano)} for step in report.bridge.steps
        ],
        "variances": [variance_json(each) for each in report.variances],
        "open": len(report.needs_attention),
    }


def variance_json(variance: Variance) -> dict[str, object]:
    """Return a variance with the decision that holds."""
    return {
        "id": variance.id,
        "cause": variance.cause,
        "detail": variance.detail or None,
        "provider": variance.provider or None,
        "model": variance.model or None,
        "session": variance.session or None,
        "basis": variance.basis,
        "items": variance.items,
        **money("amount", variance.amount_nano),
        "tolerated": variance.tolerated,
        "alternatives": list(variance.alternatives),
        **decision_json(variance),
    }


def explanation_json(found: VarianceExplanation) -> dict[str, object]:
    """Return a variance with everything that was decided, and some of what shows it."""
    return {
        **variance_json(found.variance),
        "reconciliation": found.run.id,
        "invoice": found.invoice.id,
        "price": found.price,
        "decisions": [decision_json(each) for each in found.decisions],
        "evidence": [evidence_json(each) for each in found.evidence],
        "requests": [request_json(each) for each in found.requests],
        "requests_in_all": found.requests_in_all,
    }


def decision_json(decision: Decision | Variance) -> dict[str, object]:
    """Return a decision."""
    return {
        "state": decision.state,
        "who": decision.who,
        "reason": decision.reason,
        "decided_at": format_instant(decision.decided_at),
        **money("corrected", decision.corrected_nano),
        "adjustment": decision.adjustment or None,
    }


def evidence_json(item: Evidence) -> dict[str, object]:
    """Return one difference."""
    return {
        **_request(item),
        "line": item.line,
        "session": item.session or None,
        "day": describe_day(item.day) or None,
        **money("ours", item.ours_nano),
        **money("theirs", item.theirs_nano),
        **money("difference", item.amount_nano),
    }


def request_json(item: Evidence) -> dict[str, object]:
    """Return a request that would explain a variance of sums."""
    return {
        "explanation": item.explanation,
        **_request(item),
        **money("ours", item.ours_nano),
        **money("explains", item.amount_nano),
    }


def _request(item: Evidence) -> dict[str, object]:
    return {
        "event_id": item.event_id or None,
        "source": item.source or None,
        "event_time": None if item.event_time is None else format_instant(item.event_time),
        "provider": item.provider or None,
        "model": item.model or None,
        "request_id": item.request_id or None,
        "input_tokens": item.input_tokens,
        "cache_read_tokens": item.cache_read_tokens,
        "output_tokens": item.output_tokens,
    }
