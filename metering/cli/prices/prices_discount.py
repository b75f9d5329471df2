"""``metering prices discount``: a percentage off the prices of one account."""

import click
from msgspec import Struct

from metering.answers.prices.price_imports import discount_answer
from metering.cli.arguments import INSTANT, collected, json_option
from metering.cli.invocation import Invocation
from metering.cli.prices.price_text import since
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted, were
from metering.cli.terminal.output import echo, print_json, warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.prices.account_discounts import DiscountRequest, RecordedDiscount
from metering.operations.prices.discount_prices import discount_prices
from pricing.discounts import parse_percent


class DiscountOptions(Struct, frozen=True, kw_only=True):
    """The options of the command."""

    account: str
    percent: str
    effective_from: int
    provider: str | None
    model: str | None
    as_json: bool


@click.command()
@click.option("--account", metavar="NAME", required=True, help="The account.")
@click.option("--percent", required=True, help="The discount in percent, such as 12.5. 0 ends an earlier discount.")
@click.option("--from", "--effective-from", "effective_from", type=INSTANT, required=True, help="When it takes effect.")
@click.option("--provider", help="Limit it to this provider.")
@click.option("--model", help="Limit it to this model.")
@json_option
@click.pass_obj
@collected(DiscountOptions)
def discount(invocation: Invocation, options: DiscountOptions) -> None:
    """Discount an account's prices by a percentage of the list prices.

    Base prices that change later are followed: every sync and every import updates the discounts. Repeating the command adds
    nothing. If two discounts overlap, the one recorded last applies. Prices from the account's own sheets take precedence.
    Existing charges never change.

    \b
    metering prices discount --account acme --percent 12.5 --from 2026-12-01 --provider together
    """
    share = parse_percent(options.percent)
    request = DiscountRequest(options.account, share, options.effective_from, options.provider, options.model)
    with open_session(invocation) as service:
        recorded = discount_prices(service.engine, request, now=service.clock())
    if options.as_json:
        print_json(discount_answer(recorded))
    else:
        _print_discount(recorded)


def _print_discount(recorded: RecordedDiscount) -> None:
    expanded, account = recorded.expanded, sanitize(recorded.account)
    start, added = since(recorded.discount.effective_from), len(recorded.table_ids)
    if not recorded.table_ids:
        echo("this discount was recorded already")
    elif recorded.discount.share:
        prices, tables = counted(expanded.prices, "price"), counted(added, "price table")
        echo(f"{prices} of {account} discounted from {start}; {tables} {were(added)} added")
    else:
        echo(f"the discount of {account} ends at {start}")
    if expanded.rounded:
        whole = "were not whole pico-dollars" if expanded.rounded > 1 else "was not a whole number of pico-dollars"
        echo(f"{expanded.rounded:,} of them {whole} (1e-12) and {were(expanded.rounded)} rounded half up")
    if expanded.kept:
        kept = len(expanded.kept)
        echo(f"{counted(kept, 'model')} {'keeps' if kept == 1 else 'keep'} the account's own price")
    warn("base prices that change later are followed; prices from the account's own sheets take precedence")
