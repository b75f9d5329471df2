"""``metering prices``: what requests cost, since when, and who says so."""

from pathlib import Path
from typing import Any

import click

from metering.cli.amounts import shown_pico
from metering.cli.arguments import INSTANT, json_option
from metering.cli.invocation import Invocation
from metering.cli.lazy_group import LazyCommand, LazyGroup
from metering.cli.output import Cell, Column, print_json, print_table, remark, say
from metering.cli.plain_text import plain
from metering.cli.price_words import price_in_words
from metering.cli.session import open_session
from metering.domain.errors import DomainError
from metering.domain.instants import format_instant
from metering.domain.statements import described, unit_of
from metering.operations.import_prices import import_prices
from metering.operations.list_unpriced import UnpricedUsage, list_unpriced
from metering.operations.manage_accounts import list_accounts, show_account
from metering.operations.open_service import Service
from metering.operations.show_prices import PriceQuery, PriceShown, list_tables, price_history, prices_at
from pricing.money import format_pico
from pricing.rates import Rate
from pricing.tables import PriceTable

_PER_MILLION = 1_000_000
_LAYERS = {"account": "one account's", "operator": "your own", "route": "the route's", "bundled": "bundled"}


class UnreadableSheetError(DomainError):
    """The price sheet can not be opened."""

    code = "unreadable_file"


# They load a client, which the others do without.
_SYNC_COMMANDS = {
    "sync": LazyCommand("metering.cli.price_syncs:sync", "Fetch the router's prices; record what changed."),
    "accept": LazyCommand("metering.cli.price_syncs:accept", "Record the prices that a sync held back."),
    "syncs": LazyCommand("metering.cli.price_syncs:syncs", "List the syncs, or show what one found."),
}


@click.group(cls=LazyGroup, lazy=_SYNC_COMMANDS)
def prices() -> None:
    """Show and import prices."""


@prices.command("list")
@click.option("--provider", help="Only this provider's.")
@click.option("--model", help="Only models whose name contains this.")
@click.option("--source", help="Only of this price list.")
@click.option("--at", type=INSTANT, help="The prices of then; of now when nothing is said.")
@json_option
@click.pass_obj
def list_(
    invocation: Invocation, *, provider: str | None, model: str | None, source: str | None, at: int | None, as_json: bool
) -> None:
    """List the prices in force. Tokens and characters: dollars for a million."""
    with open_session(invocation) as service:
        instant = service.clock() if at is None else at
        found = prices_at(service.engine, PriceQuery(provider, model, source), instant)
        names = _account_names(service)
    if as_json:
        print_json({"at": format_instant(instant), "prices": [_price_json(price, names) for price in found]})
    elif found:
        _print_prices(found)
    else:
        say("no price is known that fits")


@prices.command()
@click.argument("model")
@click.option("--provider", help="Only at this provider.")
@json_option
@click.pass_obj
def show(invocation: Invocation, *, model: str, provider: str | None, as_json: bool) -> None:
    """Show every price that MODEL has had, and where each was read."""
    with open_session(invocation) as service:
        found = price_history(service.engine, model, provider)
        names = _account_names(service)
    if as_json:
        print_json({"model": model, "prices": [_price_json(price, names) for price in found]})
        return
    columns = [Column("provider", "name"), Column("route"), Column("from"), Column("prices", "name"), Column("source", "name")]
    print_table(
        columns,
        [
            [price.rate.provider, price.table.route or "any", _short(price.table.effective_from), _words(price.rate),
             price.rate.source]
            for price in found
        ],
        title=plain(model),
    )  # fmt: skip


@prices.command()
@json_option
@click.pass_obj
def tables(invocation: Invocation, *, as_json: bool) -> None:
    """List the versions of all price lists, oldest first. A version never changes."""
    with open_session(invocation) as service:
        found = list_tables(service.engine)
        names = _account_names(service)
    if as_json:
        print_json({"tables": [_table_json(table, names) for table in found]})
        return
    columns = [Column("id", "count"), Column("list", "name"), Column("whose", "name"), Column("route", "name")]
    print_table(
        [*columns, Column("from"), Column("prices", "count"), Column("withdrawn", "count")],
        [
            [
                table.id,
                table.source,
                _whose(table, names),
                table.route or "any",
                _short(table.effective_from),
                len(table.rates),
                len(table.withdrawn),
            ]
            for table in found
        ],
    )


@prices.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--account", metavar="NAME", help="Prices of this account only.")
@json_option
@click.pass_obj
def import_(invocation: Invocation, *, file: Path, account: str | None, as_json: bool) -> None:
    """Import a price sheet (YAML): your own prices, which come before the bundled ones. All of it or nothing."""
    try:
        sheet = file.read_bytes()
    except OSError as error:
        raise UnreadableSheetError(f"{file}: {error.strerror or error}") from None
    with open_session(invocation, create=True) as service:
        ids = import_prices(service.engine, sheet, name=file.name, account=account, now=service.clock())
    if as_json:
        print_json({"file": str(file), "account": account, "tables_added": ids})
    elif ids:
        say(f"{len(ids):,} price tables from {plain(file.name)} were new; `metering rate` charges usage that waited for them")
    else:
        say(f"everything in {plain(file.name)} was known already")


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
        say("everything has a price")
        return
    columns = [Column("provider", "name"), Column("model", "name"), Column("route", "name"), Column("missing", "name")]
    print_table(
        [*columns, Column("requests", "count"), Column("tokens", "count")],
        [[each.provider, each.model, each.route, each.why, each.events, each.tokens] for each in found],
    )
    remark("`metering prices import SHEET` gives what has no price one; then `metering rate` charges it")


def _print_prices(found: list[PriceShown]) -> None:
    columns = [Column("provider", "name"), Column("model", "name"), Column("route", "name")]
    amounts = [Column("input / 1M", "money"), Column("output / 1M", "money"), Column("other", "name")]
    rows: list[list[Cell]] = [
        [
            price.rate.provider,
            price.rate.model + _which(price.rate),
            price.table.route or "any",
            _per_million(price.rate, "input_tokens"),
            _per_million(price.rate, "output_tokens"),
            _words(price.rate, without=("input_tokens", "output_tokens")),
        ]
        for price in found
    ]
    print_table([*columns, *amounts], rows)


def _which(rate: Rate) -> str:
    operation = f", {rate.operation}" if rate.operation else ""
    return operation + (f", from {rate.context_from:,} tokens" if rate.context_from else "")


def _per_million(rate: Rate, kind: str) -> str:
    price = rate.prices.get(kind)
    return "" if price is None or rate.measured else shown_pico(price.pico * _PER_MILLION // price.block)


def _words(rate: Rate, *, without: tuple[str, ...] = ()) -> str:
    """Return a rate's prices in words; what is covered by another price is left out."""
    return ", ".join(
        f"{_kind_in_words(kind)}{price_in_words(kind, price.pico, price.block)}"
        for kind, price in rate.prices.items()
        if kind not in without and (price.pico or not rate.measured)
    )


def _kind_in_words(kind: str) -> str:
    """Return a kind as it stands before its price; nothing where ``/ image`` says it already."""
    if kind.endswith("_tokens"):
        return f"{described(kind).removesuffix(' tokens')} "
    return f"{described(kind)} " if kind.endswith("_ms") or kind == "characters" else ""


def _whose(table: PriceTable, names: dict[int, str]) -> str:
    if table.account_id is not None:
        return names.get(table.account_id, "")
    return _LAYERS[table.layer.name.lower()]


def _short(instant: int) -> str:
    return format_instant(instant)[:10]


def _account_names(service: Service) -> dict[int, str]:
    return {row.id: row.name for row in list_accounts(service.engine)}


def _price_json(price: PriceShown, names: dict[int, str]) -> dict[str, Any]:
    rate = price.rate
    return {
        "rate_id": rate.id,
        "provider": rate.provider,
        "model": rate.model,
        "operation": rate.operation,
        "context_from": rate.context_from,
        "prices": {
            kind: {"price_usd": format_pico(each.pico), "per": each.block, "unit": unit_of(kind)}
            for kind, each in rate.prices.items()
        },
        "provenance": rate.source,
        "table_id": price.table.id,
        **_shared_json(price.table, names),
    }


def _table_json(table: PriceTable, names: dict[int, str]) -> dict[str, Any]:
    return {
        "id": table.id,
        "kind": str(table.kind),
        "recorded_at": format_instant(table.recorded_at),
        "rates": len(table.rates),
        "withdrawn": len(table.withdrawn),
        "digest": table.digest,
        **_shared_json(table, names),
    }


def _shared_json(table: PriceTable, names: dict[int, str]) -> dict[str, Any]:
    return {
        "source": table.source,
        "layer": table.layer.name.lower(),
        "route": table.route,
        "account": None if table.account_id is None else names.get(table.account_id),
        "effective_from": format_instant(table.effective_from),
    }


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
