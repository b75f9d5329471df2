"""``metering ingest --dry-run``: the first records as they would be understood, next to the raw line. Nothing is written."""

from collections.abc import Sequence

from sqlalchemy import Engine

from metering.answers.usage.dry_runs import (
    DryRunAnswer,
    LogPreviewAnswer,
    PreviewedEventAnswer,
    PreviewedRecordAnswer,
    dry_run_answer,
)
from metering.cli.invocation import Invocation
from metering.cli.root import BAD_USAGE, stop
from metering.cli.session import settings_of
from metering.cli.terminal.output import echo, print_json, warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.errors import LogFormatError
from metering.domain.usage.dry_runs import LogPreview
from metering.operations.usage.ingest_log import LogRequest
from metering.operations.usage.preview_log import preview_log
from metering.storage.engine.database import file_of, open_database
from metering.storage.engine.schema_revision import is_empty, require_current_schema
from pricing.dollars import display_nano
from pricing.possible import PossibleCost


def show_dry_run(invocation: Invocation, requests: Sequence[LogRequest], *, as_json: bool) -> None:
    """Show how logs would be read. Exits with 2 if none can be read, with 1 if a record would be rejected or one is unread."""
    engine = _existing_database(invocation)
    try:
        previews, has_unread = _previews(engine, requests)
    finally:
        if engine is not None:
            engine.dispose()
    answer = dry_run_answer(previews)
    if as_json:
        print_json(answer)
    else:
        _print(answer, without_database=engine is None)
    if not previews:
        stop(BAD_USAGE)
    if has_unread or any(record.event is None for log in answer.files for record in log.records):
        stop(1)


def _existing_database(invocation: Invocation) -> Engine | None:
    """Return the database; None if there is none yet. Raises SchemaOutOfDateError."""
    engine = open_database(settings_of(invocation).database_url)
    file = file_of(engine.url)
    if (file is not None and not file.exists()) or is_empty(engine):
        engine.dispose()
        return None
    require_current_schema(engine)
    return engine


def _previews(engine: Engine | None, requests: Sequence[LogRequest]) -> tuple[list[LogPreview], bool]:
    previews, has_unread = [], False
    for request in requests:
        try:
            previews.append(preview_log(engine, request))
        except LogFormatError as error:
            has_unread = True
            where = "" if str(error).startswith(request.path) else f"{request.path}: "
            warn(f"error[{error.code}]: {sanitize(f'{where}{error}')}", style="red")
    return previews, has_unread


def _print(answer: DryRunAnswer, *, without_database: bool) -> None:
    for log in answer.files:
        _print_log(log)
    if answer.files:
        prices = "bundled prices" if without_database else "the prices that are recorded now"
        warn(f"dry run with {prices}: nothing was written; content is hidden")


def _print_log(log: LogPreviewAnswer) -> None:
    echo(f"{sanitize(log.file)}: format {log.format}, source {sanitize(log.source)}", style="bold")
    for record in log.records:
        place = f"line {record.line}" if record.line is not None else f"item {record.index}"
        echo(f"\n{place}  {sanitize(record.raw)}")
        for line in _understood(record):
            echo(f"  {line}")
    if log.unread_fields:
        names = ", ".join(sanitize(name) for name in sorted(log.unread_fields)[:8])
        echo(f"\nfields that would not be stored: {names}")
    echo()


def _understood(record: PreviewedRecordAnswer) -> list[str]:
    event = record.event
    if event is None:
        return [f"rejected[{record.code}]: {sanitize(record.reason)}"]
    status = "" if event.status is None else f", status {event.status}"
    return [
        f"time      {event.time}",
        f"account   {sanitize(event.account) or '(none stated)'}",
        f"model     {sanitize(event.model)} at {sanitize(event.provider)}, {sanitize(event.operation)}{status}",
        f"route     {event.route}",
        f"used      {_used(event)}",
        f"cost      {_cost(event)}",
    ]


def _used(event: PreviewedEventAnswer) -> str:
    if event.quantity_grade == "unstated":
        return "not stated"
    counts = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in event.quantities.items())
    return f"{counts or 'nothing'}{' (estimated)' if event.quantity_grade == 'estimated' else ''}"


def _cost(event: PreviewedEventAnswer) -> str:
    if event.failed:
        return "$0.00: the request failed"
    if event.amount_nano_usd is not None:
        return f"${display_nano(event.amount_nano_usd)}"
    if event.possible_least_nano_usd is None or event.possible_most_nano_usd is None:
        return "not priced"
    return f"not priced; {PossibleCost(1, event.possible_least_nano_usd, event.possible_most_nano_usd)}"
