"""``metering ingest``: read request logs."""

from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from datetime import date
from pathlib import Path
from typing import NoReturn

import click
from msgspec import Struct

from metering.cli.arguments import INSTANT, ZONE, collected, json_option, separated
from metering.cli.invocation import Invocation
from metering.cli.root import BAD_USAGE, INTERRUPTED, stop
from metering.cli.session import open_session
from metering.cli.terminal.output import print_json, warn
from metering.cli.terminal.sanitize import sanitize
from metering.cli.usage.ingest_inputs import Input, find_inputs
from metering.cli.usage.ingest_progress import progress_bar
from metering.cli.usage.ingest_report import FileReport, IngestReport, report_json, show_report
from metering.domain.accounts.plan_history import PlanChange, unknown_plan_terms
from metering.domain.charges.spend import Granularity, SpendQuery
from metering.domain.errors import AlreadyExistsError, LogFormatError, NotFoundError
from metering.domain.instants import EARLIEST, FUTURE_TOLERANCE, date_of, day_of
from metering.domain.usage.events import PROVIDER_KEY, ROUTED, SERVERLESS
from metering.formats.csv_columns import MAPPABLE_FIELDS
from metering.formats.detect import Format
from metering.formats.options import DecodeOptions
from metering.operations.accounts.manage_accounts import ensure_account, show_account
from metering.operations.accounts.manage_plans import list_plan_changes, set_plan
from metering.operations.budgets.evaluate_budgets import BudgetEvaluator
from metering.operations.charges.query_spend import query_spend
from metering.operations.service.open_service import Service
from metering.operations.usage.ingest_log import LogRequest, Progress, ingest_log
from metering.operations.usage.read_log import STDIN
from pricing.bundled import bundled_plans


class IngestChoices(Struct, frozen=True, kw_only=True):
    """What the command line says, as it says it."""

    files: tuple[str, ...]
    account: str
    plan: str | None
    create_accounts: bool
    provider: str
    model: str
    route: str | None
    operation: str
    project: str
    key: str
    source: str
    format: Format | None
    columns: tuple[str, ...]
    tags: tuple[str, ...]
    time_zone: str | None
    replay_from: int | None
    as_json: bool
    quiet: bool


def _plans() -> click.Choice[str]:
    return click.Choice(bundled_plans().plans)


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--account", default="", metavar="NAME", help="Account of records that name none; created if nobody has it.")
@click.option(
    "--plan",
    type=_plans(),
    help="The plan --account is on, from the 1st of the month of its earliest usage; a plan it has already stays.",
)
@click.option("--create-accounts", is_flag=True, help="Declare the accounts that records name and nobody has.")
@click.option("--provider", default="", help="Provider of records that name none, in Hugging Face's spelling.")
@click.option("--model", default="", help="Model of records that name none; MODEL:PROVIDER names both.")
@click.option("--route", type=click.Choice([ROUTED, PROVIDER_KEY, SERVERLESS]), help="Who bills, if records don't say.")
@click.option("--operation", default="", help="Operation of records that name none (chat when nothing is said).")
@click.option("--project", default="", help="Project of records that name none.")
@click.option("--key", default="", help="Key of records that name none.")
@click.option("--source", default="", metavar="NAME", help="Where the records are from, part of their identity [file's name].")
@click.option("--format", type=click.Choice(["native", "openai", "csv"]), help="The format, if its content does not tell.")
@click.option("--map", "columns", multiple=True, metavar="FIELD=COLUMN", help="A CSV's columns; repeat, or separate by commas.")
@click.option("--tag", "tags", multiple=True, metavar="FIELD", help="A field of the records to keep as a tag.")
@click.option("--time-zone", type=ZONE, help="Zone of times that carry none: UTC, Europe/Berlin.")
@click.option("--replay-from", type=INSTANT, help="Shift all times so that the first record happened then.")
@json_option
@click.option("--quiet", is_flag=True, help="Only tell what went wrong.")
@click.pass_obj
@collected(IngestChoices)
def ingest(invocation: Invocation, choices: IngestChoices) -> None:
    """Read request logs: native events, OpenAI-shaped logs, CSV; plain, gzipped, or - for standard input.

    Reading a log again counts nothing twice. A record that can not be read is reported and kept in quarantine, and costs
    none of the others. Exits with 1 when records were rejected or one of several files could not be read.

    \b
    metering ingest requests.ndjson --account acme
    metering ingest trace.csv --account acme --provider together --route routed \\
        --model meta-llama/Llama-3.3-70B-Instruct --time-zone UTC \\
        --map time=TIMESTAMP,input_tokens=ContextTokens,output_tokens=GeneratedTokens
    """
    columns = _columns(choices)
    inputs = find_inputs(choices.files, choices.source)
    with open_session(invocation, create=True) as service:
        report = IngestReport()
        if choices.account and any(each.path == STDIN or Path(each.path).exists() for each in inputs):
            _ensure_account(service, choices.account, report)
        evaluator = BudgetEvaluator(service.engine, service.catalogue, service.clock)
        try:
            with progress_bar(shown=not choices.quiet) as follow:
                for each in inputs:
                    report.files.append(FileReport(each))
                    request = _request(choices, columns, each, service.clock())
                    _ingest(service, evaluator, request, report.files[-1], follow(each.source))
                evaluator.finish()
        except KeyboardInterrupt:
            _tell_interrupted(report)
        if choices.plan and not report.nothing_was_read:
            _set_plan(service, choices.account, choices.plan, report)
    _tell(report, choices)


def _tell(report: IngestReport, choices: IngestChoices) -> None:
    for file in report.files:
        if file.error is not None:
            warn(f"error[{file.error.code}]: {sanitize(str(file.error))}", style="red")
    if choices.as_json:
        print_json(report_json(report))
    elif not report.nothing_was_read:
        show_report(report, quiet=choices.quiet)
    if report.nothing_was_read:
        stop(BAD_USAGE)
    if not report.clean:
        stop(1)


def _ingest(
    service: Service, evaluator: BudgetEvaluator, request: LogRequest, file: FileReport, told: Callable[[Progress], None]
) -> None:
    """Ingest one input into its report; what goes wrong with it is kept there and does not stop the others."""

    def follow(progress: Progress) -> None:
        file.result = progress.result
        evaluator.evaluate_if_due()
        told(progress)

    try:
        request.path.encode()
        file.result = ingest_log(
            service.engine,
            service.ingester,
            request,
            declared_tags=service.settings.ingest.declared_tags,
            on_progress=follow,
        )
    except UnicodeEncodeError:
        file.error = LogFormatError(
            f"{sanitize(request.path)}: the file's name is not valid UTF-8; rename it", "unreadable_file"
        )
    except LogFormatError as error:
        file.error = _naming(error, request.path)
    except BrokenProcessPool:
        file.error = LogFormatError(f"{request.path}: the process that decoded it was ended; what was stored stays")


def _tell_interrupted(report: IngestReport) -> NoReturn:
    """End the command in one line, once the bar is gone."""
    where = f" in {sanitize(report.files[-1].input.path)}" if report.files else ""
    warn(
        f"interrupted{where} after {report.total.received:,} records; what was stored stays, and the same command again reads"
        " the rest"
    )
    stop(INTERRUPTED)


def _naming(error: LogFormatError, path: str) -> LogFormatError:
    """Return the error, telling which input it is about."""
    text = str(error)
    if text.startswith(path):
        return error
    return LogFormatError(f"{'standard input' if path == STDIN else path}: {text}", error.code)


def _request(choices: IngestChoices, columns: dict[str, str], each: Input, now: int) -> LogRequest:
    options = DecodeOptions(
        source=each.source,
        now=now,
        account=choices.account,
        provider=choices.provider,
        model=choices.model,
        operation=choices.operation,
        route=choices.route or "",
        project=choices.project,
        key=choices.key,
        zone=choices.time_zone or "",
        replay_from=choices.replay_from,
        columns=columns,
        tag_fields=tuple(separated(choices.tags)),
    )
    return LogRequest(each.path, options, choices.format, choices.create_accounts)


def _columns(choices: IngestChoices) -> dict[str, str]:
    """Return the column of each mapped field. Raises UsageError."""
    if choices.plan and not choices.account:
        raise click.UsageError("--plan needs --account, whose plan it is")
    columns: dict[str, str] = {}
    for pair in separated(choices.columns):
        field, equals, column = (part.strip() for part in pair.partition("="))
        if not (equals and field and column):
            raise click.UsageError(f"--map takes FIELD=COLUMN, got {pair[:60]!r}")
        if field not in MAPPABLE_FIELDS:
            raise click.UsageError(f"--map: {field[:40]!r} is not a field; there are {', '.join(MAPPABLE_FIELDS)}")
        if columns.setdefault(field, column) != column:
            raise click.UsageError(f"--map names two columns for {field}")
    if columns and choices.format not in (None, "csv"):
        raise click.UsageError(f"--map is for CSV, not for the format {choices.format}")
    return columns


def _ensure_account(service: Service, name: str, report: IngestReport) -> None:
    try:
        show_account(service.engine, name)
    except NotFoundError:
        try:
            ensure_account(service.engine, name, now=service.clock())
        except AlreadyExistsError:
            report.remarks.append(f"{sanitize(name)} is a former name; records count for whoever had it at their time")
        else:
            report.remarks.append(f"created the account {sanitize(name)}")


def _set_plan(service: Service, account: str, plan: str, report: IngestReport) -> None:
    """Put an account without a plan on one, from the first of the month of its earliest usage."""
    changes = list_plan_changes(service.engine, account)
    if changes:
        if changes[-1].plan != plan:
            report.remarks.append(
                f"{sanitize(account)} is on {changes[-1].plan} since {changes[-1].effective}, which stays;"
                " `metering accounts set-plan` changes it"
            )
        return
    first = _first_usage(service, account)
    if first is None:
        report.remarks.append(f"{sanitize(account)} has no usage yet, so no plan was set; `metering accounts set-plan` does")
        return
    change = PlanChange(first, plan)
    set_plan(service.engine, account, change, service.catalogue, now=service.clock())
    report.remarks.append(f"{sanitize(account)} is on {plan} from {first}")
    report.remarks.extend(unknown_plan_terms(change, service.catalogue))


def _first_usage(service: Service, account: str) -> date | None:
    """Return the first day of the month of the account's earliest usage."""
    account_id = show_account(service.engine, account).id
    end = service.clock() + 2 * FUTURE_TOLERANCE
    months = query_spend(service.engine, SpendQuery(EARLIEST, end, account_id, granularity=Granularity.MONTH))
    return date_of(day_of(months[0].period_start)) if months else None
