"""What an ingest came to: a table of outcomes, the first items that need a look, and what to do next."""

from typing import Any

from msgspec import Struct, field

from metering.cli.ingest_inputs import Input
from metering.cli.output import Column, console, print_table, say
from metering.cli.plain_text import plain
from metering.domain.errors import DomainError
from metering.domain.outcomes import BatchResult, ItemOutcome, Outcome

SHOWN_ITEMS = 10
SHOWN_FIELDS = 8

OUTCOMES = ("accepted", "duplicate", "copy", "conflict", "rejected")
DOUBTS = {
    "unpriced": "unpriced",
    "unassigned": "unassigned",
    "route_unknown": "route unknown",
    "series_capped": "series capped",
}

_LOOK_FIRST = (Outcome.REJECTED, Outcome.CONFLICT, Outcome.COPY)


class FileReport(Struct):
    """One input with its counts; ``error`` where it could not be read, or not to its end."""

    input: Input
    result: BatchResult = field(default_factory=BatchResult)
    error: DomainError | None = None


class IngestReport(Struct):
    """All inputs, and remarks on what else was done (an account created, a plan set)."""

    files: list[FileReport] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def total(self) -> BatchResult:
        """The counts of all inputs."""
        total = BatchResult()
        for file in self.files:
            total.merge(file.result, keep_items=0)
        return total

    @property
    def nothing_was_read(self) -> bool:
        """Whether no input could be read at all."""
        return all(file.error is not None and not file.result.received for file in self.files)

    @property
    def clean(self) -> bool:
        """Whether every input was read to its end and no record of it was rejected."""
        return not any(file.error is not None or file.result.rejected for file in self.files)


def report_json(report: IngestReport) -> dict[str, Any]:
    """Return the report as JSON values. Duplicates are counted, not listed."""
    return {
        "files": [
            {
                "file": file.input.path,
                "source": file.input.source,
                **_counts(file.result),
                "items": [_item_json(item) for item in _items(file)],
                "unread_fields": file.result.unread_fields,
                "error": None if file.error is None else {"code": file.error.code, "message": str(file.error)},
            }
            for file in report.files
        ],
        "total": _counts(report.total),
        "remarks": report.remarks,
    }


def show_report(report: IngestReport, *, quiet: bool) -> None:
    """Write the report; ``quiet`` leaves only what went wrong, on stderr it is told already."""
    if not quiet:
        for line in report.remarks:
            say(line)
        _show_counts(report)
    for file in report.files:
        _show_items(file)
        if not quiet:
            _show_unread(file)
    if not quiet:
        _show_next(report.total)


def _show_counts(report: IngestReport) -> None:
    total = report.total
    doubts = [name for name in DOUBTS if getattr(total, name)]
    names = [*OUTCOMES, *doubts]
    columns = [Column("source", "name"), *(Column(DOUBTS.get(name, name), "count") for name in names)]
    rows = [[file.input.source, *(getattr(file.result, name) for name in names)] for file in report.files]
    totals = ["total", *(getattr(total, name) for name in names)] if len(rows) > 1 else None
    print_table(columns, rows, totals=totals)


def _show_items(file: FileReport) -> None:
    items = _items(file)
    for item in items[:SHOWN_ITEMS]:
        where = f"{plain(file.input.path)}:{item.line}"
        say(f"{where}: {item.outcome}[{item.code}] {plain(item.reason)}", style="yellow")
    counts = file.result
    more = counts.rejected + counts.conflict + counts.copy - min(len(items), SHOWN_ITEMS)
    if more > 0:
        say(f"{plain(file.input.path)}: {more:,} more")


def _show_unread(file: FileReport) -> None:
    unread = sorted(file.result.unread_fields.items(), key=lambda item: (-item[1], item[0]))
    if unread:
        told = ", ".join(f"{plain(name)} ({count:,})" for name, count in unread[:SHOWN_FIELDS])
        more = f" and {len(unread) - SHOWN_FIELDS} more" if len(unread) > SHOWN_FIELDS else ""
        say(f"{plain(file.input.source)}: fields that nothing is kept of: {told}{more}; --tag FIELD keeps one as a tag")


def _show_next(total: BatchResult) -> None:
    steps = []
    if total.rejected:
        steps.append(
            f"{total.rejected:,} rejected: `metering quarantine list`; mend the file, then `metering quarantine replay`"
        )
    if total.conflict:
        steps.append(f"{total.conflict:,} in conflict: the same id with other content came before, and stands")
    if total.route_unknown:
        steps.append(
            f"the route is not known for {total.route_unknown:,} events, so they are on no bill: say --route routed when you"
            " ingest, or first `metering accounts set-route ACCOUNT routed`"
        )
    if total.unassigned:
        steps.append(
            f"{total.unassigned:,} events are of accounts that nobody has declared, and wait under `unassigned`:"
            " say --account NAME or --create-accounts when you ingest"
        )
    if total.unpriced:
        steps.append(f"{total.unpriced:,} unpriced: `metering prices unpriced` says what is missing")
    if total.series_capped:
        steps.append(
            f"{total.series_capped:,} events are summed as (other): their account has more series than METERING_SERIES_CAP"
        )
    out = console()
    for step in steps:
        out.print(f"- {step}")


def _items(file: FileReport) -> list[ItemOutcome]:
    """Return what needs a look, the worst first, each in the order of the input."""
    return [item for outcome in _LOOK_FIRST for item in file.result.items if item.outcome is outcome]


def _counts(result: BatchResult) -> dict[str, int]:
    return {"received": result.received} | {name: getattr(result, name) for name in (*OUTCOMES, *DOUBTS)}


def _item_json(item: ItemOutcome) -> dict[str, Any]:
    return {
        "line": item.line,
        "outcome": str(item.outcome),
        "code": item.code,
        "reason": item.reason,
        "id": item.id,
        "field": item.field,
    }
