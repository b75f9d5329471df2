"""What an ingest came to: a table of outcomes, the first items that need a look, and what to do next."""

from typing import Any

from msgspec import Struct, field

from metering.cli.terminal.output import Cell, Column, echo, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.cli.usage.ingest_inputs import Input
from metering.domain.errors import DomainError
from metering.domain.usage.outcomes import BatchResult, ItemOutcome, Outcome

SHOWN_ITEMS = 10
SHOWN_FIELDS = 8

OUTCOMES = ("accepted", "duplicate", "copy", "conflict", "rejected")
DOUBTS = {
    "unpriced": "unpriced",
    "unassigned": "unassigned",
    "route_unknown": "route unknown",
    "series_capped": "series capped",
}

_NEXT = {
    "unpriced": "in no amount yet: `metering prices unpriced` says what is missing",
    "unassigned": "of accounts nobody has declared: `metering accounts unassigned` names them, `accounts assign` says whose",
    "route_unknown": "on no bill; next time --route routed, or first `metering accounts set-route ACCOUNT routed`",
    "series_capped": "summed as (other): their account has more series than METERING_SERIES_CAP",
    "duplicate": "counted before",
    "copy": "another source's record of a counted request",
    "conflict": "the same id with other content; the first stands",
    "rejected": "`metering quarantine list`; mend the file, then `metering quarantine replay`",
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
    """Write the report; ``quiet`` leaves what went wrong."""
    if not quiet:
        for line in report.remarks:
            echo(line)
        _show_sources(report)
        _show_total(report.total)
    for file in report.files:
        _show_items(file)
        if not quiet:
            _show_unread(file)


def _show_sources(report: IngestReport) -> None:
    """Write the outcomes of each input; of a single one, its source."""
    if len(report.files) == 1:
        echo(f"source {sanitize(report.files[0].input.source)}")
        echo()
        return
    columns = [Column("source", "name"), *(Column(name, "count") for name in OUTCOMES)]
    print_table(columns, [[file.input.source, *(getattr(file.result, name) for name in OUTCOMES)] for file in report.files])
    echo()


def _show_total(total: BatchResult) -> None:
    """Write what became of all records, and what to do about them."""
    rows: list[list[Cell]] = []
    for name in OUTCOMES:
        count = getattr(total, name)
        rows.append([name, count, _NEXT.get(name, "") if count else ""])
        if name == "accepted":
            doubts = [(doubt, getattr(total, doubt)) for doubt in DOUBTS]
            rows += [[f"  {DOUBTS[doubt]}", many, _NEXT[doubt]] for doubt, many in doubts if many]
    print_table([Column("outcome"), Column("records", "count"), Column("", "name")], rows)
    if total.rejected or total.conflict or total.copy or total.unread_fields:
        echo()


def _show_items(file: FileReport) -> None:
    items = _items(file)
    for item in items[:SHOWN_ITEMS]:
        where = f"{sanitize(file.input.path)}:{item.line}"
        echo(f"{where}: {item.outcome}[{item.code}] {sanitize(item.reason)}", style="yellow")
    counts = file.result
    more = counts.rejected + counts.conflict + counts.copy - min(len(items), SHOWN_ITEMS)
    if more > 0:
        echo(f"{sanitize(file.input.path)}: {more:,} more")


def _show_unread(file: FileReport) -> None:
    unread = sorted(file.result.unread_fields.items(), key=lambda item: (-item[1], item[0]))
    if unread:
        told = ", ".join(f"{sanitize(name)} ({count:,})" for name, count in unread[:SHOWN_FIELDS])
        more = f" and {len(unread) - SHOWN_FIELDS} more" if len(unread) > SHOWN_FIELDS else ""
        echo(f"{sanitize(file.input.path)}: nothing is kept of the fields {told}{more}; --tag FIELD keeps one as a tag")


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
