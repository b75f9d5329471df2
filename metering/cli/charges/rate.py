"""``metering rate``: charge usage that was unpriced."""

import click

from metering.answers.charges.rating import rating_answer
from metering.cli.arguments import json_option
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.output import Column, echo, print_json, print_table
from metering.operations.accounts.manage_accounts import show_account
from metering.operations.charges.rate_unpriced import rate_unpriced
from pricing.dollars import display_nano


@click.command()
@click.option("--account", metavar="NAME", help="Only this account. Default: all.")
@json_option
@click.pass_obj
def rate(invocation: Invocation, *, account: str | None, as_json: bool) -> None:
    """Charge unpriced usage for which a price is known now.

    Each request is charged at the price that was in effect when it started. Existing charges do not change.
    """
    with open_session(invocation) as service:
        account_id = None if account is None else show_account(service.engine, account).id
        result = rating_answer(rate_unpriced(service.engine, now=service.clock(), account_id=account_id))
    if as_json:
        print_json(result)
        return
    if result.models:
        print_table(
            [Column("provider", "name"), Column("model", "name"), Column("charged", "count"), Column("USD", "money")],
            [[each.provider, each.model, each.charged, display_nano(each.amount_nano_usd)] for each in result.models],
            totals=["total", "", result.charged, display_nano(result.amount_nano_usd)],
        )
    else:
        echo("nothing to charge")
    if result.still_unpriced:
        echo(f"still unpriced: {result.still_unpriced:,} events; see `metering prices unpriced`")
