"""``metering rate``: charge what could not be priced before."""

import click

from metering.cli.arguments import json_option
from metering.cli.invocation import Invocation
from metering.cli.session import open_session
from metering.cli.terminal.output import Column, echo, print_json, print_table
from metering.domain.amounts import money
from metering.domain.charges.rating_results import RatingResult
from metering.operations.accounts.manage_accounts import show_account
from metering.operations.charges.rate_unpriced import rate_unpriced
from pricing.dollars import display_nano


@click.command()
@click.option("--account", metavar="NAME", help="Only this account's usage.")
@json_option
@click.pass_obj
def rate(invocation: Invocation, *, account: str | None, as_json: bool) -> None:
    """Charge usage that was kept unpriced and whose price has become known since.

    Each request is charged at the price that was valid when it started. What is charged already never changes.
    """
    with open_session(invocation) as service:
        account_id = None if account is None else show_account(service.engine, account).id
        result = rate_unpriced(service.engine, now=service.clock(), account_id=account_id)
    if as_json:
        print_json(_json(result))
        return
    if result.by_model:
        print_table(
            [Column("provider", "name"), Column("model", "name"), Column("charged", "count"), Column("USD", "money")],
            [
                [provider, model, rated.events, display_nano(rated.amount_nano)]
                for (provider, model), rated in sorted(result.by_model.items())
            ],
            totals=["total", "", result.rated, display_nano(result.amount_nano)],
        )
    else:
        echo("nothing could be charged")
    if result.still_unpriced:
        echo(f"{result.still_unpriced:,} events stay unpriced: `metering prices unpriced` says why")


def _json(result: RatingResult) -> dict[str, object]:
    return {
        "charged": result.rated,
        **money("amount", result.amount_nano),
        "still_unpriced": result.still_unpriced,
        "models": [
            {"provider": provider, "model": model, "charged": rated.events, **money("amount", rated.amount_nano)}
            for (provider, model), rated in sorted(result.by_model.items())
        ],
    }
