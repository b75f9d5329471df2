"""``metering prices diff``: what each price list says differently at two instants."""

from typing import Any

import click
from msgspec import Struct

from metering.cli.arguments import INSTANT, collected, json_option, known_at_option
from metering.cli.invocation import Invocation
from metering.cli.prices.price_json import known_at_json, price_of_quantity
from metering.cli.session import open_session
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table
from metering.cli.unknown_names import warn_unknown_name
from metering.domain.charges.quoted_prices import format_price
from metering.domain.instants import format_instant
from metering.domain.prices.listed_changes import ListedChange
from metering.domain.statements.statements import described
from metering.domain.usage.model_names import provider_name
from metering.operations.accounts.manage_accounts import show_account
from metering.operations.prices.compare_prices import DiffQuery, compare_prices
from metering.operations.prices.list_names import listed_names
from pricing.rates import Price


class DiffOptions(Struct, frozen=True, kw_only=True):
    """What is compared, and how it is shown."""

    start: int
    end: int
    source: str | None
    provider: str | None
    account: str | None
    known_at: int | None
    as_json: bool


@click.command()
@click.option("--from", "start", type=INSTANT, required=True, help="The earlier instant.")
@click.option("--to", "end", type=INSTANT, required=True, help="The later instant.")
@click.option("--source", help="Only of this price list.")
@click.option("--provider", help="Only this provider's.")
@click.option("--account", metavar="NAME", help="The prices of this account's own too.")
@known_at_option
@json_option
@click.pass_obj
@collected(DiffOptions)
def diff(invocation: Invocation, asked: DiffOptions) -> None:
    """Show which prices differ between two instants. What changed and changed back does not differ.

    \b
    metering prices diff --from 2026-10-18 --to 2026-10-20 --source hf_router
    """
    with open_session(invocation) as service:
        query = DiffQuery(
            asked.start,
            asked.end,
            asked.source,
            None if asked.provider is None else provider_name(asked.provider),
            None if asked.account is None else show_account(service.engine, asked.account).id,
            asked.known_at,
        )
        found = compare_prices(service.engine, query)
        if query.source is not None or query.provider is not None:
            listed = listed_names(service.engine)
            warn_unknown_name(query.source, listed.sources, "no price list is called {}")
            warn_unknown_name(query.provider, listed.providers, "no price list has the provider {}")
    if asked.as_json:
        period = {"from": format_instant(asked.start), "to": format_instant(asked.end), **known_at_json(asked.known_at)}
        print_json({**period, "changes": [_change_json(each) for each in found]})
    elif found:
        columns = [Column("list", "name"), Column("provider", "name"), Column("model", "name"), Column("price of", "name")]
        print_table(
            [*columns, Column("change"), Column("before", "name"), Column("after", "name")], [_row(each) for each in found]
        )
        models = {(each.change.provider, each.change.model) for each in found}
        echo(f"{len(found):,} prices differ, of {len(models):,} model{'' if len(models) == 1 else 's'}")
    else:
        echo("no price differs")


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


def _change_json(listed: ListedChange) -> dict[str, Any]:
    change = listed.change
    return {
        "source": listed.source,
        "route": listed.route,
        "provider": change.provider,
        "model": change.model,
        "operation": change.operation,
        "context_from": change.context_from,
        "quantity": change.quantity,
        "kind": str(change.kind),
        "before": None if change.before is None else price_of_quantity(change.quantity, change.before),
        "after": None if change.after is None else price_of_quantity(change.quantity, change.after),
    }
