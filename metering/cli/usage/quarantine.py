"""``metering quarantine``: records that could not become events."""

import json

import click

from metering.cli.arguments import json_option
from metering.cli.invocation import Invocation
from metering.cli.root import stop
from metering.cli.session import open_session
from metering.cli.terminal.output import Column, echo, print_json, print_table, warn
from metering.cli.terminal.sanitize import sanitize
from metering.cli.usage.ingest_inputs import Input
from metering.cli.usage.ingest_report import FileReport, IngestReport, report_json, show_report
from metering.domain.instants import format_instant
from metering.domain.usage.quarantine import QuarantinedRecord
from metering.operations.usage.list_quarantine import list_quarantine
from metering.operations.usage.replay_quarantine import replay_quarantine


@click.group()
def quarantine() -> None:
    """Show records that were refused; read them again."""


@quarantine.command("list")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many to list.")
@json_option
@click.pass_obj
def list_(invocation: Invocation, *, limit: int, as_json: bool) -> None:
    """List records that could not be read, oldest first: where they stand and why, never what they say."""
    with open_session(invocation) as service:
        records, count = list_quarantine(service.engine, limit=limit)
    if as_json:
        print_json({"open": count, "records": [_json(record) for record in records]})
        return
    if not records:
        echo("nothing is in quarantine")
        return
    columns = [Column("where", "name"), Column("seen"), Column("code"), Column("reason", "name")]
    print_table(
        columns,
        [
            [f"{record.file or record.source}:{record.line}", format_instant(record.seen_at)[:10], record.code, record.reason]
            for record in records
        ],
    )
    if count > len(records):
        echo(f"{count - len(records):,} more; --limit shows them")
    echo("When the files are mended: `metering quarantine replay`")


@quarantine.command()
@click.option("--create-accounts", is_flag=True, help="Declare the accounts that records name and nobody has.")
@json_option
@click.pass_obj
def replay(invocation: Invocation, *, create_accounts: bool, as_json: bool) -> None:
    """Read the files of refused records again, with the options of the first time, and resolve what reads well now.

    What was counted before stays counted once. Exits with 1 when records are still refused.
    """
    with open_session(invocation) as service:
        replayed = replay_quarantine(
            service.engine,
            service.ingester,
            now=service.clock(),
            declared_tags=service.settings.ingest.declared_tags,
            create_accounts=create_accounts,
        )
    files = [FileReport(Input(each.file, each.source), each.result, each.error) for each in replayed.files]
    report = IngestReport(files)
    for each in replayed.files:
        if each.error is not None:
            warn(f"error[{each.error.code}]: {sanitize(str(each.error))}", style="red")
    if as_json:
        told = {"open": replayed.still_open, "without_file": replayed.without_file}
        print_json(report_json(report) | told)
    else:
        if files:
            show_report(report, quiet=False)
        if replayed.without_file:
            echo(f"{replayed.without_file:,} records came without a file and can not be read again; send them again, mended")
        echo(f"{replayed.still_open:,} records are in quarantine")
    if replayed.still_open:
        stop(1)


def _json(record: QuarantinedRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "source": record.source,
        "file": record.file,
        "line": record.line,
        "offset": record.offset,
        "length": record.length,
        "digest": record.digest,
        "code": record.code,
        "reason": record.reason,
        "field": record.field,
        "kept": json.loads(record.kept or "{}"),
        "recorded_at": format_instant(record.recorded_at),
        "seen_at": format_instant(record.seen_at),
    }
