"""``metering budgets``: limits on spend, and their state."""

from datetime import date
from typing import Any

import click
from msgspec import Struct

from metering.answers.budgets.budgets import BudgetPage, DeletedBudgetAnswer, budget_answer, budget_history_answer
from metering.cli.arguments import DAY, PERCENT, USD, collected, end_option, json_option, separated, start_option
from metering.cli.budgets.budget_table import print_budget, print_budgets
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.output import echo, print_json, warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.budgets.budget_state import BudgetDetails
from metering.domain.budgets.budgets import FULL, Action, BudgetBasis, BudgetTerms, Scope, apply_changes, canonical_scope
from metering.domain.budgets.periods import Window
from metering.domain.instants import day_number
from metering.operations.budgets.budget_warnings import budget_warnings
from metering.operations.budgets.manage_budgets import (
    Author,
    change_budget,
    create_budget,
    delete_budget,
    list_budgets,
    show_budget,
)
from metering.operations.service.open_service import Service

_BY = "command line"


class BudgetOptions(Struct, frozen=True, kw_only=True):
    """The options of a command that creates or changes a budget; None or empty: not given."""

    account: str = ""
    budget: int = 0
    amount: int | None = None
    window: str | None = None
    start: date | None = None
    end: date | None = None
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
    """Set limits on spend, and show how much of them is used."""


def _terms_options(command: Any) -> Any:
    """Add the options for the terms of a budget."""
    options = [
        click.option(
            "--window",
            type=click.Choice([each.value for each in Window]),
            help="Length of the periods, in UTC. A new budget: month.",
        ),
        start_option("First day of a fixed window.", DAY),
        end_option("The day after the last day of a fixed window.", DAY),
        click.option(
            "--scope",
            multiple=True,
            metavar="NAME=VALUE",
            help="Count only usage with this provider, model, project, key or tag:<name>; repeat.",
        ),
        click.option(
            "--threshold",
            "thresholds",
            multiple=True,
            metavar="PERCENT",
            help="Percentage of the amount that raises an alert (80 or 80%); repeat or separate by commas. Default: 50,80,100.",
        ),
        click.option(
            "--forecast", type=PERCENT, metavar="PERCENT", help="Also raise an alert when the forecast reaches this percentage."
        ),
        click.option(
            "--action",
            type=click.Choice([each.value for each in Action]),
            help="Raise alerts only, or also block requests. A new budget: notify.",
        ),
        click.option(
            "--block-at",
            type=PERCENT,
            metavar="PERCENT",
            help=f"Percentage from which --action block blocks. Default: {FULL}.",
        ),
        click.option(
            "--basis",
            type=click.Choice([each.value for each in BudgetBasis]),
            help="Count all charges, or a month's billable charges that credits do not cover. A new budget: gross.",
        ),
        click.option("--name", help="A name for the budget."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


# Lets a negative amount reach the check of amounts instead of failing as an unknown option.
@budgets.command(context_settings={"ignore_unknown_options": True})
@click.argument("account")
@click.argument("amount", type=USD)
@_terms_options
@json_option
@click.pass_obj
@collected(BudgetOptions)
def create(invocation: Invocation, options: BudgetOptions) -> None:
    """Give ACCOUNT a budget of AMOUNT dollars. Default: per month, with alerts at 50, 80 and 100 percent.

    \b
    metering budgets create acme 500
    metering budgets create acme 25 --window day --scope project=search --scope tag:team=core
    metering budgets create acme 300 --window fixed --start 2026-11-03 --end 2026-11-20 --threshold 90,100 --forecast 110
    """
    terms = apply_changes(BudgetTerms(amount_nano=options.amount or 0), _terms_in(options))
    with open_session(invocation) as service:
        details = create_budget(service.engine, options.account, terms, _author(service), service.catalog)
        warnings = _warnings(service, details)
    _show(details, warnings, as_json=options.as_json)


@budgets.command("list")
@click.option("--account", metavar="NAME", help="Only the budgets of this account.")
@json_option
@click.pass_obj
def list_(invocation: Invocation, *, account: str | None, as_json: bool) -> None:
    """List budgets with the state of their current period."""
    with open_session(invocation) as service:
        details = list_budgets(service.engine, service.catalog, now=service.clock(), account=account)
    page = BudgetPage(items=[budget_answer(each) for each in details], next_cursor=None)
    if as_json:
        print_json(page)
    elif page.items:
        print_budgets(page.items)
    else:
        echo("no budgets; create one with `metering budgets create`")


@budgets.command()
@click.argument("budget", type=int)
@click.option("--on", "day", type=DAY, help="Show the period that contains this day. Default: today.")
@json_option
@click.pass_obj
def show(invocation: Invocation, *, budget: int, day: date | None, as_json: bool) -> None:
    """Show the state, forecast and revisions of a budget, by its id."""
    with open_session(invocation) as service:
        number = None if day is None else day_number(day)
        details, revisions = show_budget(service.engine, budget, service.catalog, now=service.clock(), day=number)
    answer = budget_history_answer(details, revisions)
    if as_json:
        print_json(answer)
    else:
        print_budget(answer)


@budgets.command()
@click.argument("budget", type=int)
@click.option("--amount", type=USD, help="The limit on spend per period, in dollars.")
@_terms_options
@click.option("--no-scope", is_flag=True, help="Count all usage of the account.")
@click.option("--no-forecast", is_flag=True, help="Raise no alerts on forecasts.")
@json_option
@click.pass_obj
@collected(BudgetOptions)
def change(invocation: Invocation, options: BudgetOptions) -> None:
    """Change a budget from now on, by its id.

    Options that are left out keep their value. Raised alerts remain; a new threshold that is already reached raises its alert
    at once. A new amount raises its alerts again.
    """
    with open_session(invocation) as service:
        details = change_budget(service.engine, options.budget, _terms_in(options), _author(service), service.catalog)
        warnings = _warnings(service, details)
    _show(details, warnings, as_json=options.as_json)


@budgets.command()
@click.argument("budget", type=int)
@json_option
@click.pass_obj
def delete(invocation: Invocation, *, budget: int, as_json: bool) -> None:
    """Delete a budget, by its id. It is no longer evaluated; its alerts and revisions are kept."""
    with open_session(invocation) as service:
        delete_budget(service.engine, budget, _author(service))
    if as_json:
        print_json(DeletedBudgetAnswer(id=budget, deleted=True))
    else:
        echo(f"deleted budget {budget}")


def _show(details: BudgetDetails, warnings: list[str], *, as_json: bool) -> None:
    answer = budget_answer(details, warnings)
    for text in answer.warnings:
        warn(sanitize(text))
    if as_json:
        print_json(answer)
    else:
        print_budget(answer)


def _warnings(service: Service, details: BudgetDetails) -> list[str]:
    return budget_warnings(service.engine, details.budget, service.settings.ingest.declared_tags)


def _author(service: Service) -> Author:
    return Author(_BY, service.clock())


def _terms_in(options: BudgetOptions) -> dict[str, Any]:
    """Return the terms that the options set, by field. Raises UsageError."""
    fields = {
        "amount_nano": options.amount,
        "window": None if options.window is None else Window(options.window),
        "first_day": None if options.start is None else day_number(options.start),
        "end_day": None if options.end is None else day_number(options.end),
        "scope": _scope(options.scope) if options.scope or options.no_scope else None,
        "thresholds": tuple(_percent(text) for text in separated(options.thresholds)) or None,
        "forecast_percent": options.forecast,
        "action": None if options.action is None else Action(options.action),
        "block_percent": options.block_at,
        "basis": None if options.basis is None else BudgetBasis(options.basis),
        "name": options.name,
    }
    terms = {field: value for field, value in fields.items() if value is not None}
    return terms | ({"forecast_percent": None} if options.no_forecast else {})


def _scope(pairs: tuple[str, ...]) -> Scope:
    scope: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.UsageError(f"--scope takes NAME=VALUE, got {pair[:60]!r}")
        scope[name.strip()] = (*scope.get(name.strip(), ()), value)
    return canonical_scope(scope)


def _percent(text: str) -> int:
    given, text = text, text.removesuffix("%").rstrip()
    if not (text.removeprefix("-").isascii() and text.removeprefix("-").isdecimal()) or len(text) > 9:
        raise click.UsageError(f"--threshold takes whole percentages, got {given[:40]!r}")
    return int(text)
