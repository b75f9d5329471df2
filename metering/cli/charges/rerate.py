"""``metering rerate``: apply prices that turned out to be others, after a look at what that changes."""

import sys

import click
from msgspec import Struct

from metering.cli.arguments import INSTANT, collected, json_option
from metering.cli.charges.rerate_runs import run_json, show_runs
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.output import Column, echo, print_json, print_table, warn
from metering.cli.unknown_names import warn_unknown_name
from metering.domain.amounts import money
from metering.domain.charges.rerating import Effect, EffectKey, RerateRun, RerateScope, RerateSummary
from metering.domain.instants import format_month
from metering.operations.accounts.manage_accounts import account_names, show_account
from metering.operations.charges.rerate import continue_rerate, list_runs, preview_rerate, show_run, start_rerate
from metering.operations.prices.list_names import used_names
from metering.operations.service.open_service import Service
from pricing.dollars import display_nano


class RerateOptions(Struct, frozen=True):
    """What was asked for on the command line."""

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
@click.option("--account", metavar="NAME", help="Only this account's charges.")
@click.option("--from", "start", type=INSTANT, help="Charges of requests from then on.")
@click.option("--to", "end", type=INSTANT, help="Until then, exclusively.")
@click.option("--reason", default="", help="Why, for the record: it stands on every charge that is written.")
@click.option("--provider", help="Only this provider's.")
@click.option("--model", help="Only this model's.")
@click.option("--include-reported", is_flag=True, help="Also where the provider stated the cost and a price is known by now.")
@click.option("--apply", is_flag=True, help="Write it; without this, what would change is only shown.")
@click.option("--resume", type=click.IntRange(min=1), metavar="RUN", help="Do what is left of a run that was interrupted.")
@click.option("--list", "list_", is_flag=True, help="List the runs there were, and which of them are not done.")
@json_option
@click.pass_obj
@collected(RerateOptions)
def rerate(invocation: Invocation, options: RerateOptions) -> None:
    """Apply prices that turned out to be others to usage that is charged already, and show what that changes.

    A new price never changes an old charge by itself. With --apply, each charge whose price is another by now is taken back
    and replaced; both entries name the run and the reason. Charges that are right stay, so that a second run changes nothing,
    and an interrupted one can be resumed or started again. Usage without a price is charged by `metering rate`.
    """
    _check(options)
    with open_session(invocation) as service:
        if options.list_:
            show_runs(list_runs(service.engine), _names(service), as_json=options.as_json)
            return
        if options.resume is not None:
            _run(service, show_run(service.engine, options.resume), options)
            return
        scope = _scope(service, options)
        if options.provider is not None or options.model is not None:
            used = used_names(service.engine)
            warn_unknown_name(options.provider, used.providers, "no usage of the provider {} is on record")
            warn_unknown_name(options.model, used.models, "no usage of the model {} is on record")
        if options.apply:
            _run(service, start_rerate(service.engine, scope, reason=options.reason, now=service.clock()), options)
            return
        found = preview_rerate(service.engine, scope)
        names = _names(service)
    if options.as_json:
        print_json({"applied": False, "run": None, **_effects_json(found, names)})
    else:
        _print_effects(found, names)
        if found.by_group:
            echo("nothing was written: --apply does it")


def _check(options: RerateOptions) -> None:
    period = (options.start, options.end)
    scope = (options.account, options.provider, options.model, options.reason, options.include_reported)
    others = any((*scope, options.apply, *(each is not None for each in period)))
    if options.list_:
        if others or options.resume is not None:
            raise click.UsageError("--list goes with no other option but --json")
    elif options.resume is not None:
        if others:
            raise click.UsageError("--resume takes up a run as it was begun; it goes with no other option but --json")
    elif None in period:
        raise click.UsageError("say which charges: --from and --to")
    elif options.apply and not options.reason.strip():
        raise click.UsageError("--apply needs a --reason")


def _scope(service: Service, options: RerateOptions) -> RerateScope:
    account_id = None if options.account is None else show_account(service.engine, options.account).id
    return RerateScope(
        account_id, options.start or 0, options.end or 0, options.provider, options.model, options.include_reported
    )


def _run(service: Service, begun: RerateRun, options: RerateOptions) -> None:
    told = [-1]

    def tell(run: RerateRun) -> None:
        if run.events_examined // 1_000_000 > told[0]:
            told[0] = run.events_examined // 1_000_000
            warn(f"run {run.id}: {run.events_examined:,} charges examined, {run.events_changed:,} replaced")

    if not options.as_json and begun.finished_at is None:
        warn(f"run {begun.id}: if it is interrupted, `metering rerate --resume {begun.id}` does what is left")
    result = continue_rerate(service.engine, begun.id, clock=service.clock, on_progress=tell if sys.stderr.isatty() else None)
    names = _names(service)
    if options.as_json:
        print_json({"applied": True, "run": run_json(result.run), **_effects_json(result.done_now, names)})
        return
    run = result.run
    if options.resume is None:
        _print_effects(result.done_now, names)
        difference = display_nano(run.after_nano - run.before_nano)
        echo(f"run {run.id} is done: {run.events_changed:,} charges replaced, difference ${difference} ({run.reason})")
        return
    # By model only what was done now is known; the run's totals are what was asked about.
    show_runs([run], names, as_json=False)
    now = result.done_now.total.events
    echo(f"run {run.id} is done: {run.events_changed:,} charges replaced, {now:,} of them now ({run.reason})")


def _print_effects(found: RerateSummary, names: dict[int, str]) -> None:
    if found.by_group:
        columns = [Column("account", "name"), Column("provider", "name"), Column("model", "name"), Column("month")]
        amounts = [Column("before", "money"), Column("after", "money"), Column("difference", "money")]
        print_table(
            [*columns, Column("requests", "count"), *amounts],
            [[names[key[0]], key[1], key[2], format_month(key[3]), *_cells(effect)] for key, effect in _sorted(found, names)],
            totals=["total", "", "", "", *_cells(found.total)],
        )
    echo(f"{found.events:,} charges examined, {found.total.events:,} have another price")
    if found.kept:
        echo(f"{found.kept:,} stay as they are because no price is known for them any more")


def _cells(effect: Effect) -> list[str | int]:
    difference = effect.after_nano - effect.before_nano
    return [effect.events, *map(display_nano, (effect.before_nano, effect.after_nano, difference))]


def _sorted(found: RerateSummary, names: dict[int, str]) -> list[tuple[EffectKey, Effect]]:
    return sorted(found.by_group.items(), key=lambda item: (names[item[0][0]], *item[0][1:]))


def _names(service: Service) -> dict[int, str]:
    return account_names(service.engine)


def _effects_json(found: RerateSummary, names: dict[int, str]) -> dict[str, object]:
    return {
        "events_examined": found.events,
        "events_kept": found.kept,
        "effects": [
            {
                "account": names[key[0]],
                "provider": key[1],
                "model": key[2],
                "month": format_month(key[3]),
                **_effect_json(effect),
            }
            for key, effect in _sorted(found, names)
        ],
        "total": _effect_json(found.total),
    }


def _effect_json(effect: Effect) -> dict[str, object]:
    return {
        "events": effect.events,
        **money("before", effect.before_nano),
        **money("after", effect.after_nano),
        **money("difference", effect.after_nano - effect.before_nano),
    }
