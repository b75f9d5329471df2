"""``metering credits``: an account's credits in a month, granting them, and recording what was spent elsewhere."""

from collections.abc import Iterator

import click
from msgspec import Struct

from metering.answers.credits.credits import (
    CreditGrantAnswer,
    CreditsAnswer,
    credits_answer,
    granted_credits_answer,
)
from metering.cli.arguments import INSTANT, MONTH, USD, collected, json_option
from metering.cli.credits.credits_ledger import balance, ledger, void
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.amounts import UNKNOWN_AMOUNT
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.credits.credits import ANY_COMPUTE, GRANTED_KINDS, INCLUDED, INFERENCE_ONLY, PURCHASED, CreditGrant
from metering.domain.instants import month_of
from metering.domain.statements.billing_months import check_month_in_range
from metering.operations.credits.grant_credits import grant_credits, record_used_elsewhere, show_credits
from pricing.dollars import display_nano


class _GrantChoices(Struct, frozen=True):
    """What ``credits grant`` was called with."""

    account: str
    amount: int
    kind: str
    scope: str
    granted: int | None
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
    """Show what credits paid for ACCOUNT in MONTH (YYYY-MM), and what is left. Default: the current month."""
    with open_session(invocation) as service:
        shown = month or month_of(service.clock())
        check_month_in_range(shown, service.clock())
        summary = show_credits(service.engine, account, shown, service.catalog)
    _print(credits_answer(summary), as_json=as_json)


@credit.command()
@click.argument("account")
@click.argument("amount", type=USD)
@click.option("--kind", type=click.Choice(GRANTED_KINDS), default=PURCHASED, show_default=True, help="Kind of credits.")
@click.option(
    "--scope",
    type=click.Choice([INFERENCE_ONLY, ANY_COMPUTE]),
    default=INFERENCE_ONLY,
    show_default=True,
    help="What they pay for. What is left of credits for any compute is an upper bound.",
)
@click.option("--granted", type=INSTANT, help="From when they can be used. Default: now.")
@click.option("--expires", type=INSTANT, help="When they expire, exclusive. Default: never.")
@click.option(
    "--reference",
    default="",
    help="Identifies the grant: repeating the command grants nothing more. Default: a generated one.",
)
@json_option
@click.pass_obj
@collected(_GrantChoices)
def grant(invocation: Invocation, choices: _GrantChoices) -> None:
    """Grant ACCOUNT an AMOUNT of credits, in dollars. Unlike included credits, they carry over from month to month."""
    with open_session(invocation) as service:
        now = service.clock()
        wanted = CreditGrant(
            id=0,
            kind=choices.kind,
            amount_nano=choices.amount,
            granted_at=now if choices.granted is None else choices.granted,
            expires_at=choices.expires,
            reference=choices.reference,
            scope=choices.scope,
        )
        granted = grant_credits(service.engine, choices.account, wanted, now=now)
    answer = granted_credits_answer(choices.account, granted)
    if choices.as_json:
        print_json(answer)
    else:
        until = "" if answer.expires_at is None else f", until {answer.expires_at}"
        dollars = display_nano(answer.amount_nano_usd)
        echo(f"{sanitize(answer.account)}: ${dollars} {answer.kind}{until} ({sanitize(answer.reference)})")


@credit.command("used-elsewhere", context_settings={"ignore_unknown_options": True})
@click.argument("account")
@click.argument("month", type=MONTH)
@click.argument("amount", type=USD)
@click.option("--reason", default="", help="The reason, for the record.")
@json_option
@click.pass_obj
def used_elsewhere(invocation: Invocation, *, account: str, month: int, amount: int, reason: str, as_json: bool) -> None:
    """Record that ACCOUNT spent an AMOUNT of MONTH's included credits on other Hugging Face compute.

    Amounts add up; a negative amount corrects earlier ones.
    """
    with open_session(invocation) as service:
        now = service.clock()
        check_month_in_range(month, now)
        record_used_elsewhere(service.engine, account, month, amount, reason=reason, now=now)
        summary = show_credits(service.engine, account, month, service.catalog)
    _print(credits_answer(summary), as_json=as_json)


def _print(answer: CreditsAnswer, *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    echo(f"{sanitize(answer.account)}, {answer.month}, plan {answer.plan}", style="bold")
    print_table([Column("included credits", "name"), Column("USD", "money")], _included_rows(answer))
    echo()
    if answer.daily_nano_usd:
        print_table([Column("daily credits", "name"), Column("USD", "money")], _daily_rows(answer))
        echo()
    print_table([Column("purchased credits", "name"), Column("USD", "money")], _purchased_rows(answer))
    echo()
    echo(f"usage that no credits paid: ${display_nano(answer.uncovered_nano_usd)}")
    if answer.grants:
        echo()
        columns = [Column("granted"), Column("kind"), Column("reference", "name"), Column("USD", "money")]
        columns += [Column("voided", "money"), Column("expires")]
        print_table(columns, [_grant_row(each) for each in answer.grants])
    for note in _notes(answer):
        echo()
        echo(note)


def _included_rows(answer: CreditsAnswer) -> list[list[str]]:
    """Return the rows of included credits; they add up to what is left."""
    if answer.included_nano_usd is None:
        return [["included", UNKNOWN_AMOUNT], ["left", UNKNOWN_AMOUNT]]
    by_month = [item for item in answer.applied if item.grant.kind == INCLUDED]
    applied = sum(item.amount_nano_usd for item in by_month) - answer.daily_applied_nano_usd
    is_bound = answer.included_left_is_upper_bound and answer.included_left_nano_usd
    return [
        ["included", display_nano(answer.included_nano_usd)],
        ["spent on other compute, as recorded", display_nano(-answer.used_elsewhere_of_included_nano_usd)],
        ["applied to usage", display_nano(-applied)],
        *([["paid by daily credits before", display_nano(-answer.topped_up_nano_usd)]] if answer.topped_up_nano_usd else []),
        ["left, at most" if is_bound else "left", display_nano(answer.included_left_nano_usd)],
    ]


def _daily_rows(answer: CreditsAnswer) -> list[list[str]]:
    unused = answer.daily_nano_usd - answer.daily_applied_nano_usd
    return [
        ["included, all days of the month", display_nano(answer.daily_nano_usd)],
        ["applied to usage of their days", display_nano(-answer.daily_applied_nano_usd)],
        ["not used; expires with its day", display_nano(unused)],
    ]


def _purchased_rows(answer: CreditsAnswer) -> list[list[str]]:
    """Return the rows of purchased credits; they add up to what is left."""
    reductions = {"voided": answer.voided_nano_usd, "expired unused": answer.expiring_nano_usd}
    applied = [item for item in answer.applied if item.grant.kind != INCLUDED]
    return [
        ["left by earlier months", display_nano(answer.carried_in_nano_usd)],
        ["granted this month", display_nano(answer.granted_nano_usd)],
        *([name, display_nano(-amount)] for name, amount in reductions.items() if amount),
        *([f"applied, {_name(item.grant)}", display_nano(-item.amount_nano_usd)] for item in applied),
        ["left, at most" if answer.purchased_left_is_upper_bound else "left", display_nano(answer.purchased_left_nano_usd)],
    ]


def _grant_row(grant: CreditGrantAnswer) -> list[Cell]:
    return [
        grant.granted_at[:10],
        grant.kind,
        grant.reference,
        display_nano(grant.amount_nano_usd),
        display_nano(grant.voided_nano_usd),
        "never" if grant.expires_at is None else grant.expires_at[:10],
    ]


def _name(grant: CreditGrantAnswer) -> str:
    return f"{grant.kind} {grant.reference}".strip()


def _notes(answer: CreditsAnswer) -> Iterator[str]:
    beyond = answer.used_elsewhere_nano_usd - answer.used_elsewhere_of_included_nano_usd
    if beyond:
        recorded = f"${display_nano(answer.used_elsewhere_nano_usd)} is recorded as spent on other compute"
        yield f"{recorded}, ${display_nano(beyond)} more than the included credits; no credits paid the excess."
    if answer.included_left_is_upper_bound:
        yield (
            "Included credits can also pay for Endpoints, Spaces and Jobs, so what is left is an upper bound. Record such"
            " spending with `metering credits used-elsewhere`."
        )
    if answer.purchased_left_is_upper_bound:
        yield "Some purchased credits can be spent on any Hugging Face compute, so what is left of them is an upper bound."
