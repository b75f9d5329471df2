"""``metering credits``: what is included, what was bought, what is left."""

from collections.abc import Iterator

import click
from msgspec import Struct

from metering.cli.arguments import INSTANT, MONTH, USD, collected, json_option
from metering.cli.credits.credit_json import balance_json
from metering.cli.credits.credits_ledger import balance, ledger, void
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.amounts import UNKNOWN_AMOUNT
from metering.cli.terminal.output import Column, echo, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.credits.credit_summary import CreditSummary
from metering.domain.credits.credits import ANY_COMPUTE, GRANTED_KINDS, INCLUDED, INFERENCE_ONLY, PURCHASED, CreditGrant
from metering.domain.instants import format_instant, format_month, month_of
from metering.exports.statement_json import grant_json
from metering.operations.credits.grant_credits import grant_credits, record_used_elsewhere, show_credits
from pricing.dollars import display_nano


class _Grant(Struct, frozen=True):
    """What ``credits grant`` was asked."""

    account: str
    amount: int
    kind: str
    scope: str
    expires: int | None
    reference: str
    as_json: bool


@click.group("credits")
def credit() -> None:
    """Show and grant credits."""


credit.add_command(balance)
credit.add_command(ledger)
credit.add_command(void)


@credit.command()
@click.argument("account")
@click.argument("month", type=MONTH, required=False)
@json_option
@click.pass_obj
def show(invocation: Invocation, *, account: str, month: int | None, as_json: bool) -> None:
    """Show what credits did for ACCOUNT in MONTH (YYYY-MM; this month when nothing is said), and what is left of them."""
    with open_session(invocation) as service:
        asked = month or month_of(service.clock())
        balance = show_credits(service.engine, account, asked, service.catalogue)
    if as_json:
        print_json(balance_json(balance))
    else:
        _show(balance)


@credit.command()
@click.argument("account")
@click.argument("amount", type=USD)
@click.option("--kind", type=click.Choice(GRANTED_KINDS), default=PURCHASED, show_default=True, help="Bought, or given.")
@click.option(
    "--scope",
    type=click.Choice([INFERENCE_ONLY, ANY_COMPUTE]),
    default=INFERENCE_ONLY,
    show_default=True,
    help="What they pay for; of what can be spent on other compute too, the remainder is an upper bound.",
)
@click.option("--expires", type=INSTANT, help="When they end; never, when nothing is said.")
@click.option("--reference", default="", help="Names the purchase: the same again is granted once.")
@json_option
@click.pass_obj
@collected(_Grant)
def grant(invocation: Invocation, asked: _Grant) -> None:
    """Grant ACCOUNT an AMOUNT of credits, in dollars. Unlike a plan's own, they outlive the month."""
    with open_session(invocation) as service:
        now = service.clock()
        wanted = CreditGrant(0, asked.kind, asked.amount, now, asked.expires, asked.reference, asked.scope)
        granted = grant_credits(service.engine, asked.account, wanted, now=now)
    if asked.as_json:
        print_json({"account": asked.account, **grant_json(granted)})
    else:
        until = "" if granted.expires_at is None else f", until {format_instant(granted.expires_at)}"
        amount = display_nano(granted.amount_nano)
        echo(f"{sanitize(asked.account)}: ${amount} {granted.kind}{until} ({sanitize(granted.reference)})")


@credit.command("used-elsewhere", context_settings={"ignore_unknown_options": True})
@click.argument("account")
@click.argument("month", type=MONTH)
@click.argument("amount", type=USD)
@click.option("--reason", default="", help="What for, for the record.")
@json_option
@click.pass_obj
def used_elsewhere(invocation: Invocation, *, account: str, month: int, amount: int, reason: str, as_json: bool) -> None:
    """Say that ACCOUNT spent an AMOUNT of MONTH's included credit on other Hugging Face compute.

    Amounts add up; one with a minus takes back.
    """
    with open_session(invocation) as service:
        record_used_elsewhere(service.engine, account, month, amount, reason=reason, now=service.clock())
        balance = show_credits(service.engine, account, month, service.catalogue)
    if as_json:
        print_json(balance_json(balance))
    else:
        _show(balance)


def _show(balance: CreditSummary) -> None:
    echo(f"{sanitize(balance.account)}, {format_month(balance.month.month)}, plan {balance.plan.plan}", style="bold")
    print_table([Column("the plan's credit", "name"), Column("USD", "money")], _included_rows(balance))
    echo()
    print_table([Column("other credit", "name"), Column("USD", "money")], _lasting_rows(balance))
    echo()
    echo(f"usage that no credit paid: ${display_nano(balance.month.uncovered_nano)}")
    if balance.grants:
        echo()
        print_table(
            [
                *(Column("granted"), Column("kind"), Column("reference", "name"), Column("USD", "money")),
                *(Column("taken back", "money"), Column("expires")),
            ],
            [
                [
                    format_instant(each.granted_at)[:10],
                    each.kind,
                    each.reference,
                    display_nano(each.amount_nano),
                    display_nano(each.voided_nano),
                    "never" if each.expires_at is None else format_instant(each.expires_at)[:10],
                ]
                for each in balance.grants
            ],
        )
    for remark in _remarks(balance):
        echo()
        echo(remark)


def _included_rows(balance: CreditSummary) -> list[list[str]]:
    """Return the rows of the plan's own credit; they add up to what is left of it."""
    credit = balance.included
    if credit.included_nano is None:
        return [["included", UNKNOWN_AMOUNT], ["left", UNKNOWN_AMOUNT]]
    left = "left, at most" if credit.is_upper_bound and credit.left_nano else "left"
    return [
        ["included", display_nano(credit.included_nano)],
        ["spent on other compute, as told", display_nano(-credit.elsewhere_nano)],
        ["applied to usage", display_nano(-credit.applied_nano)],
        [left, display_nano(credit.left_nano)],
    ]


def _lasting_rows(balance: CreditSummary) -> list[list[str]]:
    """Return the rows of what was bought or given; they add up to what is left of it."""
    credit = balance.lasting
    moved = {"taken back": credit.voided_nano, "unused at its end": credit.expiring_nano}
    applied = [item for item in balance.month.applied if item.grant.kind != INCLUDED]
    return [
        ["left by earlier months", display_nano(credit.carried_in_nano)],
        ["granted this month", display_nano(credit.granted_nano)],
        *([name, display_nano(-amount)] for name, amount in moved.items() if amount),
        *([f"applied, {_named(item.grant)}", display_nano(-item.amount_nano)] for item in applied),
        ["left, at most" if credit.is_upper_bound else "left", display_nano(credit.left_nano)],
    ]


def _remarks(balance: CreditSummary) -> Iterator[str]:
    beyond = balance.included.beyond_nano
    if beyond:
        told = f"${display_nano(balance.used_elsewhere_nano)} was told to be spent on other compute"
        yield f"{told}: ${display_nano(beyond)} of it is more than the plan's credit was, and nothing here paid it."
    if balance.included.is_upper_bound:
        yield (
            "The plan's credit also pays for Endpoints, Spaces and Jobs, so what is left of it is an upper bound:"
            " `metering credits used-elsewhere` says how much they took."
        )
    if balance.lasting.is_upper_bound:
        yield "Some of the other credit can be spent on any Hugging Face compute, so what is left of it is an upper bound."


def _named(grant: CreditGrant) -> str:
    return f"{grant.kind} {grant.reference}".strip()
