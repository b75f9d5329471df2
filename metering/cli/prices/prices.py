"""``metering prices``: what requests cost, since when, and where the prices come from."""

import click

from metering.answers.prices.price_history import price_history_page
from metering.answers.prices.price_tables import price_table_page
from metering.answers.prices.rates import listed_rate_page
from metering.answers.prices.unpriced_usage import unpriced_usage_page
from metering.cli.arguments import INSTANT, json_option, known_at_option
from metering.cli.invocation import Invocation
from metering.cli.lazy_group import LazyCommand, LazyGroup
from metering.cli.prices.price_text import PER_MILLION_KINDS, owner, per_million, rate_in_words, since, which_rate
from metering.cli.prices.prices_alias import alias
from metering.cli.prices.prices_diff import diff
from metering.cli.prices.prices_discount import discount
from metering.cli.prices.prices_explain import explain
from metering.cli.prices.prices_history import history
from metering.cli.prices.prices_import import import_
from metering.cli.prices.unlisted_names import warn_unlisted_names
from metering.cli.session import open_session
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table, warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.prices.listed_rates import ListedRate
from metering.operations.accounts.manage_accounts import account_names, show_account
from metering.operations.charges.list_unpriced import list_unpriced
from metering.operations.prices.show_prices import HistoryQuery, PriceQuery, list_tables, price_history, prices_at

# Loaded on demand, because they import the HTTP client.
_SYNC_COMMANDS = {
    "sync": LazyCommand("metering.cli.prices.price_syncs:sync", "Fetch the router's prices and record changes."),
    "accept": LazyCommand("metering.cli.prices.price_syncs:accept", "Record the prices of a pending sync."),
    "syncs": LazyCommand("metering.cli.prices.price_syncs:syncs", "List price syncs, or show the changes of one."),
}


@click.group(cls=LazyGroup, lazy=_SYNC_COMMANDS)
def prices() -> None:
    """Show and import prices."""


prices.add_command(alias)
prices.add_command(diff)
prices.add_command(discount)
prices.add_command(explain)
prices.add_command(history)
prices.add_command(import_)


@prices.command("list")
@click.option("--provider", help="Only prices of this provider.")
@click.option("--model", help="Only models whose name contains this text.")
@click.option("--source", help="Only prices of this price list.")
@click.option("--at", type=INSTANT, help="The prices in force at this instant. Default: now.")
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
    """List the prices in force. Prices of tokens and characters are dollars per million."""
    with open_session(invocation) as service:
        instant = service.clock() if at is None else at
        found = prices_at(service.engine, PriceQuery(provider, model, source, known_at), instant)
        names = account_names(service.engine, {price.table.account_id for price in found})
        if not found:
            warn_unlisted_names(service, provider, source)
    if as_json:
        print_json(listed_rate_page(found, names, at=instant, known_at=known_at))
    elif found:
        _print_prices(found)
    else:
        echo("no prices match")


@prices.command()
@click.argument("model")
@click.option("--provider", help="Only prices of this provider.")
@json_option
@click.pass_obj
def show(invocation: Invocation, *, model: str, provider: str | None, as_json: bool) -> None:
    """Show every price that MODEL has had, and where it was read."""
    with open_session(invocation) as service:
        versions = price_history(service.engine, HistoryQuery(model, provider))
        names = account_names(service.engine, {version.table.account_id for version in versions})
    if as_json:
        print_json(price_history_page(model, versions, names))
        return
    columns = [Column("provider", "name"), Column("route"), Column("from"), Column("prices", "name")]
    print_table(
        [*columns, Column("read from", "name")],
        [
            [rate.provider, version.table.route or "any", since(version.table.effective_from)[:10], rate_in_words(rate),
             rate.source]
            for version in versions
            for rate in version.tiers
        ],
        title=sanitize(model),
    )  # fmt: skip


@prices.command()
@json_option
@click.pass_obj
def tables(invocation: Invocation, *, as_json: bool) -> None:
    """List all versions of all price lists, oldest first. A version never changes."""
    with open_session(invocation) as service:
        found = list_tables(service.engine)
        names = account_names(service.engine, {table.account_id for table in found})
    if as_json:
        print_json(price_table_page(found, names))
        return
    columns = [Column("id", "count"), Column("list", "name"), Column("layer", "name"), Column("route", "name")]
    print_table(
        [*columns, Column("from"), Column("prices", "count"), Column("withdrawn", "count")],
        [
            [
                table.id,
                table.source,
                owner(table.layer, names.get(table.account_id or 0, "")),
                table.route or "any",
                since(table.effective_from)[:10],
                len(table.rates),
                len(table.withdrawn),
            ]
            for table in found
        ],
    )


@prices.command()
@click.option("--account", metavar="NAME", help="Only usage of this account.")
@json_option
@click.pass_obj
def unpriced(invocation: Invocation, *, account: str | None, as_json: bool) -> None:
    """List usage that is not priced yet, and why."""
    with open_session(invocation) as service:
        account_id = None if account is None else show_account(service.engine, account).id
        found = list_unpriced(service.engine, account_id)
    if as_json:
        print_json(unpriced_usage_page(account, found))
        return
    if not found:
        echo("all usage is priced")
        return
    columns = [Column("provider", "name"), Column("model", "name"), Column("route", "name"), Column("missing", "name")]
    columns += [Column("requests", "count"), Column("tokens", "count")]
    rows: list[list[Cell]] = [[each.provider, each.model, each.route, each.why, each.events, each.tokens] for each in found]
    if any(each.possible is not None for each in found):
        columns.append(Column("possible cost", "name"))
        rows = [[*row, "" if each.possible is None else str(each.possible)] for row, each in zip(rows, found, strict=True)]
    print_table(columns, rows)
    for why in dict.fromkeys(each.why for each in found):
        remedy = next(each.remedy for each in found if each.why == why)
        if remedy:
            warn(f"{why}: {remedy}")
    if any(each.why == "no rate" for each in found):
        warn("no rate, but a list has the model under another name: metering prices alias add NAME MODEL --provider PROVIDER")


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
