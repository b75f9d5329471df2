"""A reconciliation as CSV (one row per step of the bridge and per variance), and the evidence of a variance.

Amounts are integer nano-USD and decimal dollars with all nine decimals. Text that a spreadsheet could take for a formula gets
an apostrophe in front.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from metering.domain.instants import format_instant
from metering.domain.reconciliation.descriptions import describe_cause, describe_day, describe_detail
from metering.domain.reconciliation.records import Evidence, ReconciliationReport, Variance
from metering.exports.csv_text import Cell, csv_chunks, escape_formula
from pricing.dollars import format_nano

REPORT_COLUMNS = (
    "row", "reconciliation", "invoice", "variance", "cause", "meaning", "detail", "provider", "model", "session", "basis",
    "items", "amount_nano_usd", "amount_usd", "state", "tolerated", "who", "reason", "decided_at", "adjustment", "alternatives",
)  # fmt: skip
EVIDENCE_COLUMNS = (
    "variance", "cause", "detail", "event_id", "source", "event_time", "provider", "model", "request_id", "invoice_line",
    "input_tokens", "cache_read_tokens", "output_tokens", "ours_nano_usd", "theirs_nano_usd", "difference_nano_usd",
    "row", "session", "day", "explanation", "explains_nano_usd",
)  # fmt: skip
_AMOUNT = "amount_usd"

_Row = Mapping[str, Cell]


def reconciliation_csv(report: ReconciliationReport) -> Iterator[bytes]:
    """Yield the bridge (``ours``, the steps, ``theirs``) and the variances, piece by piece."""
    run = report.run
    shared: _Row = {"reconciliation": run.id, "invoice": run.invoice_id}
    return csv_chunks(REPORT_COLUMNS, (_cells(REPORT_COLUMNS, {**shared, **row}) for row in _report_rows(report)))


def evidence_csv(evidence: Iterable[tuple[Variance, Evidence]]) -> Iterator[bytes]:
    """Yield the evidence piece by piece: a dispute can be about millions of rows.

    ``difference`` rows add up to the variance. ``request`` rows are metered requests that would explain a difference of sums;
    what they explain has a separate column, so that nothing is added up twice.
    """
    return csv_chunks(EVIDENCE_COLUMNS, (_cells(EVIDENCE_COLUMNS, _evidence_row(*each)) for each in evidence))


def _report_rows(report: ReconciliationReport) -> Iterator[_Row]:
    yield {"row": "ours", **_amount(report.run.ours_nano)}
    for step in report.bridge.steps:
        cause: _Row = {"cause": str(step.cause), "meaning": describe_cause(step.cause), "items": step.items}
        yield {"row": "step", **cause, **_amount(step.amount_nano)}
    yield {"row": "theirs", **_amount(report.run.theirs_nano)}
    yield from map(_variance_row, report.variances)


def _variance_row(variance: Variance) -> _Row:
    return {
        "row": "variance",
        "variance": variance.id,
        "cause": variance.cause,
        "meaning": describe_cause(variance.cause),
        "detail": describe_detail(variance.detail) if variance.detail else "",
        "provider": variance.provider,
        "model": variance.model,
        "session": variance.session,
        "basis": variance.basis,
        "items": variance.items,
        **_amount(variance.amount_nano),
        "state": variance.state,
        "tolerated": int(variance.tolerated),
        "who": variance.who,
        "reason": variance.reason,
        "decided_at": format_instant(variance.decided_at),
        "adjustment": variance.adjustment,
        "alternatives": "; ".join(variance.alternatives),
    }


def _evidence_row(variance: Variance, item: Evidence) -> _Row:
    is_request = bool(item.explanation)
    return {
        "variance": variance.id,
        "cause": variance.cause,
        "detail": variance.detail,
        "event_id": item.event_id,
        "source": item.source,
        "event_time": "" if item.event_time is None else format_instant(item.event_time),
        "provider": item.provider,
        "model": item.model,
        "request_id": item.request_id,
        "invoice_line": item.line,
        "input_tokens": item.input_tokens,
        "cache_read_tokens": item.cache_read_tokens,
        "output_tokens": item.output_tokens,
        "ours_nano_usd": item.ours_nano,
        "theirs_nano_usd": item.theirs_nano,
        "difference_nano_usd": None if is_request else item.amount_nano,
        "row": "request" if is_request else "difference",
        "session": item.session,
        "day": describe_day(item.day),
        "explanation": item.explanation,
        "explains_nano_usd": item.amount_nano if is_request else None,
    }


def _amount(nano: int) -> _Row:
    return {"amount_nano_usd": nano, _AMOUNT: format_nano(nano)}


def _cells(columns: Sequence[str], row: _Row) -> list[Cell]:
    return [_cell(name, row.get(name)) for name in columns]


def _cell(name: str, value: Cell) -> Cell:
    return escape_formula(value) if isinstance(value, str) and name != _AMOUNT else value
