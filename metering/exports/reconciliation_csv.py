"""A reconciliation as CSV: one row a step of the bridge and one a variance; and the evidence of variances, one row an item and
one a request that would explain it.

RFC 4180; amounts are integer nano-USD and decimal dollars with all nine decimals; a cell that could be taken for a formula by a
spreadsheet gets an apostrophe before it.
"""

import csv
import io
from collections.abc import Iterable, Iterator

from metering.domain.instants import format_instant
from metering.domain.reconciliation.descriptions import describe_cause, describe_day, describe_detail
from metering.domain.reconciliation.records import Evidence, ReconciliationReport, Variance
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

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def reconciliation_csv(report: ReconciliationReport) -> str:
    """Return the bridge and the variances: ``ours``, the steps, ``theirs``, then the variances."""
    run = report.run
    rows: list[dict[str, object]] = [{"row": "ours", **_amount(run.ours_nano)}]
    rows += [
        {
            "row": "step",
            "cause": str(step.cause),
            "meaning": describe_cause(step.cause),
            "items": step.items,
            **_amount(step.amount_nano),
        }
        for step in report.bridge.steps
    ]
    rows.append({"row": "theirs", **_amount(run.theirs_nano)})
    rows += [_variance(each) for each in report.variances]
    shared = {"reconciliation": run.id, "invoice": run.invoice_id}
    return _written(REPORT_COLUMNS, ({**shared, **row} for row in rows))


def evidence_csv(evidence: Iterable[tuple[Variance, Evidence]]) -> Iterator[str]:
    """Yield the evidence row by row, the header first: a dispute may be about millions.

    Rows of ``difference`` add up to the variance. Rows of ``request`` are requests of ours that would explain a difference of
    sums; what they explain stands in a column of its own, so that nothing is added up twice.
    """
    yield _row(EVIDENCE_COLUMNS)
    for variance, item in evidence:
        at = "" if item.event_time is None else format_instant(item.event_time)
        request = (item.event_id, item.source, at, item.provider, item.model, item.request_id, item.line)
        used = (item.input_tokens, item.cache_read_tokens, item.output_tokens)
        about = (item.session, describe_day(item.day), item.explanation)
        row = "request" if item.explanation else "difference"
        difference, explains = (None, item.amount_nano) if item.explanation else (item.amount_nano, None)
        amounts = (item.ours_nano, item.theirs_nano, difference)
        yield _row([variance.id, variance.cause, variance.detail, *request, *used, *amounts, row, *about, explains])


def _variance(each: Variance) -> dict[str, object]:
    return {
        "row": "variance",
        "variance": each.id,
        "cause": each.cause,
        "meaning": describe_cause(each.cause),
        "detail": describe_detail(each.detail) if each.detail else "",
        "provider": each.provider,
        "model": each.model,
        "session": each.session,
        "basis": each.basis,
        "items": each.items,
        "state": each.state,
        "tolerated": int(each.tolerated),
        "who": each.who,
        "reason": each.reason,
        "decided_at": format_instant(each.decided_at),
        "adjustment": each.adjustment,
        "alternatives": "; ".join(each.alternatives),
        **_amount(each.amount_nano),
    }


def _amount(nano: int) -> dict[str, object]:
    return {"amount_nano_usd": nano, "amount_usd": format_nano(nano)}


def _written(columns: tuple[str, ...], rows: Iterable[dict[str, object]]) -> str:
    return "".join([_row(columns), *(_row([row.get(name, "") for name in columns]) for row in rows)])


def _row(cells: Iterable[object]) -> str:
    target = io.StringIO()
    csv.writer(target, lineterminator="\r\n").writerow([_cell(each) for each in cells])
    return target.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA) and not value.lstrip("-").replace(".", "", 1).isdecimal():
        return f"'{value}"
    return "" if value is None else value
