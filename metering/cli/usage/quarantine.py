"""``metering quarantine``: records that could not become events."""

import click

from metering.answers.usage.ingest import log_ingest_answer, quarantine_replay_answer
from metering.answers.usage.quarantine import QuarantinePage, quarantined_record_answer
from metering.cli.arguments import json_option
from metering.cli.invocation import Invocation
from metering.cli.root import stop
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted
from metering.cli.terminal.output import Column, echo, print_json, print_table
from metering.cli.usage.ingest_report import show_report, warn_errors
from metering.operations.usage.list_quarantine import list_quarantine
from metering.operations.usage.replay_quarantine import replay_quarantine

SHOWN_RECORDS = 50


@click.group()
def quarantine() -> None:
    """List rejected records, and read their files again."""


@quarantine.command("list")
@click.option(
    "--limit", type=click.IntRange(1), help=f"Maximum number of records. Default: {SHOWN_RECORDS}, or all with --json."
)
@json_option
@click.pass_obj
def list_(invocation: Invocation, *, limit: int | None, as_json: bool) -> None:
    """List records that could not become events, oldest first: where they are and why, never their content."""
    with open_session(invocation) as service:
        records, count = list_quarantine(service.engine, limit=limit or (None if as_json else SHOWN_RECORDS))
    page = QuarantinePage(items=[quarantined_record_answer(each) for each in records], next_cursor=None, open=count)
    if as_json:
        print_json(page)
        return
    if not page.items:
        echo("the quarantine is empty")
        return
    columns = [Column("where", "name"), Column("seen"), Column("code"), Column("reason", "name")]
    print_table(
        columns, [[f"{each.file or each.source}:{each.line}", each.seen_at[:10], each.code, each.reason] for each in page.items]
    )
    if page.open > len(page.items):
        echo(f"{page.open - len(page.items):,} more; raise --limit to list them")
    echo("fix the files, then run `metering quarantine replay`")


@quarantine.command()
@click.option("--create-accounts", is_flag=True, help="Declare accounts that records name and that do not exist.")
@json_option
@click.pass_obj
def replay(invocation: Invocation, *, create_accounts: bool, as_json: bool) -> None:
    """Read the files of rejected records again, with the same options as before, and resolve records that are valid now.

    Records that were counted before are not counted again. Exits with 1 if records are still in quarantine.
    """
    with open_session(invocation) as service:
        replayed = replay_quarantine(
            service.engine,
            service.ingester,
            now=service.clock(),
            declared_tags=service.settings.ingest.declared_tags,
            create_accounts=create_accounts,
        )
    answer = quarantine_replay_answer(
        [log_ingest_answer(each.file, each.source, each.result, each.error) for each in replayed.files],
        still_open=replayed.still_open,
        without_file=replayed.without_file,
    )
    warn_errors(answer)
    if as_json:
        print_json(answer)
    else:
        if answer.files:
            show_report(answer, quiet=False)
        if answer.without_file:
            echo(f"{counted(answer.without_file, 'record')} without a file cannot be read again; fix and send again")
        echo(f"{counted(answer.open, 'record')} in quarantine")
    if answer.open:
        stop(1)
