"""``metering credits ledger``, ``balance``, ``void``: every movement of credits, what is left, and taking back."""

import click

from metering.cli.arguments import INSTANT, USD, json_option
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.amounts import money
from metering.domain.credits.credit_balance import CreditBalance
from metering.domain.credits.credit_ledger import CreditMovement
from metering.domain.credits.credits import INCLUDED, CreditGrant
from metering.domain.instants import format_instant, format_month, month_of
from metering.exports.statement_json import grant_json
from metering.operations.credits.show_credit_ledger import credits_at, show_ledger
from metering.operations.credits.void_credits import void_credits
from pricing.dollars import display_nano


@click.command()
@click.argument("account")
@json_option
@click.pass_obj
def ledger(invocation: Invocation, *, account: str, as_json: bool) -> None:
    """List every movement of ACCOUNT's credits: what was granted, applied, expired, restored and taken back.

    What a month's usage takes is written when the month is closed; until then `credits show` computes it.
    """
    with open_session(invocation) as service:
        rows = show_ledger(service.engine, account)
    if as_json:
        print_json({"account": account, "entries": [_row_json(row) for row in rows]})
    elif not rows:
        echo("nothing has moved")
    else:
        names = [Column("written"), Column("kind"), Column("grant", "name"), Column("usage of"), Column("statement")]
        print_table([*names, Column("USD", "money"), Column("left", "money")], [_row(row) for row in rows])


@click.command()
@click.argument("account")
@click.option("--at", "instant", type=INSTANT, help="At that instant; now, when nothing is said.")
@json_option
@click.pass_obj
def balance(invocation: Invocation, *, account: str, instant: int | None, as_json: bool) -> None:
    """Show what credits ACCOUNT could use at an instant, judged by when usage happened."""
    with open_session(invocation) as service:
        found = credits_at(service.engine, account, service.clock() if instant is None else instant, service.catalogue)
    if as_json:
        print_json(_balance_json(found))
        return
    echo(f"{sanitize(found.account)}, {format_instant(found.instant)}", style="bold")
    rows: list[list[Cell]] = [[_named(each.grant), _until(each.grant), display_nano(each.left_nano)] for each in found.grants]
    columns = [Column("grant", "name"), Column("until"), Column("USD", "money")]
    print_table(columns, rows, totals=["left", "", display_nano(found.left_nano)])
    if found.is_upper_bound:
        echo("At most: some of it can also be spent on other Hugging Face compute.")


@click.command()
@click.argument("account")
@click.argument("reference")
@click.option("--amount", type=USD, help="How much; all that is left, when nothing is said.")
@click.option("--reason", required=True, help="Why, for the record.")
@json_option
@click.pass_obj
def void(invocation: Invocation, *, account: str, reference: str, amount: int | None, reason: str, as_json: bool) -> None:
    """Take back what is left of ACCOUNT's grant REFERENCE, or an amount of it. What usage has used is not left."""
    with open_session(invocation) as service:
        taken = void_credits(service.engine, account, reference, amount, service.catalogue, reason=reason, now=service.clock())
    if as_json:
        print_json({"account": account, "reference": reference, **money("voided", -taken.amount_nano), "reason": reason})
    else:
        echo(f"{sanitize(account)}: ${display_nano(-taken.amount_nano)} of {sanitize(reference)} was taken back")


def _row(row: CreditMovement) -> list[Cell]:
    entry = row.entry
    return [
        format_instant(entry.recorded_at)[:10],
        entry.kind.value.replace("_", " "),
        _named(entry.grant),
        format_month(entry.usage_month),
        format_month(entry.billing_month),
        display_nano(entry.amount_nano),
        display_nano(row.left_nano),
    ]


def _row_json(row: CreditMovement) -> dict[str, object]:
    entry = row.entry
    return {
        "id": entry.id,
        "kind": entry.kind.value,
        "grant": grant_json(entry.grant),
        "usage_month": format_month(entry.usage_month),
        "billing_month": format_month(entry.billing_month),
        **money("amount", entry.amount_nano),
        **money("left", row.left_nano),
        "reason": entry.reason,
        "recorded_at": format_instant(entry.recorded_at),
    }


def _balance_json(found: CreditBalance) -> dict[str, object]:
    return {
        "account": found.account,
        "at": format_instant(found.instant),
        **money("left", found.left_nano),
        "is_upper_bound": found.is_upper_bound,
        "grants": [{"grant": grant_json(each.grant), **money("left", each.left_nano)} for each in found.grants],
    }


def _named(grant: CreditGrant) -> str:
    if grant.kind == INCLUDED:
        return f"included {format_month(month_of(grant.granted_at))}"
    return f"{grant.kind} {grant.reference}"


def _until(grant: CreditGrant) -> str:
    return "" if grant.expires_at is None else format_instant(grant.expires_at)[:10]
