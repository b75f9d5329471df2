"""``metering retention``: remove the events of closed months from the log, and keep their sums."""

import sys
from pathlib import Path

import click
from msgspec import Struct
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TextColumn

from metering.answers.upkeep.retention import (
    EventMonthAnswer,
    event_export_answer,
    retention_answer,
    retirement_answer,
)
from metering.cli.arguments import MONTH, collected, json_option
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted
from metering.cli.terminal.output import Column, console, echo, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.instants import format_month
from metering.domain.upkeep.retirements import EventExport
from metering.operations.service.open_service import Service
from metering.operations.upkeep.export_events import export_events
from metering.operations.upkeep.retire_month import check_retirable, list_event_months, retire_month


class _Drop(Struct, frozen=True):
    """The options of ``retention drop``."""

    month: int
    into: Path | None
    without_export: bool
    with_unresolved: bool
    yes: bool
    as_json: bool


@click.group()
def retention() -> None:
    """Remove the events of closed months from the log.

    Spend by day and month, statements, and the identities that make an event count once are kept.
    """


@retention.command("list")
@json_option
@click.pass_obj
def list_(invocation: Invocation, *, as_json: bool) -> None:
    """List the months with events, and whether their events can be removed."""
    with open_session(invocation) as service:
        answer = retention_answer(list_event_months(service.engine))
    if as_json:
        print_json(answer)
        return
    if not answer.months:
        echo("no events")
        return
    columns = [Column("month"), Column("events", "count"), Column("in the log", "count"), Column("state", "name")]
    print_table(columns, [[each.month, each.events, each.stored_events, _state(each)] for each in answer.months])
    for each in answer.retired:
        if each.directory:
            echo(f"{each.month}: {counted(each.events, 'event')} exported to {sanitize(each.directory)}")


@retention.command()
@click.argument("month", type=MONTH)
@click.option(
    "--into", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER", help="Folder to write to."
)
@json_option
@click.pass_obj
def export(invocation: Invocation, *, month: int, into: Path, as_json: bool) -> None:
    """Export the events of MONTH (YYYY-MM) to FOLDER/YYYY-MM as Parquet. They stay in the log."""
    with open_session(invocation) as service:
        exported = _export(service, month, into)
    if as_json:
        print_json(event_export_answer(exported))
    else:
        events = counted(exported.facts.events, "event")
        echo(f"exported {events} of {format_month(month)} to {sanitize(str(exported.directory))}")


@retention.command()
@click.argument("month", type=MONTH)
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Export the events to FOLDER/YYYY-MM first, as Parquet.",
)
@click.option("--without-export", is_flag=True, help="Do not export the events: they are lost.")
@click.option("--with-unresolved", is_flag=True, help="Include events without a price or an account.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
@click.pass_obj
@collected(_Drop)
def drop(invocation: Invocation, options: _Drop) -> None:
    """Remove the events of MONTH (YYYY-MM) from the log, once every account with events in it is closed through it.

    Their disk space is reclaimed: on PostgreSQL at once, on SQLite by rewriting the file, which needs as much free space as the
    file takes. Afterwards requests of the month can no longer be explained or re-rated.
    """
    if (options.into is None) != options.without_export:
        raise click.UsageError("choose where the events go: --into FOLDER, or --without-export")
    month, with_unresolved = options.month, options.with_unresolved
    with open_session(invocation) as service:
        found = check_retirable(service.engine, month, with_unresolved=with_unresolved)
        if not options.yes:
            events = counted(found.stored_events, "event")
            click.confirm(f"Remove {events} of {format_month(month)} from the log permanently?", abort=True, err=True)
        exported = None if options.into is None else _export(service, month, options.into)
        retirement = retire_month(service.engine, month, exported, with_unresolved=with_unresolved, now=service.clock())
    if options.as_json:
        print_json(retirement_answer(retirement))
        return
    echo(f"removed {counted(retirement.month.events, 'event')} of {format_month(month)} from the log")
    if exported is not None:
        echo(f"exported to {sanitize(str(exported.directory))}")
    echo(f"database size: {decimal(retirement.bytes_before)} before, {decimal(retirement.bytes_after)} now")


def _export(service: Service, month: int, into: Path) -> EventExport:
    now = service.clock()
    if not sys.stderr.isatty():
        return export_events(service.engine, month, into, now=now)
    bar = Progress(TextColumn("{task.description}"), BarColumn(), console=console(sys.stderr), transient=True)
    with bar:
        task = bar.add_task(f"exporting {format_month(month)}", total=None)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        return export_events(service.engine, month, into, now=now, on_progress=update)


def _state(month: EventMonthAnswer) -> str:
    if not month.stored_events:
        return "retired"
    if month.open_accounts:
        return f"open for {counted(month.open_accounts, 'account')}"
    if unresolved := month.unpriced_events + month.unassigned_events:
        return f"closed; {counted(unresolved, 'event')} without a price or an account"
    return "closed: can be dropped"
