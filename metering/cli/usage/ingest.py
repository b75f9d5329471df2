"""``metering ingest``: ingest request logs."""

from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from datetime import date
from pathlib import Path
from typing import NoReturn

import click
from msgspec import Struct
from msgspec.structs import replace

from metering.cli.arguments import INSTANT, ZONE, collected, json_option, separated
from metering.cli.invocation import Invocation
from metering.cli.root import BAD_USAGE, INTERRUPTED, stop
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted
from metering.cli.terminal.output import print_json, warn
from metering.cli.terminal.sanitize import sanitize
from metering.cli.usage.ingest_dry_run import show_dry_run
from metering.cli.usage.ingest_inputs import Input, find_inputs
from metering.cli.usage.ingest_progress import progress_bar
from metering.cli.usage.ingest_report import IngestReport, InputReport, show_report, warn_errors
from metering.domain.accounts.plan_history import PlanChange, unknown_plan_terms
from metering.domain.charges.spend import Granularity, SpendQuery
from metering.domain.errors import AlreadyExistsError, DomainError, LogFormatError, NotFoundError
from metering.domain.instants import EARLIEST, FUTURE_TOLERANCE, date_of, day_of
from metering.domain.usage.events import PROVIDER_KEY, ROUTED, SERVERLESS
from metering.formats.csv_columns import parse_columns
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


class IngestOptions(Struct, frozen=True, kw_only=True):
    """The options of the command line."""

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
    override_model: bool
    override_provider: bool
    dry_run: bool
    as_json: bool
    quiet: bool

    def decode_options(self) -> DecodeOptions:
        """Return how to read each input, without its source and the current time. Raises UsageError."""
        if self.plan and not self.account:
            raise click.UsageError("--plan needs --account, the account to put on the plan")
        try:
            columns = parse_columns(separated(self.columns))
        except DomainError as error:
            raise click.UsageError(f"--map: {error}") from None
        if columns and self.format not in (None, "csv", "json"):
            raise click.UsageError(f"--map is for CSV and JSON of any shape, not for the format {self.format}")
        if self.format == "json" and not columns:
            raise click.UsageError("--format json needs --map, such as --map time=at,model=req.model,input_tokens=usage.in")
        override = tuple(name for name in ("model", "provider") if getattr(self, f"override_{name}"))
        for name in override:
            if not getattr(self, name):
                raise click.UsageError(f"--override-{name} needs --{name}, the {name} of all records")
        options = DecodeOptions(
            source=self.source,
            now=0,
            account=self.account,
            provider=self.provider,
            model=self.model,
            operation=self.operation,
            route=self.route or "",
            project=self.project,
            key=self.key,
            zone=self.time_zone or "",
            replay_from=self.replay_from,
            columns=columns,
            tag_fields=tuple(separated(self.tags)),
            override=override,
        )
        try:
            options.check()
        except DomainError as error:
            raise click.UsageError(f"--{error}") from None
        return options


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--account", default="", metavar="NAME", help="Account of records that name none. Created if it does not exist.")
@click.option(
    "--plan",
    type=click.Choice(bundled_plans().plans),
    help="Plan of --account, from the 1st of the month of its earliest usage. A plan that is already set is kept.",
)
@click.option("--create-accounts", is_flag=True, help="Declare accounts that records name and that do not exist.")
@click.option("--provider", default="", help="Provider of records that name none, in Hugging Face's spelling.")
@click.option("--model", default="", help="Model of records that name none. MODEL:PROVIDER names both.")
@click.option("--override-model", is_flag=True, help="--model applies to all records, whatever they state.")
@click.option("--override-provider", is_flag=True, help="--provider applies to all records, whatever they state.")
@click.option(
    "--route", type=click.Choice([ROUTED, PROVIDER_KEY, SERVERLESS]), help="Billing route of records that do not state one."
)
@click.option("--operation", default="", help="Operation of records that name none. Default: chat.")
@click.option("--project", default="", help="Project of records that name none.")
@click.option("--key", default="", help="Caller's key of records that name none.")
@click.option(
    "--source", default="", metavar="NAME", help="Source of the records, part of their identity. Default: the file's name."
)
@click.option(
    "--format",
    type=click.Choice(["native", "openai", "json", "csv"]),
    help="Log format; json is JSON of any shape, with --map. Default: detected from the content.",
)
@click.option(
    "--map",
    "columns",
    multiple=True,
    metavar="FIELD=COLUMN",
    help="CSV column, or dotted path in JSON, of an event field; repeat, or separate by commas.",
)
@click.option(
    "--tag", "tags", multiple=True, metavar="FIELD", help="Record field to keep as a tag; repeat, or separate by commas."
)
@click.option("--time-zone", type=ZONE, help="Time zone of times without one, such as UTC or Europe/Berlin.")
@click.option("--replay-from", type=INSTANT, help="Shift all times so that the first record happened at this time.")
@click.option("--dry-run", is_flag=True, help="Show how the first records are understood and what they would cost.")
@json_option
@click.option("--quiet", is_flag=True, help="Only print what went wrong.")
@click.pass_obj
@collected(IngestOptions)
def ingest(invocation: Invocation, options: IngestOptions) -> None:
    """Ingest request logs: native events, OpenAI-compatible logs or CSV; plain, gzip, or - for standard input.

    Reading a log again counts nothing twice. Records that cannot become events are reported and kept in quarantine; they do not
    affect the others. Exits with 1 if records were rejected or one of several files could not be read.

    \b
    metering ingest requests.ndjson --account acme
    metering ingest trace.csv --account acme --provider together --route routed \\
        --model meta-llama/Llama-3.3-70B-Instruct --time-zone UTC \\
        --map time=TIMESTAMP,input_tokens=ContextTokens,output_tokens=GeneratedTokens
    metering ingest app.jsonl --map time=at,model=req.model,input_tokens=usage.in,output_tokens=usage.out --dry-run
    """
    decode_options = options.decode_options()
    inputs = find_inputs(options.files, options.source)
    if options.dry_run:
        requests = [_request(options, decode_options, each, invocation.clock()) for each in inputs]
        show_dry_run(invocation, requests, as_json=options.as_json)
        return
    with open_session(invocation, create=True) as service:
        report = IngestReport()
        if options.account and any(each.path == STDIN or Path(each.path).exists() for each in inputs):
            _ensure_account(service, options.account, report)
        evaluator = BudgetEvaluator(service.engine, service.catalog, service.clock)
        try:
            with progress_bar(shown=not options.quiet) as add_input:
                for each in inputs:
                    report.inputs.append(InputReport(each))
                    request = _request(options, decode_options, each, service.clock())
                    _ingest(service, evaluator, request, report.inputs[-1], add_input(each.source))
                evaluator.finish()
        except KeyboardInterrupt:
            _stop_interrupted(report)
        if options.plan and not report.nothing_was_read:
            _set_plan(service, options.account, options.plan, report)
    _print(report, options)


def _request(options: IngestOptions, decode_options: DecodeOptions, each: Input, now: int) -> LogRequest:
    return LogRequest(
        each.path,
        replace(decode_options, source=each.source, source_is_derived=each.derived, now=now),
        options.format,
        options.create_accounts,
    )


def _print(report: IngestReport, options: IngestOptions) -> None:
    answer = report.answer()
    warn_errors(answer)
    if options.as_json:
        print_json(answer)
    elif not report.nothing_was_read:
        show_report(answer, quiet=options.quiet)
    if report.nothing_was_read:
        stop(BAD_USAGE)
    if not report.is_clean:
        stop(1)


def _ingest(
    service: Service,
    evaluator: BudgetEvaluator,
    request: LogRequest,
    report: InputReport,
    show_progress: Callable[[Progress], None],
) -> None:
    """Ingest one input into its report, which also gets its error, so that the other inputs go on."""

    def on_progress(progress: Progress) -> None:
        report.result = progress.result
        evaluator.evaluate_if_due()
        show_progress(progress)

    try:
        request.path.encode()
        report.result = ingest_log(
            service.engine,
            service.ingester,
            request,
            declared_tags=service.settings.ingest.declared_tags,
            on_progress=on_progress,
        )
    except UnicodeEncodeError:
        report.error = LogFormatError(
            f"{sanitize(request.path)}: the file's name is not valid UTF-8; rename it", "unreadable_file"
        )
    except LogFormatError as error:
        report.error = _naming_input(error, request.path)
    except BrokenProcessPool:
        report.error = LogFormatError(
            f"{request.path}: the decoding process was killed; records stored before that stay stored, ingest the file again"
        )


def _stop_interrupted(report: IngestReport) -> NoReturn:
    """Exit after an interruption, with one line."""
    where = f" in {sanitize(report.inputs[-1].input.path)}" if report.inputs else ""
    warn(
        f"interrupted{where} after {counted(report.received, 'record')}; stored records stay stored, run the same command again"
        " for the rest"
    )
    stop(INTERRUPTED)


def _naming_input(error: LogFormatError, path: str) -> LogFormatError:
    """Return the error with the input's name in its message."""
    text = str(error)
    if text.startswith(path):
        return error
    return LogFormatError(f"{'standard input' if path == STDIN else path}: {text}", error.code)


def _ensure_account(service: Service, name: str, report: IngestReport) -> None:
    try:
        show_account(service.engine, name)
    except NotFoundError:
        try:
            ensure_account(service.engine, name, now=service.clock())
        except AlreadyExistsError:
            report.remarks.append(
                f"{sanitize(name)} is a former account name; each record counts for the account that had it at its time"
            )
        else:
            report.remarks.append(f"created account {sanitize(name)}")


def _set_plan(service: Service, account: str, plan: str, report: IngestReport) -> None:
    """Put an account without a plan on one, from the first of the month of its earliest usage."""
    changes = list_plan_changes(service.engine, account)
    if changes:
        if changes[-1].plan != plan:
            report.remarks.append(
                f"{sanitize(account)} stays on {changes[-1].plan}, its plan since {changes[-1].effective};"
                " `metering accounts set-plan` changes it"
            )
        return
    first = _first_usage(service, account)
    if first is None:
        report.remarks.append(f"{sanitize(account)} has no usage yet, so no plan was set; use `metering accounts set-plan`")
        return
    change = PlanChange(first, plan)
    set_plan(service.engine, account, change, service.catalog, now=service.clock())
    report.remarks.append(f"{sanitize(account)} is on {plan} from {first}")
    report.remarks.extend(unknown_plan_terms(change, service.catalog))


def _first_usage(service: Service, account: str) -> date | None:
    """Return the first day of the month of the account's earliest usage."""
    account_id = show_account(service.engine, account).id
    end = service.clock() + 2 * FUTURE_TOLERANCE
    months = query_spend(service.engine, SpendQuery(EARLIEST, end, account_id, granularity=Granularity.MONTH))
    return date_of(day_of(months[0].period_start)) if months else None
