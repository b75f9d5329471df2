"""``metering prices discount``: a share off every price of one account."""

import click
from msgspec import Struct

from metering.cli.arguments import INSTANT, collected, json_option
from metering.cli.invocation import Invocation
from metering.cli.prices.price_text import since
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted, were
from metering.cli.terminal.output import echo, print_json, warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.instants import format_instant
from metering.domain.prices.account_discounts import DiscountRequest
from metering.domain.usage.model_names import provider_name
from metering.operations.prices.discount_prices import discount_prices
from pricing.discounts import parse_percent


class DiscountOptions(Struct, frozen=True, kw_only=True):
    """The discount, and how the answer is shown."""

    account: str
    percent: str
    effective_from: int
    provider: str | None
    model: str | None
    as_json: bool


@click.command()
@click.option("--account", metavar="NAME", required=True, help="Whose prices.")
@click.option("--percent", required=True, help="How much less than others pay: 12.5. 0 ends an earlier discount.")
@click.option("--from", "effective_from", type=INSTANT, required=True, help="From when on.")
@click.option("--provider", help="Only on this provider's prices.")
@click.option("--model", help="Only on this model's.")
@json_option
@click.pass_obj
@collected(DiscountOptions)
def discount(invocation: Invocation, asked: DiscountOptions) -> None:
    """Give an account a discount: record what everybody pays, less a share, as prices of its own.

    Prices that change later are discounted from then on too, those that are known and those that are recorded afterwards:
    every sync and every import takes the discounts along. Run again with nothing new, it records nothing. Where two discounts
    overlap, the one recorded last counts. Prices that the account has from a sheet of its own come first. What is charged
    already never changes.

    \b
    metering prices discount --account acme --percent 12.5 --from 2026-12-01 --provider together
    """
    provider = None if asked.provider is None else provider_name(asked.provider)
    wanted = DiscountRequest(asked.account, parse_percent(asked.percent), asked.effective_from, provider, asked.model)
    with open_session(invocation) as service:
        recorded = discount_prices(service.engine, wanted, now=service.clock())
    expanded = recorded.expanded
    if asked.as_json:
        print_json(
            {
                "account": asked.account,
                "percent": asked.percent,
                "effective_from": format_instant(asked.effective_from),
                "tables_added": recorded.table_ids,
                "prices": expanded.prices,
                "rounded": expanded.rounded,
                "kept": [{"provider": provider, "model": model, "operation": each} for provider, model, each in expanded.kept],
            }
        )
        return
    if not recorded.table_ids:
        echo("everything in this discount was recorded already")
    elif wanted.share:
        prices = f"{counted(expanded.prices, 'price')} of {sanitize(asked.account)} from {since(asked.effective_from)} on"
        new = len(recorded.table_ids)
        echo(f"{prices}; {counted(new, 'price table')} {were(new)} new")
    else:
        echo(f"the discount of {sanitize(asked.account)} ends at {since(asked.effective_from)}")
    if expanded.rounded:
        inexact = f"{expanded.rounded:,} of them {were(expanded.rounded)} no whole number of pico-dollars (1e-12)"
        echo(f"{inexact} and {were(expanded.rounded)} rounded to the nearest, halves up")
    if expanded.kept:
        kept = len(expanded.kept)
        echo(f"{counted(kept, 'model')} {'keeps' if kept == 1 else 'keep'} a price of the account's own")
    warn("base prices that are recorded later are followed; a sheet of the account's own comes first")
