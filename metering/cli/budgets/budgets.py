"""``metering budgets``: how much may be spent, and how it stands."""

from typing import Any

import click
from msgspec import Struct

from metering.cli.arguments import DAY, USD, collected, json_option, separated
from metering.cli.budgets.budget_table import budget_json, show_budget_table, show_one
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.output import echo, print_json, warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.budgets.budget_state import BudgetDetails
from metering.domain.budgets.budgets import FULL, Action, BudgetBasis, BudgetTerms, Scope, canonical_scope, changed
from metering.domain.budgets.periods import Window
from metering.domain.instants import day_number
from metering.operations.budgets.check_scope import check_scope
from metering.operations.budgets.manage_budgets import (
    Author,
    change_budget,
    create_budget,
    delete_budget,
    find_budget,
    list_budgets,
    show_budget,
)
from metering.operations.service.open_service import Service

_BY = "command line"


class BudgetOptions(Struct, frozen=True, kw_only=True):
    """What the command line says of a budget; what is None or empty is not said."""

    account: str = ""
    budget: int = 0
    amount: int | None = None
    window: str | None = None
    start: Any = None
    end: Any = None
    scope: tuple[str, ...] = ()
    no_scope: bool = False
    thresholds: tuple[str, ...] = ()
    forecast: int | None = None
    no_forecast: bool = False
    action: str | None = None
    block_at: int | None = None
    basis: str | None = None
    name: str | None = None
    as_json: bool = False


@click.group()
def budgets() -> None:
    """Say how much may be spent, and see how it stands."""


def _terms_options(command: Any) -> Any:
    """Add the options that say what a budget is."""
    options = [
        click.option("--window", type=click.Choice([each.value for each in Window]), help="How long its periods are, in UTC."),
        click.option("--start", type=DAY, help="The first day of a fixed window."),
        click.option("--end", type=DAY, help="The day after its last one."),
        click.option(
            "--scope", multiple=True, metavar="NAME=VALUE", help="Only this: provider, model, project, key, tag:<name>; repeat."
        ),
        click.option(
            "--threshold", "thresholds", multiple=True, metavar="PERCENT", help="When to tell; repeat, or separate by commas."
        ),
        click.option("--forecast", type=int, metavar="PERCENT", help="Also tell when the forecast reaches this."),
        click.option("--action", type=click.Choice([each.value for each in Action]), help="Only tell, or block as well."),
        click.option("--block-at", type=int, metavar="PERCENT", help=f"When it blocks [{FULL}]."),
        click.option(
            "--basis",
            type=click.Choice([each.value for each in BudgetBasis]),
            help="All charges, or what credits leave of a month's billable ones.",
        ),
        click.option("--name", help="What to call it."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


# An amount below zero is told what is wrong with it, instead of being taken for an option.
@budgets.command(context_settings={"ignore_unknown_options": True})
@click.argument("account")
@click.argument("amount", type=USD)
@_terms_options
@json_option
@click.pass_obj
@collected(BudgetOptions)
def create(invocation: Invocation, said: BudgetOptions) -> None:
    """Give ACCOUNT a budget of AMOUNT dollars; by month, told of at 50, 80 and 100 percent, unless something else is said.

    \b
    metering budgets create acme 500
    metering budgets create acme 25 --window day --scope project=search --scope tag:team=core
    metering budgets create acme 300 --window fixed --start 2026-11-03 --end 2026-11-20 --threshold 90,100 --forecast 110
    """
    terms = changed(BudgetTerms(amount_nano=said.amount or 0), _said_of(said))
    with open_session(invocation) as service:
        view = create_budget(service.engine, said.account, terms, _said(service), service.catalogue)
        remarks = _remarks(service, terms)
    _show(view, as_json=said.as_json, remarks=remarks)


@budgets.command("list")
@click.option("--account", metavar="NAME", help="Only this account's.")
@json_option
@click.pass_obj
def list_(invocation: Invocation, *, account: str | None, as_json: bool) -> None:
    """List the budgets, and how each stands in its present period."""
    with open_session(invocation) as service:
        found = list_budgets(service.engine, service.catalogue, now=service.clock(), account=account)
    if as_json:
        print_json({"budgets": [budget_json(view) for view in found]})
    elif found:
        show_budget_table(found)
    else:
        echo("there are no budgets; `metering budgets create` makes one")


@budgets.command()
@click.argument("budget", type=int)
@click.option("--on", "day", type=DAY, help="In the period that this day is in [today].")
@json_option
@click.pass_obj
def show(invocation: Invocation, *, budget: int, day: Any, as_json: bool) -> None:
    """Show the BUDGET with this number: what is spent and left, what is to be expected, and what was said of it."""
    with open_session(invocation) as service:
        number = None if day is None else day_number(day)
        view, revisions = show_budget(service.engine, budget, service.catalogue, now=service.clock(), day=number)
    if as_json:
        print_json(budget_json(view, revisions))
    else:
        show_one(view, revisions)


@budgets.command()
@click.argument("budget", type=int)
@click.option("--amount", type=USD, help="How much may be spent.")
@_terms_options
@click.option("--no-scope", is_flag=True, help="It is about all of the account.")
@click.option("--no-forecast", is_flag=True, help="Forecasts are not watched.")
@json_option
@click.pass_obj
@collected(BudgetOptions)
def change(invocation: Invocation, said: BudgetOptions) -> None:
    """Change the BUDGET with this number, from now on; what is not said stays.

    What was told stays told; a new threshold that is reached already is told at once.
    """
    with open_session(invocation) as service:
        terms = changed(find_budget(service.engine, said.budget).terms, _said_of(said))
        view = change_budget(service.engine, said.budget, terms, _said(service), service.catalogue)
        remarks = _remarks(service, terms)
    _show(view, as_json=said.as_json, remarks=remarks)


@budgets.command()
@click.argument("budget", type=int)
@json_option
@click.pass_obj
def delete(invocation: Invocation, *, budget: int, as_json: bool) -> None:
    """Delete the BUDGET with this number: it is judged no more. What it told, and what was said of it, stays on record."""
    with open_session(invocation) as service:
        delete_budget(service.engine, budget, _said(service))
    if as_json:
        print_json({"id": budget, "deleted": True})
    else:
        echo(f"deleted budget {budget}")


def _show(view: BudgetDetails, *, as_json: bool, remarks: list[str]) -> None:
    for text in remarks:
        warn(text)
    if as_json:
        print_json(budget_json(view))
    else:
        show_one(view)


def _remarks(service: Service, terms: BudgetTerms) -> list[str]:
    found = check_scope(service.engine, terms.scope, service.settings.ingest.declared_tags)
    return [sanitize(each) for each in found]


def _said(service: Service) -> Author:
    return Author(_BY, service.clock())


def _said_of(said: BudgetOptions) -> dict[str, Any]:
    """Return the fields of a budget that are said. Raises UsageError."""
    found = {
        "amount_nano": said.amount,
        "window": None if said.window is None else Window(said.window),
        "first_day": None if said.start is None else day_number(said.start),
        "end_day": None if said.end is None else day_number(said.end),
        "scope": _scope(said.scope) if said.scope or said.no_scope else None,
        "thresholds": tuple(_percent(text) for text in separated(said.thresholds)) or None,
        "forecast_percent": said.forecast,
        "action": None if said.action is None else Action(said.action),
        "block_percent": said.block_at,
        "basis": None if said.basis is None else BudgetBasis(said.basis),
        "name": said.name,
    }
    stated = {field: value for field, value in found.items() if value is not None}
    return stated | ({"forecast_percent": None} if said.no_forecast else {})


def _scope(pairs: tuple[str, ...]) -> Scope:
    found: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.UsageError(f"--scope takes NAME=VALUE, got {pair[:60]!r}")
        found[name.strip()] = (*found.get(name.strip(), ()), value)
    return canonical_scope(found)


def _percent(text: str) -> int:
    if not (text.removeprefix("-").isascii() and text.removeprefix("-").isdecimal()) or len(text) > 9:
        raise click.UsageError(f"--threshold takes whole percentages, got {text[:40]!r}")
    return int(text)
