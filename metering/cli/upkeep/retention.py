"""``metering retention``: take the events of closed months out of the log, and keep what they came to."""

import sys
from pathlib import Path
from typing import Any

import click
from msgspec import Struct
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TextColumn

from metering.cli.arguments import MONTH, collected, json_option
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.output import Column, console, echo, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.instants import format_instant, format_month
from metering.domain.usage.retention import EventMonth
from metering.operations.service.open_service import Service
from metering.operations.upkeep.export_events import EventExport, export_events
from metering.operations.upkeep.retire_month import RetirementResult, check_retirable, list_event_months, retire_month
from metering.storage.usage.retired_months import RetiredMonth

_into = click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write them to FOLDER/YYYY-MM first, as Parquet.",
)


class _Drop(Struct, frozen=True):
    """What ``retention drop`` was asked."""

    month: int
    into: Path | None
    without_export: bool
    with_unresolved: bool
    yes: bool
    as_json: bool


@click.group()
def retention() -> None:
    """Take the events of closed months out of the log.

    What they came to stays: spend by day and month, statements, and what makes an event count once.
    """


@retention.command("list")
@json_option
@click.pass_obj
def list_(invocation: Invocation, *, as_json: bool) -> None:
    """List the months with events, and whether theirs can leave the log."""
    with open_session(invocation) as service:
        found = list_event_months(service.engine)
    if as_json:
        retired = [_retired_json(each) for each in found.retired]
        print_json({"months": [_month_json(each) for each in found.months], "retired": retired})
        return
    if not found.months:
        echo("there are no events")
        return
    columns = [Column("month"), Column("events", "count"), Column("in the log", "count"), Column("state", "name")]
    print_table(columns, [[format_month(each.month), each.events, each.stored_events, _state(each)] for each in found.months])
    for each in found.retired:
        if each.directory:
            echo(f"{format_month(each.month)}: {each.events:,} events are in {sanitize(each.directory)}")


@retention.command()
@click.argument("month", type=MONTH)
@click.option("--into", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER", help="Where to.")
@json_option
@click.pass_obj
def export(invocation: Invocation, *, month: int, into: Path, as_json: bool) -> None:
    """Write the events of MONTH (YYYY-MM) to FOLDER/YYYY-MM as Parquet. They stay in the log."""
    with open_session(invocation) as service:
        exported = _export(service, month, into)
    if as_json:
        print_json(_export_json(exported))
    else:
        echo(f"wrote {exported.facts.events:,} events of {format_month(month)} to {sanitize(str(exported.directory))}")


@retention.command()
@click.argument("month", type=MONTH)
@_into
@click.option("--without-export", is_flag=True, help="Write them nowhere: they are gone.")
@click.option("--with-unresolved", is_flag=True, help="Also events without a price or an account.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
@collected(_Drop)
def drop(invocation: Invocation, options: _Drop) -> None:
    """Take the events of MONTH (YYYY-MM) out of the log, once every account with any is closed through it.

    The room they took is given back: on PostgreSQL at once, on SQLite by writing the file anew, which needs as much room again
    meanwhile. Nothing can be explained or re-rated by the request afterwards.
    """
    if (options.into is None) != options.without_export:
        raise click.UsageError("say where to write the events, --into FOLDER, or --without-export")
    month, with_unresolved = options.month, options.with_unresolved
    with open_session(invocation) as service:
        found = check_retirable(service.engine, month, with_unresolved=with_unresolved)
        if not options.yes:
            question = f"take {found.stored_events:,} events of {format_month(month)} out of the log for good?"
            click.confirm(question, abort=True, err=True)
        exported = None if options.into is None else _export(service, month, options.into)
        retired = retire_month(service.engine, month, exported, with_unresolved=with_unresolved, now=service.clock())
    if options.as_json:
        print_json(_outcome_json(retired))
        return
    echo(f"{retired.month.events:,} events of {format_month(month)} left the log")
    if exported is not None:
        echo(f"they are in {sanitize(str(exported.directory))}")
    echo(f"the database takes {decimal(retired.bytes_after)}, before it took {decimal(retired.bytes_before)}")


def _export(service: Service, month: int, into: Path) -> EventExport:
    now = service.clock()
    if not sys.stderr.isatty():
        return export_events(service.engine, month, into, now=now)
    bar = Progress(TextColumn("{task.description}"), BarColumn(), console=console(sys.stderr), transient=True)
    with bar:
        task = bar.add_task(f"writing {format_month(month)}", total=None)

        def tell(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of)

        return export_events(service.engine, month, into, now=now, on_progress=tell)


def _state(month: EventMonth) -> str:
    if not month.stored_events:
        return "retired"
    if month.billed_open:
        return f"open for {month.billed_open} accounts" if month.billed_open > 1 else "open for an account"
    if month.unresolved_events:
        return f"closed; {month.unresolved_events:,} events without a price or an account"
    return "closed: can be dropped"


def _month_json(month: EventMonth) -> dict[str, Any]:
    return {
        "month": format_month(month.month),
        "events": month.events,
        "stored_events": month.stored_events,
        "unpriced_events": month.unpriced_events,
        "unassigned_events": month.unassigned_events,
        "open_accounts": month.billed_open,
        "can_be_dropped": bool(month.stored_events) and not month.billed_open and not month.unresolved_events,
    }


def _retired_json(retired: RetiredMonth) -> dict[str, Any]:
    return {
        "month": format_month(retired.month),
        "events": retired.events,
        "copies": retired.copies,
        "charges": retired.charges,
        "directory": retired.directory or None,
        "manifest_sha256": retired.digest or None,
        "retired_at": format_instant(retired.retired_at),
    }


def _outcome_json(retired: RetirementResult) -> dict[str, Any]:
    return _retired_json(retired.month) | {"bytes_before": retired.bytes_before, "bytes_after": retired.bytes_after}


def _export_json(exported: EventExport) -> dict[str, Any]:
    return {
        "directory": str(exported.directory),
        "events": exported.facts.events,
        "charges": exported.facts.charges,
        "copies": exported.facts.copies,
        "manifest_sha256": exported.digest,
    }
