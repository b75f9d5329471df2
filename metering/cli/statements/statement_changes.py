"""``metering statements adjust``, ``adjustments``, ``reopen-check``: adjustments, and changes to closed months."""

import click

from metering.answers.credits.adjustments import AdjustmentAnswer, AdjustmentPage, adjustment_answer
from metering.answers.statements.closing import MonthAmountsAnswer, StatementChangesAnswer, statement_changes_answer
from metering.cli.arguments import MONTH, USD, json_option
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.operations.credits.adjust_account import adjust_account, list_adjustments
from metering.operations.statements.compare_closed_month import compare_closed_month
from pricing.dollars import display_nano


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("account")
@click.argument("month", type=MONTH)
@click.argument("amount", type=USD)
@click.option("--reference", required=True, help="Identifies the adjustment: repeating the command changes nothing.")
@click.option("--reason", required=True, help="The reason; the statement shows it.")
@json_option
@click.pass_obj
def adjust(
    invocation: Invocation, *, account: str, month: int, amount: int, reference: str, reason: str, as_json: bool
) -> None:
    """Adjust what ACCOUNT owes for MONTH (YYYY-MM) by AMOUNT dollars; a negative amount reduces it.

    It counts as usage of that month, for its credits too. If the month is closed, the first open statement shows it.
    """
    with open_session(invocation) as service:
        recorded = adjust_account(
            service.engine, account, month, amount, reference=reference, reason=reason, now=service.clock()
        )
    answer = adjustment_answer(account, recorded)
    if as_json:
        print_json(answer)
    else:
        dollars = display_nano(answer.amount_nano_usd)
        echo(f"{sanitize(account)}: {dollars} USD for {answer.month}, on the statement of {answer.billing_month}")


@click.command()
@click.argument("account")
@json_option
@click.pass_obj
def adjustments(invocation: Invocation, *, account: str, as_json: bool) -> None:
    """List ACCOUNT's adjustments."""
    with open_session(invocation) as service:
        found = list_adjustments(service.engine, account)
    page = AdjustmentPage(account=account, items=[adjustment_answer(account, each) for each in found], next_cursor=None)
    if as_json:
        print_json(page)
    elif not found:
        echo("no adjustments")
    else:
        columns = [Column("for"), Column("on"), Column("reference", "name"), Column("reason", "name"), Column("USD", "money")]
        print_table(columns, [_adjustment_row(each) for each in page.items])


@click.command("reopen-check")
@click.argument("account")
@click.argument("month", type=MONTH)
@json_option
@click.pass_obj
def reopen_check(invocation: Invocation, *, account: str, month: int, as_json: bool) -> None:
    """Compare ACCOUNT's closed MONTH with the month computed now, and show the corrections that carry the difference."""
    with open_session(invocation) as service:
        drift = compare_closed_month(service.engine, account, month, service.catalog, now=service.clock())
    answer = statement_changes_answer(drift)
    if as_json:
        print_json(answer)
    else:
        _show_changes(answer)
        if answer.plan_terms_changed:
            echo(f"Plan terms have changed since; the statement keeps those of {drift.statement.plan.plan} it was closed with.")


def _show_changes(changes: StatementChangesAnswer) -> None:
    title = f"{sanitize(changes.account)}, {changes.month}"
    if changes.unchanged:
        echo(f"{title}: nothing has changed since it was closed")
        return
    rows: list[list[Cell]] = [["as closed", *_amounts(changes.closed)]]
    rows += [[f"on {each.month} ({each.status})", *_amounts(each)] for each in changes.corrections]
    columns = [Column(title, "name"), *(Column(name, "money") for name in ("usage", "credits", "payable"))]
    print_table(columns, rows, totals=["as computed now", *_amounts(changes.now)])


def _amounts(of: MonthAmountsAnswer) -> list[str]:
    usage, credits_paid = of.usage_nano_usd, of.credits_nano_usd
    return [display_nano(usage), display_nano(-credits_paid), display_nano(usage - credits_paid)]


def _adjustment_row(each: AdjustmentAnswer) -> list[Cell]:
    return [each.month, each.billing_month, each.reference, each.reason, display_nano(each.amount_nano_usd)]
