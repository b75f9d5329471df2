"""``metering accounts unassigned`` and ``assign``: usage of accounts nobody has declared, by name, and whose it is."""

import sys
from collections.abc import Callable

import click
from msgspec import Struct

from metering.cli.arguments import INSTANT, collected, json_option
from metering.cli.invocation import Invocation
from metering.cli.prices.price_text import since
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table, warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.amounts import money
from metering.domain.instants import format_instant, format_month
from metering.domain.usage.assigning import AssignmentGroup, AssignmentResult, AssignmentScope, MovedUsage, UnassignedUsage
from metering.operations.usage.assign_usage import assign_usage, list_unassigned, preview_assignment
from pricing.dollars import display_nano

_TOLD_EVERY = 100_000


@click.command()
@json_option
@click.pass_obj
def unassigned(invocation: Invocation, *, as_json: bool) -> None:
    """Show the usage of accounts that nobody has declared, by the name that its records gave.

    `metering accounts assign` says whose it is.
    """
    with open_session(invocation) as service:
        found = list_unassigned(service.engine)
    if as_json:
        print_json({"unassigned": [_usage_json(usage) for usage in found]})
        return
    if not found:
        echo("everything is assigned")
        return
    columns = [Column("name given", "name"), Column("source", "name"), Column("first", "time"), Column("last", "time")]
    counts = sum(usage.events for usage in found), sum(usage.unpriced for usage in found)
    print_table(
        [*columns, Column("requests", "count"), Column("unpriced", "count"), Column("amount", "money")],
        [_usage_cells(usage) for usage in found],
        totals=["total", "", "", "", *counts, display_nano(sum(usage.amount_nano for usage in found))],
    )
    echo("`metering accounts assign ACCOUNT --name NAME` shows what assigning a name to an account changes")


class AssignOptions(Struct, frozen=True):
    """What was asked for on the command line."""

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
        """Return which events; click's UsageError where no name is said, or two things at once."""
        if (self.name is None) != self.without_name:
            raise click.UsageError("say which usage: --name NAME, or --without-name for records that gave none")
        return AssignmentScope(self.name or "", self.start, self.end, self.source, self.project, self.key)


@click.command()
@click.argument("account")
@click.option("--name", help="The usage whose records gave this name, exactly.")
@click.option("--without-name", is_flag=True, help="The usage whose records gave no name.")
@click.option("--source", help="Only from this source.")
@click.option("--project", help="Only of this project.")
@click.option("--key", help="Only made with this key.")
@click.option("--from", "start", type=INSTANT, help="Only requests from then on.")
@click.option("--to", "end", type=INSTANT, help="Only until then, exclusively.")
@click.option("--apply", is_flag=True, help="Write it; without this, what would change is only shown.")
@json_option
@click.pass_obj
@collected(AssignOptions)
def assign(invocation: Invocation, options: AssignOptions) -> None:
    """Assign usage of accounts that nobody had declared to ACCOUNT, for ever, and show what that changes.

    Its charges are taken back where they are and written anew in the account, at the account's prices, in the month of the
    request or, when that is closed, in the first open one. Each record counts once: the same record sent for the account later
    is a duplicate, and one that the account has counted before is only taken back. Doing it again changes nothing; what an
    interruption leaves undone, the same command does.
    """
    scope = options.scope()
    with open_session(invocation) as service:
        engine, settings = service.engine, service.settings.ingest
        if options.apply:
            tell = _progress() if sys.stderr.isatty() else None
            found = assign_usage(engine, options.account, scope, settings, clock=service.clock, on_progress=tell)
        else:
            found = preview_assignment(engine, options.account, scope, settings)
    if options.as_json:
        print_json({"applied": options.apply, "account": options.account, **_assigned_json(found)})
    else:
        _print_assigned(found, options)


def _progress() -> Callable[[AssignmentResult], None]:
    told = 0

    def tell(done: AssignmentResult) -> None:
        nonlocal told
        events = done.total.events + done.repeats
        if events // _TOLD_EVERY > told:
            told = events // _TOLD_EVERY
            warn(f"{events:,} requests assigned")

    return tell


def _print_assigned(found: AssignmentResult, options: AssignOptions) -> None:
    total = found.total
    if not (total.events or found.repeats or found.conflicts):
        echo("nothing like it is unassigned: `metering accounts unassigned` shows what is")
        return
    if total.events:
        columns = [Column("provider", "name"), Column("model", "name"), Column("month"), Column("billed in")]
        amounts = [Column("before", "money"), Column("in the account", "money")]
        print_table(
            [*columns, Column("requests", "count"), Column("unpriced", "count"), *amounts],
            [
                [key.provider, key.model, format_month(key.month), format_month(key.billed_in), *_cells(moved)]
                for key, moved in sorted(found.by_group.items())
            ],
            totals=["total", "", "", "", *_cells(total)],
        )
    account = sanitize(options.account)
    if found.repeats:
        taken = f"{found.repeats:,} that {account} has counted before"
        echo(f"{taken} {'were' if options.apply else 'would be'} only taken back: ${display_nano(found.repeats_nano)}")
    if found.conflicts:
        echo(f"{found.conflicts:,} stay unassigned: {account} has counted other content under their ids")
    if options.apply:
        echo(f"{counted(total.events, 'request')} {'is' if total.events == 1 else 'are'} {account}'s now")
    elif total.events or found.repeats:
        echo("nothing was written: --apply does it, and it can not be undone")


def _cells(moved: MovedUsage) -> list[str | int]:
    return [moved.events, moved.unpriced, display_nano(moved.before_nano), display_nano(moved.after_nano)]


def _usage_cells(usage: UnassignedUsage) -> list[Cell]:
    times = since(usage.first_time), since(usage.last_time)
    return [usage.name or "(none)", usage.source, *times, usage.events, usage.unpriced, display_nano(usage.amount_nano)]


def _usage_json(usage: UnassignedUsage) -> dict[str, object]:
    return {
        "name": usage.name,
        "source": usage.source,
        "first_time": format_instant(usage.first_time),
        "last_time": format_instant(usage.last_time),
        "events": usage.events,
        "unpriced_events": usage.unpriced,
        **money("amount", usage.amount_nano),
    }


def _assigned_json(found: AssignmentResult) -> dict[str, object]:
    return {
        "moved": [{**_key_json(key), **_moved_json(moved)} for key, moved in sorted(found.by_group.items())],
        "total": _moved_json(found.total),
        "repeats": {"events": found.repeats, **money("amount", found.repeats_nano)},
        "conflicts": found.conflicts,
    }


def _key_json(key: AssignmentGroup) -> dict[str, object]:
    return {
        "provider": key.provider,
        "model": key.model,
        "month": format_month(key.month),
        "billed_in": format_month(key.billed_in),
    }


def _moved_json(moved: MovedUsage) -> dict[str, object]:
    return {
        "events": moved.events,
        "unpriced_events": moved.unpriced,
        **money("before", moved.before_nano),
        **money("after", moved.after_nano),
    }
