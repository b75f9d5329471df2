"""``metering accounts``: who is billed, under which name, how routed, on which plan."""

from collections.abc import Sequence
from datetime import date

import click

from metering.cli.arguments import DAY, json_option
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table, warn
from metering.cli.terminal.sanitize import sanitize
from metering.cli.usage.unassigned import assign, unassigned
from metering.domain.accounts.plan_history import FREE, PlanChange, unknown_plan_terms
from metering.domain.instants import first_date, format_instant, month_of
from metering.domain.usage.events import PROVIDER_KEY, ROUTED, SERVERLESS, UNKNOWN
from metering.operations.accounts.manage_accounts import (
    change_account,
    declare_account,
    list_accounts,
    list_plan_changes,
    set_plan,
    show_account,
)
from metering.operations.service.open_service import Service
from metering.storage.accounts.accounts import AccountRow
from pricing.bundled import bundled_plans

_ROUTES = click.Choice([ROUTED, PROVIDER_KEY, SERVERLESS, UNKNOWN])


@click.group()
def accounts() -> None:
    """Declare who is billed, on which plan."""


accounts.add_command(unassigned)
accounts.add_command(assign)


@accounts.command("list")
@json_option
@click.pass_obj
def list_(invocation: Invocation, *, as_json: bool) -> None:
    """List the accounts, with the plan each is on today."""
    with open_session(invocation) as service:
        today = _today(service)
        found = [(row, list_plan_changes(service.engine, row.name)) for row in list_accounts(service.engine)]
    if as_json:
        print_json({"accounts": [_json(row, changes, today) for row, changes in found]})
        return
    rows: list[list[Cell]] = []
    for row, changes in found:
        plan, seats = _plan_on(changes, today)
        rows.append([row.name, row.default_route or UNKNOWN, plan, seats, _declared(row)])
    columns = [Column("account", "name"), Column("route, if records don't say", "name"), Column("plan")]
    print_table([*columns, Column("seats", "count"), Column("declared")], rows)


@accounts.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(invocation: Invocation, *, name: str, as_json: bool) -> None:
    """Show the account NAME and the plans it has been on."""
    with open_session(invocation) as service:
        _show(service, name, as_json=as_json)


@accounts.command()
@click.argument("name")
@click.option("--route", type=_ROUTES, default=UNKNOWN, help="How its requests are routed where records do not say.")
@json_option
@click.pass_obj
def create(invocation: Invocation, *, name: str, route: str, as_json: bool) -> None:
    """Declare the account NAME."""
    with open_session(invocation, create=True) as service:
        declare_account(service.engine, name, default_route=_stored(route), now=service.clock())
        _show(service, name, as_json=as_json)


@accounts.command()
@click.argument("name")
@click.argument("new_name")
@json_option
@click.pass_obj
def rename(invocation: Invocation, *, name: str, new_name: str, as_json: bool) -> None:
    """Call the account NAME by NEW_NAME from now on.

    Logs from before name it as it was called then, and still find it.
    """
    with open_session(invocation) as service:
        change_account(service.engine, name, new_name=new_name, now=service.clock())
        _show(service, new_name, as_json=as_json)


@accounts.command("set-route")
@click.argument("name")
@click.argument("route", type=_ROUTES)
@json_option
@click.pass_obj
def set_route(invocation: Invocation, *, name: str, route: str, as_json: bool) -> None:
    """Say how NAME's requests are routed where records do not say. Counts for what is ingested from now on.

    routed: Hugging Face bills them; provider_key: the partner does, on the account's own key; serverless: hf-inference.
    """
    with open_session(invocation) as service:
        change_account(service.engine, name, default_route=_stored(route), now=service.clock())
        _show(service, name, as_json=as_json)


@accounts.command("set-plan")
@click.argument("name")
@click.argument("plan", type=click.Choice(bundled_plans().plans))
@click.option(
    "--seats", type=click.IntRange(1), default=1, show_default=True, help="Seats; only team and enterprise have several."
)
@click.option("--from", "since", type=DAY, help="The first day on the plan [the 1st of this month].")
@json_option
@click.pass_obj
def set_plan_(invocation: Invocation, *, name: str, plan: str, seats: int, since: date | None, as_json: bool) -> None:
    """Say that NAME is on PLAN from a day on.

    A plan that starts in mid-month costs its days. An upgrade counts from its day; a downgrade, or a change of seats, from
    the next month.
    """
    with open_session(invocation) as service:
        now = service.clock()
        change = PlanChange(since or first_date(month_of(now)), plan, seats)
        set_plan(service.engine, name, change, service.catalogue, now=now)
        _show(service, name, as_json=as_json)
        for unknown in unknown_plan_terms(change, service.catalogue):
            warn(unknown)


def _show(service: Service, name: str, *, as_json: bool) -> None:
    row = show_account(service.engine, name)
    changes = list_plan_changes(service.engine, name)
    today = _today(service)
    if as_json:
        print_json(_json(row, changes, today))
        return
    plan, seats = _plan_on(changes, today)
    echo(f"account   {sanitize(row.name)}")
    echo(f"route     {row.default_route or UNKNOWN}, where records do not say")
    echo(f"plan      {plan}{f', {seats} seats' if seats > 1 else ''}{'' if changes else ' (none was set)'}")
    echo(f"declared  {_declared(row)}")
    for change in changes:
        echo(f"          {change.plan}{f', {change.seats} seats' if change.seats > 1 else ''} from {change.effective}")


def _declared(row: AccountRow) -> str:
    """Return the day; nothing for the account that holds what nobody declared."""
    return format_instant(row.created_at)[:10] if row.created_at else ""


def _today(service: Service) -> date:
    return date.fromisoformat(format_instant(service.clock())[:10])


def _plan_on(changes: Sequence[PlanChange], day: date) -> tuple[str, int]:
    """Return the plan and the seats that were last said to hold on a day."""
    said = [change for change in changes if change.effective <= day]
    return (said[-1].plan, said[-1].seats) if said else (FREE, 1)


def _stored(route: str) -> str:
    return "" if route == UNKNOWN else route


def _json(row: AccountRow, changes: Sequence[PlanChange], today: date) -> dict[str, object]:
    plan, seats = _plan_on(changes, today)
    return {
        "name": row.name,
        "default_route": row.default_route,
        "created_at": format_instant(row.created_at),
        "plan": plan,
        "seats": seats,
        "plan_changes": [
            {"effective": change.effective.isoformat(), "plan": change.plan, "seats": change.seats} for change in changes
        ],
    }
