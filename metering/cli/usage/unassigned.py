"""``metering accounts unassigned`` and ``assign``: usage of undeclared accounts, and assigning it to an account."""

import sys
from collections.abc import Callable

import click
from msgspec import Struct

from metering.answers.usage.unassigned import (
    AssignmentAnswer,
    MovedUsageAnswer,
    UnassignedUsageAnswer,
    UnassignedUsagePage,
    assignment_answer,
    unassigned_usage_answer,
)
from metering.cli.arguments import collected, end_option, json_option, start_option
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted, were
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table, warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.usage.assigning import AssignmentResult, AssignmentScope
from metering.operations.usage.assign_usage import assign_usage, list_unassigned, preview_assignment
from pricing.dollars import display_nano

_PROGRESS_EVERY = 100_000


@click.command()
@json_option
@click.pass_obj
def unassigned(invocation: Invocation, *, as_json: bool) -> None:
    """Show usage of undeclared accounts, by the account name in its records.

    Assign it to an account with `metering accounts assign`.
    """
    with open_session(invocation) as service:
        usage = [unassigned_usage_answer(each) for each in list_unassigned(service.engine)]
    if as_json:
        print_json(UnassignedUsagePage(items=usage, next_cursor=None))
        return
    if not usage:
        echo("no usage is unassigned")
        return
    columns = [Column("name in records", "name"), Column("source", "name"), Column("first", "time"), Column("last", "time")]
    counts = sum(each.events for each in usage), sum(each.unpriced_events for each in usage)
    print_table(
        [*columns, Column("requests", "count"), Column("unpriced", "count"), Column("amount", "money")],
        [_usage_cells(each) for each in usage],
        totals=["total", "", "", "", *counts, display_nano(sum(each.amount_nano_usd for each in usage))],
    )
    echo("preview assigning a name to an account with `metering accounts assign ACCOUNT --name NAME`")


class AssignOptions(Struct, frozen=True):
    """The options of the command line."""

    account: str
    name: str | None
    without_name: bool
    source: str | None
    project: str | None
    key: str | None
    start: int | None
    end: int | None
    apply: bool
    as_json: bool

    def scope(self) -> AssignmentScope:
        """Return which usage to assign. Raises UsageError unless exactly one of --name and --without-name is given."""
        if (self.name is None) != self.without_name:
            raise click.UsageError("pass --name NAME, or --without-name for records without an account name")
        return AssignmentScope(self.name or "", self.start, self.end, self.source, self.project, self.key)


@click.command()
@click.argument("account")
@click.option("--name", help="The account name in the records, exactly.")
@click.option("--without-name", is_flag=True, help="Records without an account name.")
@click.option("--source", help="Only from this source.")
@click.option("--project", help="Only of this project.")
@click.option("--key", help="Only made with this caller's key.")
@start_option("Only requests from this time on.")
@end_option("Only requests before this time.")
@click.option("--apply", is_flag=True, help="Write the assignment. Default: only preview it.")
@json_option
@click.pass_obj
@collected(AssignOptions)
def assign(invocation: Invocation, options: AssignOptions) -> None:
    """Assign usage of an undeclared account to ACCOUNT, permanently, or preview what that would change.

    Charges are reversed and replaced in ACCOUNT, at its prices, in the month of the request or, if that is closed, in the first
    open month. Each record counts once: the same record sent for ACCOUNT later is a duplicate, and the charge of a record that
    ACCOUNT has counted before is only reversed. Repeating the command changes nothing; after an interruption, the same command
    completes the rest.
    """
    scope = options.scope()
    with open_session(invocation) as service:
        engine, settings = service.engine, service.settings.ingest
        if options.apply:
            on_progress = _progress() if sys.stderr.isatty() else None
            result = assign_usage(engine, options.account, scope, settings, clock=service.clock, on_progress=on_progress)
        else:
            result = preview_assignment(engine, options.account, scope, settings)
    answer = assignment_answer(options.account, result, applied=options.apply)
    if options.as_json:
        print_json(answer)
    else:
        _print_assignment(answer)


def _progress() -> Callable[[AssignmentResult], None]:
    shown = 0

    def show(result: AssignmentResult) -> None:
        nonlocal shown
        events = result.total.events + result.repeats
        if events // _PROGRESS_EVERY > shown:
            shown = events // _PROGRESS_EVERY
            warn(f"assigned {events:,} requests")

    return show


def _print_assignment(answer: AssignmentAnswer) -> None:
    total, repeats = answer.total, answer.repeats
    if not (total.events or repeats.events or answer.conflicts):
        echo("no unassigned usage matches; `metering accounts unassigned` shows all of it")
        return
    if total.events:
        columns = [Column("provider", "name"), Column("model", "name"), Column("month"), Column("billed in")]
        amounts = [Column("before", "money"), Column("in the account", "money")]
        print_table(
            [*columns, Column("requests", "count"), Column("unpriced", "count"), *amounts],
            [[each.provider, each.model, each.month, each.billed_in, *_moved_cells(each)] for each in answer.moved],
            totals=["total", "", "", "", *_moved_cells(total)],
        )
    account = sanitize(answer.account)
    if repeats.events:
        verb = were(repeats.events) if answer.applied else "would be"
        echo(
            f"{counted(repeats.events, 'request')} that {account} had counted before {verb} only reversed:"
            f" ${display_nano(repeats.amount_nano_usd)}"
        )
    if answer.conflicts:
        verb = "stays" if answer.conflicts == 1 else "stay"
        ids = "its ID" if answer.conflicts == 1 else "their IDs"
        echo(f"{counted(answer.conflicts, 'request')} {verb} unassigned: {account} has counted different content under {ids}")
    if answer.applied:
        echo(f"assigned {counted(total.events, 'request')} to {account}")
    elif total.events or repeats.events:
        echo("preview only; add --apply to write it, which cannot be undone")


def _moved_cells(moved: MovedUsageAnswer) -> list[Cell]:
    return [moved.events, moved.unpriced_events, display_nano(moved.before_nano_usd), display_nano(moved.after_nano_usd)]


def _usage_cells(usage: UnassignedUsageAnswer) -> list[Cell]:
    times = _to_the_second(usage.first_time), _to_the_second(usage.last_time)
    return [
        usage.name or "(none)",
        usage.source,
        *times,
        usage.events,
        usage.unpriced_events,
        display_nano(usage.amount_nano_usd),
    ]


def _to_the_second(time: str) -> str:
    return f"{time[:10]} {time[11:19]}Z"
