"""The report of an ingest: a table of outcomes, the first records that need attention, and what to do next."""

from msgspec import Struct, field

from metering.answers.usage.ingest import (
    IngestCountsAnswer,
    IngestReportAnswer,
    LogIngestAnswer,
    RecordOutcomeAnswer,
    ingest_report_answer,
    log_ingest_answer,
)
from metering.cli.terminal.output import Cell, Column, echo, print_table, warn
from metering.cli.terminal.sanitize import sanitize
from metering.cli.usage.ingest_inputs import Input
from metering.domain.errors import DomainError
from metering.domain.usage.outcomes import OUTCOME_COUNTS, WARNING_COUNTS, BatchResult

SHOWN_ITEMS = 10
SHOWN_FIELDS = 8

_HINTS = {
    "unpriced": "not priced yet: see `metering prices unpriced`",
    "unassigned": "account not declared: see `metering accounts unassigned`, then `metering accounts assign`",
    "route_unknown": "billing route unknown: set it with `metering accounts set-route`, or pass --route",
    "series_capped": "summed as (other): the account has more series than METERING_SERIES_CAP",
    "duplicate": "ingested before",
    "copy": "another source's record of a counted request",
    "completed": "stated what an earlier record left open, and replaced it",
    "conflict": "contradicts an earlier record, which is kept: see `metering usage conflicts`",
    "rejected": "see `metering quarantine list`; fix the file, then run `metering quarantine replay`",
}


class InputReport(Struct):
    """One input with its result; ``error``: why it could not be read, or not to its end."""

    input: Input
    result: BatchResult = field(default_factory=BatchResult)
    error: DomainError | None = None


class IngestReport(Struct):
    """All inputs, and remarks on other changes (an account created, a plan set)."""

    inputs: list[InputReport] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def nothing_was_read(self) -> bool:
        """Whether no input could be read at all."""
        return all(each.error is not None and not each.result.received for each in self.inputs)

    @property
    def is_clean(self) -> bool:
        """Whether every input was read to its end and none of its records was rejected."""
        return not any(each.error is not None or each.result.rejected for each in self.inputs)

    @property
    def received(self) -> int:
        """The number of records of all inputs."""
        return sum(each.result.received for each in self.inputs)

    def answer(self) -> IngestReportAnswer:
        """Return the report as an answer."""
        files = [log_ingest_answer(each.input.path, each.input.source, each.result, each.error) for each in self.inputs]
        return ingest_report_answer(files, self.remarks)


def warn_errors(report: IngestReportAnswer) -> None:
    """Print the inputs that could not be read to stderr."""
    for file in report.files:
        if file.error is not None:
            warn(f"error[{file.error.code}]: {sanitize(file.error.message)}", style="red")


def show_report(report: IngestReportAnswer, *, quiet: bool) -> None:
    """Print a report; with ``quiet``, only what went wrong."""
    if not quiet:
        for line in report.remarks:
            echo(line)
        _show_sources(report)
        _show_total(report.total)
        if _needs_attention(report):
            echo()
    for file in report.files:
        _show_items(file)
        if not quiet:
            _show_unread(file)


def _show_sources(report: IngestReportAnswer) -> None:
    """Print the outcomes of each input; for a single one, its source."""
    if len(report.files) == 1:
        echo(f"source {sanitize(report.files[0].source)}")
        echo()
        return
    columns = [Column("source", "name"), *(Column(name, "count") for name in OUTCOME_COUNTS)]
    print_table(columns, [[file.source, *(getattr(file, name) for name in OUTCOME_COUNTS)] for file in report.files])
    echo()


def _show_total(total: IngestCountsAnswer) -> None:
    """Print all outcomes, and what to do about them."""
    rows: list[list[Cell]] = []
    for name in OUTCOME_COUNTS:
        count = getattr(total, name)
        rows.append([name, count, _HINTS.get(name, "") if count else ""])
        if name == "accepted":
            warnings = [(warning, getattr(total, warning)) for warning in WARNING_COUNTS]
            rows += [[f"  {warning.replace('_', ' ')}", events, _HINTS[warning]] for warning, events in warnings if events]
    print_table([Column("outcome"), Column("records", "count"), Column("", "name")], rows)


def _needs_attention(report: IngestReportAnswer) -> bool:
    total = report.total
    return bool(total.rejected or total.conflict or total.copy or any(file.unread_fields for file in report.files))


def _show_items(file: LogIngestAnswer) -> None:
    shown = file.items[:SHOWN_ITEMS]
    for item in shown:
        echo(f"{_position(file, item)}: {item.outcome}[{item.code}] {sanitize(item.reason)}", style="yellow")
    more = file.rejected + file.conflict + file.copy - len(shown)
    if more > 0:
        echo(f"{sanitize(file.file)}: {more:,} more")


def _position(file: LogIngestAnswer, item: RecordOutcomeAnswer) -> str:
    path = sanitize(file.file)
    return f"{path}[{item.index}]" if item.line is None else f"{path}:{item.line}"


def _show_unread(file: LogIngestAnswer) -> None:
    unread = sorted(file.unread_fields.items(), key=lambda item: (-item[1], item[0]))
    if unread:
        fields = ", ".join(f"{sanitize(name)} ({count:,})" for name, count in unread[:SHOWN_FIELDS])
        more = f" and {len(unread) - SHOWN_FIELDS} more" if len(unread) > SHOWN_FIELDS else ""
        echo(f"{sanitize(file.file)}: fields not stored: {fields}{more}; --tag FIELD keeps a single value as a tag")
