"""``metering accounts``: who is billed, under which name, by which route, on which plan."""

from collections.abc import Sequence
from datetime import date

import click

from metering.answers.accounts.accounts import AccountPage, account_answer
from metering.answers.accounts.plans import AccountPlanAnswer, account_plan_answer
from metering.cli.arguments import DAY, MONTH, json_option
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table, warn
from metering.cli.terminal.sanitize import sanitize
from metering.cli.usage.unassigned import assign, unassigned
from metering.domain.accounts.plan_history import PlanChange, plan_month, unknown_plan_terms
from metering.domain.instants import date_of, day_of, first_date, month_of
from metering.domain.usage.events import PROVIDER_KEY, ROUTED, SERVERLESS, UNKNOWN
from metering.operations.accounts.manage_accounts import (
    change_account,
    declare_account,
    list_accounts,
    show_account_plans,
)
from metering.operations.accounts.manage_plans import list_plan_changes, set_plan
from metering.operations.charges.correct_usage import apply_route_to_stored
from metering.operations.service.open_service import Service
from pricing.bundled import bundled_plans
from pricing.dollars import display_nano, with_dollar_sign

_ROUTES = click.Choice([ROUTED, PROVIDER_KEY, SERVERLESS, UNKNOWN])


@click.group()
def accounts() -> None:
    """Declare who is billed and on which plan."""


accounts.add_command(unassigned)
accounts.add_command(assign)


@accounts.command("list")
@json_option
@click.pass_obj
def list_(invocation: Invocation, *, as_json: bool) -> None:
    """List accounts with their current plan."""
    with open_session(invocation) as service:
        today = _today(service)
        shown = [account_answer(each, today, service.catalog) for each in list_accounts(service.engine)]
    if as_json:
        print_json(AccountPage(items=shown, next_cursor=None))
        return
    rows: list[list[Cell]] = [
        [each.name, each.default_route or UNKNOWN, each.plan, each.seats, _day(each.created_at)] for each in shown
    ]
    columns = [Column("account", "name"), Column("default route", "name"), Column("plan")]
    print_table([*columns, Column("seats", "count"), Column("declared")], rows)


@accounts.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(invocation: Invocation, *, name: str, as_json: bool) -> None:
    """Show account NAME and its plans."""
    with open_session(invocation) as service:
        _show(service, name, as_json=as_json)


@accounts.command()
@click.argument("name")
@click.option(
    "--route",
    type=_ROUTES,
    default=UNKNOWN,
    show_default=True,
    help="Billing route of requests whose records do not state one.",
)
@click.option(
    "--plan",
    "plan_name",
    type=click.Choice(bundled_plans().plans),
    help="Plan from the 1st of this month; `metering accounts set-plan` sets one from another day. Default: free.",
)
@json_option
@click.pass_obj
def create(invocation: Invocation, *, name: str, route: str, plan_name: str | None, as_json: bool) -> None:
    """Declare account NAME, on a plan from the 1st of this month if --plan names one."""
    with open_session(invocation, create=True) as service:
        now = service.clock()
        change = None if plan_name is None else PlanChange(first_date(month_of(now)), plan_name)
        declare_account(service.engine, name, default_route=_stored(route), plan=change, now=now)
        _show(service, name, as_json=as_json)
        for warning in [] if change is None else unknown_plan_terms(change, service.catalog):
            warn(warning)


@accounts.command()
@click.argument("name")
@click.argument("new_name")
@json_option
@click.pass_obj
def rename(invocation: Invocation, *, name: str, new_name: str, as_json: bool) -> None:
    """Rename account NAME to NEW_NAME from now on.

    Logs from before the change still find it under its old name.
    """
    with open_session(invocation) as service:
        change_account(service.engine, name, new_name=new_name, now=service.clock())
        _show(service, new_name, as_json=as_json)


@accounts.command("set-route")
@click.argument("name")
@click.argument("route", type=_ROUTES)
@click.option(
    "--apply-to-stored",
    is_flag=True,
    help="Also charge stored usage of unknown route again, by this route. Default: only usage ingested from now on.",
)
@json_option
@click.pass_obj
def set_route(invocation: Invocation, *, name: str, route: str, apply_to_stored: bool, as_json: bool) -> None:
    """Set the billing route of NAME's requests whose records do not state one.

    routed: Hugging Face bills; provider_key: the partner bills, on the account's own key; serverless: hf-inference.
    """
    with open_session(invocation) as service:
        account = change_account(service.engine, name, default_route=_stored(route), now=service.clock())
        if apply_to_stored:
            result = apply_route_to_stored(
                service.engine, account.id, _stored(route), service.settings.ingest, clock=service.clock
            )
            warn(f"run {result.run.id}: {counted(result.run.events_changed, 'stored request')} changed")
        _show(service, name, as_json=as_json)


@accounts.command()
@click.argument("name")
@click.option("--month", type=MONTH, help="The month. Default: the current one.")
@json_option
@click.pass_obj
def plan(invocation: Invocation, *, name: str, month: int | None, as_json: bool) -> None:
    """Show what NAME's plan costs and includes in a month."""
    with open_session(invocation) as service:
        _show_plan(service, name, month or month_of(service.clock()), as_json=as_json)


@accounts.command("set-plan")
@click.argument("name")
@click.argument("plan_name", metavar="PLAN", type=click.Choice(bundled_plans().plans))
@click.option(
    "--seats", type=click.IntRange(1), default=1, show_default=True, help="Seats; only team and enterprise have more than one."
)
@click.option("--from", "--effective", "since", type=DAY, help="First day on the plan. Default: the 1st of this month.")
@json_option
@click.pass_obj
def set_plan_(invocation: Invocation, *, name: str, plan_name: str, seats: int, since: date | None, as_json: bool) -> None:
    """Put NAME on PLAN, starting on a given day.

    The fee of a plan that starts mid-month is prorated by day. An upgrade takes effect on its day; a downgrade or a change of
    seats from the next month.
    """
    with open_session(invocation) as service:
        now = service.clock()
        change = PlanChange(since or first_date(month_of(now)), plan_name, seats)
        set_plan(service.engine, name, change, service.catalog, now=now)
        _show_plan(service, name, month_of(now), unknown_plan_terms(change, service.catalog), as_json=as_json)


def _show(service: Service, name: str, *, as_json: bool) -> None:
    answer = account_answer(show_account_plans(service.engine, name), _today(service), service.catalog)
    if as_json:
        print_json(answer)
        return
    echo(f"account        {sanitize(answer.name)}")
    echo(f"default route  {answer.default_route or UNKNOWN}")
    echo(f"plan           {_with_seats(answer.plan, answer.seats)}{'' if answer.plan_changes else ' (none was set)'}")
    echo(f"declared       {_day(answer.created_at)}")
    for change in answer.plan_changes:
        echo(f"               {_with_seats(change.plan, change.seats)} from {change.effective}")


def _show_plan(service: Service, name: str, month: int, warnings: Sequence[str] = (), *, as_json: bool) -> None:
    changes = list_plan_changes(service.engine, name)
    answer = account_plan_answer(name, plan_month(changes, month, service.catalog), changes, warnings)
    if as_json:
        print_json(answer)
    else:
        _print_plan(answer)
    for warning in answer.warnings:
        warn(warning)


def _print_plan(answer: AccountPlanAnswer) -> None:
    month = answer.current
    echo(f"account           {sanitize(answer.account)}")
    echo(f"plan              {_with_seats(month.plan, month.seats)} at the end of {month.month}")
    for fee in month.fees:
        days = "" if fee.days == fee.days_in_month else f" for {fee.days} of {fee.days_in_month} days"
        amount = "unknown" if fee.amount_usd is None else with_dollar_sign(fee.amount_usd)
        echo(f"fee               {amount}, {_with_seats(fee.plan, fee.seats)}{days}")
    credit = month.included_credit_nano_usd
    echo(f"included credits  {'unknown' if credit is None else f'${display_nano(credit)}'}")
    for daily in month.daily_credits:
        echo(f"daily credits     ${display_nano(daily.credit_nano_usd)} a day from {daily.first_day}, {daily.days} days")
    for change in answer.changes:
        echo(f"                  {_with_seats(change.plan, change.seats)} from {change.effective}")


def _with_seats(plan_name: str, seats: int) -> str:
    return f"{plan_name}, {seats} seats" if seats > 1 else plan_name


def _day(instant: str | None) -> str:
    return "" if instant is None else instant[:10]


def _today(service: Service) -> date:
    return date_of(day_of(service.clock()))


def _stored(route: str) -> str:
    return "" if route == UNKNOWN else route
