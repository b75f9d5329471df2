"""``metering prices diff``: the prices that differ between two instants."""

import click
from msgspec import Struct

from metering.answers.prices.price_changes import price_change_page
from metering.cli.arguments import collected, end_option, json_option, known_at_option, start_option
from metering.cli.invocation import Invocation
from metering.cli.prices.unlisted_names import warn_unlisted_names
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table
from metering.domain.charges.quoted_prices import format_price
from metering.domain.prices.listed_changes import ListedChange
from metering.domain.statements.statements import described
from metering.operations.accounts.manage_accounts import show_account
from metering.operations.prices.compare_prices import DiffQuery, compare_prices
from pricing.rates import Price


class DiffOptions(Struct, frozen=True, kw_only=True):
    """The options of the command."""

    start: int
    end: int
    source: str | None
    provider: str | None
    account: str | None
    known_at: int | None
    as_json: bool


@click.command()
@start_option("The earlier instant.", required=True)
@end_option("The later instant.", required=True)
@click.option("--source", help="Only prices of this price list.")
@click.option("--provider", help="Only prices of this provider.")
@click.option("--account", metavar="NAME", help="Include this account's own prices.")
@known_at_option
@json_option
@click.pass_obj
@collected(DiffOptions)
def diff(invocation: Invocation, options: DiffOptions) -> None:
    """Show the prices that differ between two instants.

    A price that changed and changed back in between does not differ. A price that takes effect at the later instant does.

    \b
    metering prices diff --start 2026-10-18 --end 2026-10-20 --source hf_router
    """
    with open_session(invocation) as service:
        query = DiffQuery(
            options.start,
            options.end,
            options.source,
            options.provider,
            None if options.account is None else show_account(service.engine, options.account).id,
            options.known_at,
        )
        found = compare_prices(service.engine, query)
        warn_unlisted_names(service, query.provider, query.source)
    if options.as_json:
        print_json(price_change_page(found, start=options.start, end=options.end, known_at=options.known_at))
    elif found:
        columns = [Column("list", "name"), Column("provider", "name"), Column("model", "name"), Column("price of", "name")]
        print_table(
            [*columns, Column("change"), Column("before", "name"), Column("after", "name")], [_row(each) for each in found]
        )
        models = {(each.change.provider, each.change.model) for each in found}
        verb = "differs" if len(found) == 1 else "differ"
        echo(f"{counted(len(found), 'price')} of {counted(len(models), 'model')} {verb}")
    else:
        echo("no prices differ")


def _row(listed: ListedChange) -> list[Cell]:
    change = listed.change
    tier = f", from {change.context_from:,} tokens" if change.context_from else ""
    operation = f", {change.operation}" if change.operation else ""
    return [
        f"{listed.source}, {listed.route}" if listed.route else listed.source,
        change.provider,
        change.model,
        f"{described(change.quantity)}{operation}{tier}",
        str(change.kind),
        _price(change.quantity, change.before),
        _price(change.quantity, change.after),
    ]


def _price(quantity: str, price: Price | None) -> str:
    return "none" if price is None else format_price(quantity, price.pico, price.block)
