"""``metering prices``: what requests cost, since when, and who says so."""

from typing import Any

import click

from metering.cli.arguments import INSTANT, json_option, known_at_option
from metering.cli.invocation import Invocation
from metering.cli.lazy_group import LazyCommand, LazyGroup
from metering.cli.prices.price_json import account_names, known_at_json, price_json, table_json
from metering.cli.prices.price_text import PER_MILLION_KINDS, per_million, rate_in_words, since, which_rate, whose
from metering.cli.prices.prices_diff import diff
from metering.cli.prices.prices_discount import discount
from metering.cli.prices.prices_explain import explain
from metering.cli.prices.prices_history import history
from metering.cli.prices.prices_import import import_
from metering.cli.session import open_session
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table, warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.charges.unpriced_usage import UnpricedUsage
from metering.domain.instants import format_instant
from metering.domain.prices.listed_rates import ListedRate
from metering.operations.accounts.manage_accounts import show_account
from metering.operations.charges.list_unpriced import list_unpriced
from metering.operations.prices.show_prices import HistoryQuery, PriceQuery, list_tables, price_history, prices_at

# They load a client, which the others do without.
_SYNC_COMMANDS = {
    "sync": LazyCommand("metering.cli.prices.price_syncs:sync", "Fetch the router's prices; record what changed."),
    "accept": LazyCommand("metering.cli.prices.price_syncs:accept", "Record the prices that a sync held back."),
    "syncs": LazyCommand("metering.cli.prices.price_syncs:syncs", "List the syncs, or show what one found."),
}


@click.group(cls=LazyGroup, lazy=_SYNC_COMMANDS)
def prices() -> None:
    """Show and import prices."""


prices.add_command(diff)
prices.add_command(discount)
prices.add_command(explain)
prices.add_command(history)
prices.add_command(import_)


@prices.command("list")
@click.option("--provider", help="Only this provider's.")
@click.option("--model", help="Only models whose name contains this.")
@click.option("--source", help="Only of this price list.")
@click.option("--at", type=INSTANT, help="The prices of then; of now when nothing is said.")
@known_at_option
@json_option
@click.pass_obj
def list_(
    invocation: Invocation,
    *,
    provider: str | None,
    model: str | None,
    source: str | None,
    at: int | None,
    known_at: int | None,
    as_json: bool,
) -> None:
    """List the prices in force. Tokens and characters: dollars for a million."""
    with open_session(invocation) as service:
        instant = service.clock() if at is None else at
        found = prices_at(service.engine, PriceQuery(provider, model, source, known_at), instant)
        names = account_names(service)
    if as_json:
        times = {"at": format_instant(instant), **known_at_json(known_at)}
        print_json({**times, "prices": [price_json(price, names) for price in found]})
    elif found:
        _print_prices(found)
    else:
        echo("no price is known that fits")


@prices.command()
@click.argument("model")
@click.option("--provider", help="Only at this provider.")
@json_option
@click.pass_obj
def show(invocation: Invocation, *, model: str, provider: str | None, as_json: bool) -> None:
    """Show every price that MODEL has had, and where each was read."""
    with open_session(invocation) as service:
        versions = price_history(service.engine, HistoryQuery(model, provider))
        names = account_names(service)
    found = [ListedRate(rate, version.table) for version in versions for rate in version.tiers]
    if as_json:
        print_json({"model": model, "prices": [price_json(price, names) for price in found]})
        return
    columns = [Column("provider", "name"), Column("route"), Column("from"), Column("prices", "name"), Column("source", "name")]
    print_table(
        columns,
        [
            [price.rate.provider, price.table.route or "any", since(price.table.effective_from)[:10], rate_in_words(price.rate),
             price.rate.source]
            for price in found
        ],
        title=sanitize(model),
    )  # fmt: skip


@prices.command()
@json_option
@click.pass_obj
def tables(invocation: Invocation, *, as_json: bool) -> None:
    """List the versions of all price lists, oldest first. A version never changes."""
    with open_session(invocation) as service:
        found = list_tables(service.engine)
        names = account_names(service)
    if as_json:
        print_json({"tables": [table_json(table, names) for table in found]})
        return
    columns = [Column("id", "count"), Column("list", "name"), Column("whose", "name"), Column("route", "name")]
    print_table(
        [*columns, Column("from"), Column("prices", "count"), Column("withdrawn", "count")],
        [
            [
                table.id,
                table.source,
                whose(table.layer, names.get(table.account_id or 0, "")),
                table.route or "any",
                since(table.effective_from)[:10],
                len(table.rates),
                len(table.withdrawn),
            ]
            for table in found
        ],
    )


@prices.command()
@click.option("--account", metavar="NAME", help="Only this account's usage.")
@json_option
@click.pass_obj
def unpriced(invocation: Invocation, *, account: str | None, as_json: bool) -> None:
    """List usage that could not be priced, and what is missing."""
    with open_session(invocation) as service:
        account_id = None if account is None else show_account(service.engine, account).id
        found = list_unpriced(service.engine, account_id)
    if as_json:
        print_json({"account": account, "unpriced": [_unpriced_json(usage) for usage in found]})
        return
    if not found:
        echo("everything has a price")
        return
    columns = [Column("provider", "name"), Column("model", "name"), Column("route", "name"), Column("missing", "name")]
    print_table(
        [*columns, Column("requests", "count"), Column("tokens", "count")],
        [[each.provider, each.model, each.route, each.why, each.events, each.tokens] for each in found],
    )
    warn("`metering prices import SHEET` gives what has no price one, and charges it")


def _print_prices(found: list[ListedRate]) -> None:
    columns = [Column("provider", "name"), Column("model", "name"), Column("route", "name")]
    amounts = [Column("input / 1M", "money"), Column("output / 1M", "money"), Column("other", "name")]
    rows: list[list[Cell]] = [
        [
            price.rate.provider,
            price.rate.model + which_rate(price.rate),
            price.table.route or "any",
            *(per_million(price.rate, kind) for kind in PER_MILLION_KINDS),
            rate_in_words(price.rate, without=PER_MILLION_KINDS),
        ]
        for price in found
    ]
    print_table([*columns, *amounts], rows)


def _unpriced_json(usage: UnpricedUsage) -> dict[str, Any]:
    return {
        "provider": usage.provider,
        "model": usage.model,
        "route": usage.route,
        "missing": usage.why,
        "events": usage.events,
        "tokens": usage.tokens,
        "first_time": format_instant(usage.first_time),
        "last_time": format_instant(usage.last_time),
    }
