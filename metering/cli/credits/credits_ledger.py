"""``metering credits ledger``, ``balance``, ``void``: credit entries, what is left at an instant, voiding grants."""

import click

from metering.answers.credits.credit_ledger import (
    CreditEntryAnswer,
    CreditEntryPage,
    credit_balance_answer,
    credit_entry_answer,
    voided_credits_answer,
)
from metering.answers.credits.credits import CreditGrantAnswer
from metering.cli.arguments import INSTANT, USD, json_option
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.credits.credits import INCLUDED
from metering.domain.instants import month_of
from metering.domain.statements.billing_months import check_month_in_range
from metering.operations.credits.show_credit_ledger import credits_at, show_ledger
from metering.operations.credits.void_credits import void_credits
from pricing.dollars import display_nano


@click.command()
@click.argument("account")
@json_option
@click.pass_obj
def ledger(invocation: Invocation, *, account: str, as_json: bool) -> None:
    """List every change to ACCOUNT's credits: granted, applied, expired, restored, voided, used elsewhere.

    The entries for a month's usage are written when the month is closed; until then `credits show` computes them.
    """
    with open_session(invocation) as service:
        movements = show_ledger(service.engine, account)
    page = CreditEntryPage(account=account, items=[credit_entry_answer(each) for each in movements], next_cursor=None)
    if as_json:
        print_json(page)
    elif not page.items:
        echo("no credit entries")
    else:
        names = [Column("written"), Column("kind"), Column("grant", "name"), Column("usage of"), Column("statement")]
        print_table([*names, Column("USD", "money"), Column("left", "money")], [_row(each) for each in page.items])


@click.command()
@click.argument("account")
@click.option("--at", "instant", type=INSTANT, help="The instant. Default: now.")
@json_option
@click.pass_obj
def balance(invocation: Invocation, *, account: str, instant: int | None, as_json: bool) -> None:
    """Show the credits ACCOUNT could use at an instant, by when usage happened, not by when it was ingested."""
    with open_session(invocation) as service:
        now = service.clock()
        at = now if instant is None else instant
        check_month_in_range(month_of(at), now)
        answer = credit_balance_answer(credits_at(service.engine, account, at, service.catalog))
    if as_json:
        print_json(answer)
        return
    echo(f"{sanitize(answer.account)}, {answer.at}", style="bold")
    rows: list[list[Cell]] = [
        [_name(each.grant), (each.grant.expires_at or "")[:10], display_nano(each.left_nano_usd)] for each in answer.grants
    ]
    columns = [Column("grant", "name"), Column("until"), Column("USD", "money")]
    print_table(columns, rows, totals=["left", "", display_nano(answer.left_nano_usd)])
    if answer.is_upper_bound:
        echo("Upper bound: some of these credits can also be spent on other Hugging Face compute.")


@click.command()
@click.argument("account")
@click.argument("reference")
@click.option("--amount", type=USD, help="The amount in dollars. Default: everything left.")
@click.option("--reason", required=True, help="The reason; the ledger shows it.")
@json_option
@click.pass_obj
def void(invocation: Invocation, *, account: str, reference: str, amount: int | None, reason: str, as_json: bool) -> None:
    """Void what is left of ACCOUNT's grant REFERENCE, or a part of it. Credits already applied to usage are not affected."""
    with open_session(invocation) as service:
        entry = void_credits(service.engine, account, reference, amount, service.catalog, reason=reason, now=service.clock())
    answer = voided_credits_answer(account, entry)
    if as_json:
        print_json(answer)
    else:
        echo(f"{sanitize(account)}: voided ${display_nano(answer.voided_nano_usd)} of {sanitize(reference)}")


def _row(entry: CreditEntryAnswer) -> list[Cell]:
    return [
        entry.recorded_at[:10],
        entry.kind.value.replace("_", " "),
        _name(entry.grant),
        entry.usage_month,
        entry.billing_month,
        display_nano(entry.amount_nano_usd),
        display_nano(entry.left_nano_usd),
    ]


def _name(grant: CreditGrantAnswer) -> str:
    if grant.kind != INCLUDED:
        return f"{grant.kind} {grant.reference}"
    # A month's credits start and end on the 1st, a day's never do both.
    starts, ends = grant.granted_at[8:10], (grant.expires_at or "")[8:10]
    return f"included {grant.granted_at[:7] if starts == ends else grant.granted_at[:10]}"
