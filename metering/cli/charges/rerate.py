"""``metering rerate``: re-rate existing charges at corrected prices."""

import sys

import click
from msgspec import Struct

from metering.answers.charges.rerating import (
    RerateAnswer,
    RerateRunAnswer,
    RerateTotalsAnswer,
    rerate_preview_answer,
    rerate_result_answer,
    rerate_run_page,
)
from metering.cli.arguments import INSTANT, collected, end_option, json_option, start_option
from metering.cli.charges.rerate_runs import print_runs
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted
from metering.cli.terminal.output import Column, echo, print_json, print_table, warn
from metering.cli.unknown_names import warn_unknown_name
from metering.domain.charges.rerating import RerateRun, RerateScope
from metering.operations.accounts.manage_accounts import account_names, show_account
from metering.operations.charges.rerate import continue_rerate, list_runs, preview_rerate, show_run, start_rerate
from metering.operations.prices.list_names import used_names
from metering.operations.service.open_service import Service
from pricing.dollars import display_nano

_PROGRESS_EVERY = 1_000_000


class RerateOptions(Struct, frozen=True):
    """The options of the command."""

    account: str | None
    start: int | None
    end: int | None
    reason: str
    provider: str | None
    model: str | None
    include_reported: bool
    apply: bool
    resume: int | None
    list_: bool
    as_json: bool


@click.command()
@click.option("--account", metavar="NAME", help="Only this account. Default: all.")
@start_option("Start of the period of the requests.", INSTANT)
@end_option("End of the period, exclusive.", INSTANT)
@click.option("--reason", default="", help="The reason, recorded on every new charge. Required with --apply.")
@click.option("--provider", help="Only this provider. Default: all.")
@click.option("--model", help="Only this model. Default: all.")
@click.option(
    "--include-reported", is_flag=True, help="Also replace costs that the provider reported, where a price is known now."
)
@click.option("--apply", is_flag=True, help="Write the changes. Default: only show them.")
@click.option("--resume", type=click.IntRange(min=1), metavar="RUN", help="Continue an interrupted run.")
@click.option("--list", "list_", is_flag=True, help="List all runs.")
@json_option
@click.pass_obj
@collected(RerateOptions)
def rerate(invocation: Invocation, options: RerateOptions) -> None:
    """Re-rate existing charges at corrected prices.

    A new price does not change existing charges. With --apply, each charge with a different price is reversed and replaced;
    both entries record the run and the reason. Correct charges are left alone, so a second run changes nothing. An interrupted
    run can be resumed or started again. `metering rate` charges usage that is unpriced.
    """
    _check(options)
    with open_session(invocation) as service:
        if options.list_:
            _list_runs(service, as_json=options.as_json)
        elif options.resume is not None:
            _continue(service, show_run(service.engine, options.resume), options)
        else:
            _rerate(service, options)


def _check(options: RerateOptions) -> None:
    period = (options.start, options.end)
    scope = (options.account, options.provider, options.model, options.reason, options.include_reported)
    others = any((*scope, options.apply, *(each is not None for each in period)))
    if options.list_:
        if others or options.resume is not None:
            raise click.UsageError("--list cannot be combined with other options, except --json")
    elif options.resume is not None:
        if others:
            raise click.UsageError("--resume cannot be combined with other options, except --json: the run keeps its scope")
    elif None in period:
        raise click.UsageError("--start and --end are required")
    elif options.apply and not options.reason.strip():
        raise click.UsageError("--apply needs a --reason")


def _list_runs(service: Service, *, as_json: bool) -> None:
    page = rerate_run_page(list_runs(service.engine), account_names(service.engine))
    if as_json:
        print_json(page)
    else:
        print_runs(page.items)


def _rerate(service: Service, options: RerateOptions) -> None:
    scope = _scope(service, options)
    if options.provider is not None or options.model is not None:
        used = used_names(service.engine)
        warn_unknown_name(options.provider, used.providers, "no usage of provider {} on record")
        warn_unknown_name(options.model, used.models, "no usage of model {} on record")
    if options.apply:
        _continue(service, start_rerate(service.engine, scope, reason=options.reason, now=service.clock()), options)
        return
    found = rerate_preview_answer(preview_rerate(service.engine, scope), account_names(service.engine))
    if options.as_json:
        print_json(found)
        return
    _print_effects(found)
    if found.effects:
        echo("preview only; add --apply to write")


def _scope(service: Service, options: RerateOptions) -> RerateScope:
    account_id = None if options.account is None else show_account(service.engine, options.account).id
    return RerateScope(
        account_id, options.start or 0, options.end or 0, options.provider, options.model, options.include_reported
    )


class _Progress:
    """Reports every million examined charges on stderr."""

    def __init__(self) -> None:
        self._reported = -1

    def __call__(self, run: RerateRun) -> None:
        """Report, if another million has been examined."""
        millions = run.events_examined // _PROGRESS_EVERY
        if millions > self._reported:
            self._reported = millions
            warn(f"run {run.id}: {run.events_examined:,} charges examined, {run.events_changed:,} replaced")


def _continue(service: Service, started: RerateRun, options: RerateOptions) -> None:
    if not options.as_json and started.finished_at is None:
        warn(f"run {started.id}: if interrupted, continue it with `metering rerate --resume {started.id}`")
    progress = _Progress() if sys.stderr.isatty() else None
    result = continue_rerate(service.engine, started.id, clock=service.clock, on_progress=progress)
    found = rerate_result_answer(result, account_names(service.engine))
    if options.as_json or found.run is None:
        print_json(found)
        return
    if options.resume is None:
        _print_effects(found)
        _print_finished(found.run, f"difference ${display_nano(found.run.difference_nano_usd)}")
    else:
        # The effects are those of the charges examined just now; the run's totals include those from before.
        print_runs([found.run])
        _print_finished(found.run, f"{found.total.events:,} of them now")


def _print_finished(run: RerateRunAnswer, what: str) -> None:
    echo(f"run {run.id} finished: {counted(run.events_changed, 'charge')} replaced, {what} ({run.reason})")


def _print_effects(found: RerateAnswer) -> None:
    if found.effects:
        columns = [Column("account", "name"), Column("provider", "name"), Column("model", "name"), Column("month")]
        amounts = [Column("before", "money"), Column("after", "money"), Column("difference", "money")]
        print_table(
            [*columns, Column("requests", "count"), *amounts],
            [[each.account, each.provider, each.model, each.month, *_cells(each)] for each in found.effects],
            totals=["total", "", "", "", *_cells(found.total)],
        )
    differ = "has" if found.total.events == 1 else "have"
    echo(f"{counted(found.events_examined, 'charge')} examined, {found.total.events:,} {differ} a different price")
    if found.events_kept:
        echo(f"{counted(found.events_kept, 'charge')} kept: no price is known for them anymore")


def _cells(totals: RerateTotalsAnswer) -> list[str | int]:
    amounts = (totals.before_nano_usd, totals.after_nano_usd, totals.difference_nano_usd)
    return [totals.events, *map(display_nano, amounts)]
