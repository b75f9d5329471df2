"""``metering statements adjust``, ``adjustments``, ``reopen-check``: what changes what a closed month should have come to."""

import click

from metering.cli.arguments import MONTH, USD, json_option
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.amounts import money
from metering.domain.credits.adjustments import Adjustment
from metering.domain.instants import format_instant, format_month
from metering.domain.statements.closed_month_drift import ClosedMonthDrift, StatementCorrection
from metering.operations.credits.adjust_account import adjust_account, list_adjustments
from metering.operations.statements.compare_closed_month import compare_closed_month
from pricing.dollars import display_nano


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("account")
@click.argument("month", type=MONTH)
@click.argument("amount", type=USD)
@click.option("--reference", required=True, help="Names the decision: the same again is recorded once.")
@click.option("--reason", required=True, help="Why; it stands on the statement.")
@json_option
@click.pass_obj
def adjust(
    invocation: Invocation, *, account: str, month: int, amount: int, reference: str, reason: str, as_json: bool
) -> None:
    """Adjust what ACCOUNT owes for MONTH (YYYY-MM) by an AMOUNT of dollars, or with a minus by less.

    It counts as usage of that month, for its credits too. Where the month is closed it stands on the first open statement.
    """
    with open_session(invocation) as service:
        made = adjust_account(service.engine, account, month, amount, reference=reference, reason=reason, now=service.clock())
    if as_json:
        print_json({"account": account, **_adjustment_json(made)})
    else:
        about, billed = format_month(made.origin_month), format_month(made.billing_month)
        echo(f"{sanitize(account)}: {display_nano(made.amount_nano)} USD for {about}, on the statement of {billed}")


@click.command()
@click.argument("account")
@json_option
@click.pass_obj
def adjustments(invocation: Invocation, *, account: str, as_json: bool) -> None:
    """List what was adjusted of ACCOUNT."""
    with open_session(invocation) as service:
        found = list_adjustments(service.engine, account)
    if as_json:
        print_json({"account": account, "adjustments": [_adjustment_json(each) for each in found]})
    elif not found:
        echo("nothing was adjusted")
    else:
        columns = [Column("for"), Column("on"), Column("reference", "name"), Column("reason", "name"), Column("USD", "money")]
        print_table(columns, [_adjustment_row(each) for each in found])


@click.command("reopen-check")
@click.argument("account")
@click.argument("month", type=MONTH)
@json_option
@click.pass_obj
def reopen_check(invocation: Invocation, *, account: str, month: int, as_json: bool) -> None:
    """Show what has changed about ACCOUNT's closed MONTH since: what it would come to now, and which statements say so."""
    with open_session(invocation) as service:
        found = compare_closed_month(service.engine, account, month, service.catalogue, now=service.clock())
    if as_json:
        print_json(_reopened_json(found))
    else:
        _show_reopened(found)


def _show_reopened(found: ClosedMonthDrift) -> None:
    closed = found.statement
    name, month = sanitize(closed.account), format_month(closed.month)
    if found.is_unchanged:
        echo(f"{name}, {month}: nothing has changed since it was closed")
        return
    rows: list[list[Cell]] = [["as it was closed", *_amounts(found.closed_usage_nano, closed.credits.applied_nano)]]
    for each in found.corrections:
        on = f"on {format_month(each.month)} ({'closed' if each.is_closed else 'open'})"
        rows.append([on, *_amounts(each.usage_nano + each.adjustments_nano, each.credits_nano)])
    columns = [Column(f"{name}, {month}", "name"), *(Column(what, "money") for what in ("usage", "credits", "payable"))]
    print_table(columns, rows, totals=["as it would be now", *_amounts(found.usage_nano, found.credits_nano)])
    if found.plan != closed.plan:
        echo(f"The plan was closed as {closed.plan.plan}; what its terms are by now differs, and changes nothing.")


def _amounts(usage_nano: int, credits_nano: int) -> list[str]:
    return [display_nano(usage_nano), display_nano(-credits_nano), display_nano(usage_nano - credits_nano)]


def _reopened_json(found: ClosedMonthDrift) -> dict[str, object]:
    closed = found.statement
    return {
        "account": closed.account,
        "month": format_month(closed.month),
        "unchanged": found.is_unchanged,
        "closed": {**money("usage", found.closed_usage_nano), **money("credits", closed.credits.applied_nano)},
        "now": {**money("usage", found.usage_nano), **money("credits", found.credits_nano)},
        "plan_terms_changed": found.plan != closed.plan,
        "corrections": [_correction_json(each) for each in found.corrections],
    }


def _correction_json(each: StatementCorrection) -> dict[str, object]:
    return {
        "month": format_month(each.month),
        "status": "closed" if each.is_closed else "draft",
        **money("usage", each.usage_nano),
        **money("adjustments", each.adjustments_nano),
        **money("credits", each.credits_nano),
    }


def _adjustment_json(each: Adjustment) -> dict[str, object]:
    return {
        "reference": each.reference,
        "month": format_month(each.origin_month),
        "billing_month": format_month(each.billing_month),
        **money("amount", each.amount_nano),
        "reason": each.reason,
        "recorded_at": format_instant(each.recorded_at),
    }


def _adjustment_row(each: Adjustment) -> list[Cell]:
    months = format_month(each.origin_month), format_month(each.billing_month)
    return [*months, each.reference, each.reason, display_nano(each.amount_nano)]
