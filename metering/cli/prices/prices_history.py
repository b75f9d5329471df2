"""``metering prices history``: what each list said of a model, and from when until when."""

from typing import Any

import click

from metering.cli.arguments import collected, json_option, known_at_option
from metering.cli.invocation import Invocation
from metering.cli.prices.price_json import Names, account_names, known_at_json, shared_json, tiers_json
from metering.cli.prices.price_text import PER_MILLION_KINDS, per_million, rate_in_words, since, tier_in_words, whose
from metering.cli.session import open_session
from metering.cli.terminal.output import Cell, Column, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.domain.instants import format_instant
from metering.domain.usage.model_names import provider_name
from metering.operations.prices.show_prices import HistoryQuery, price_history
from pricing.history import PriceVersion
from pricing.rates import Rate


class HistoryOptions(HistoryQuery, frozen=True, kw_only=True):
    """What is asked, and how it is shown."""

    as_json: bool


@click.command()
@click.argument("model")
@click.option("--provider", help="Only at this provider.")
@click.option("--source", help="Only of this price list.")
@known_at_option
@json_option
@click.pass_obj
@collected(HistoryOptions)
def history(invocation: Invocation, asked: HistoryOptions) -> None:
    """Show what each price list said of MODEL, and from when until when.

    MODEL may be a provider's own name for it, in any case. A version that was recorded later for the same instant corrects the
    earlier one, which then never held.
    """
    provider = None if asked.provider is None else provider_name(asked.provider)
    query = HistoryQuery(asked.model, provider, asked.source, asked.known_at)
    with open_session(invocation) as service:
        found = price_history(service.engine, query)
        names = account_names(service)
    if asked.as_json:
        versions = [_version_json(version, names) for version in found]
        print_json({"model": asked.model, **known_at_json(asked.known_at), "versions": versions})
        return
    columns = [Column("version", "count"), Column("provider", "name"), Column("list", "name")]
    amounts = [Column("input / 1M", "money"), Column("output / 1M", "money"), Column("other", "name")]
    print_table(
        [*columns, Column("from", "time"), Column("until", "time"), *amounts],
        [row for version in found for row in _rows(version, asked.model, names)],
        title=sanitize(asked.model),
    )


def _rows(version: PriceVersion, asked: str, names: Names) -> list[list[Cell]]:
    """Return a row for each context tier; a withdrawal is one."""
    table = version.table
    place: list[Cell] = [
        table.id,
        version.key[0],
        f"{table.source}, {whose(table.layer, names.get(table.account_id or 0, ''))}, {table.route or 'any route'}",
        since(table.effective_from),
        "corrected" if version.corrected else "" if version.until is None else since(version.until),
    ]
    told = version.key[2]
    if version.key[1] != asked:
        told = f"{version.key[1]}{', ' if told else ''}{told}"
    told = f"{told}: " if told else ""
    if not version.tiers:
        return [[*place, "", "", f"{told}no price"]]
    return [[*place, *(per_million(rate, kind) for kind in PER_MILLION_KINDS), _other(told, rate)] for rate in version.tiers]


def _other(told: str, rate: Rate) -> str:
    rest = f"{told}{tier_in_words(rate)}{rate_in_words(rate, without=PER_MILLION_KINDS)}"
    return rest.removesuffix(": ")


def _version_json(version: PriceVersion, names: Names) -> dict[str, Any]:
    provider, model, operation = version.key
    table = version.table
    return {
        "provider": provider,
        "model": model,
        "operation": operation,
        "table_id": table.id,
        "kind": str(table.kind),
        "recorded_at": format_instant(table.recorded_at),
        **shared_json(table, names),
        "until": None if version.until is None else format_instant(version.until),
        "corrected": version.corrected,
        "confirmed": version.confirmed,
        "tiers": tiers_json(version.tiers),
    }
