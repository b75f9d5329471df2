"""``metering prices history``: each price list's prices of a model over time."""

import click

from metering.answers.prices.price_history import price_history_page
from metering.cli.arguments import collected, json_option, known_at_option
from metering.cli.invocation import Invocation
from metering.cli.prices.price_text import PER_MILLION_KINDS, owner, per_million, rate_in_words, since, tier_in_words
from metering.cli.session import open_session
from metering.cli.terminal.output import Cell, Column, print_json, print_table
from metering.cli.terminal.sanitize import sanitize
from metering.operations.accounts.manage_accounts import account_names
from metering.operations.prices.show_prices import HistoryQuery, price_history
from pricing.history import PriceVersion
from pricing.rates import Rate


class HistoryOptions(HistoryQuery, frozen=True, kw_only=True):
    """The options of the command."""

    as_json: bool


@click.command()
@click.argument("model")
@click.option("--provider", help="Only prices of this provider.")
@click.option("--source", help="Only prices of this price list.")
@known_at_option
@json_option
@click.pass_obj
@collected(HistoryOptions)
def history(invocation: Invocation, options: HistoryOptions) -> None:
    """Show the prices of MODEL in each price list, and when they were in force.

    MODEL can also be a provider's own name for it, in any case. A version that was recorded later for the same instant corrects
    the earlier one, which then was never in force.
    """
    query = HistoryQuery(options.model, options.provider, options.source, options.known_at)
    with open_session(invocation) as service:
        found = price_history(service.engine, query)
        names = account_names(service.engine, {version.table.account_id for version in found})
    if options.as_json:
        print_json(price_history_page(options.model, found, names, known_at=options.known_at))
        return
    columns = [Column("version", "count"), Column("provider", "name"), Column("list", "name")]
    amounts = [Column("input / 1M", "money"), Column("output / 1M", "money"), Column("other", "name")]
    print_table(
        [*columns, Column("from", "time"), Column("until", "time"), *amounts],
        [row for version in found for row in _rows(version, options.model, names)],
        title=sanitize(options.model),
    )


def _rows(version: PriceVersion, model: str, names: dict[int, str]) -> list[list[Cell]]:
    """Return a row for each context tier, or one row for a withdrawal."""
    table = version.table
    cells: list[Cell] = [
        table.id,
        version.key[0],
        f"{table.source}, {owner(table.layer, names.get(table.account_id or 0, ''))}, {table.route or 'any route'}",
        since(table.effective_from),
        "corrected" if version.corrected else "" if version.until is None else since(version.until),
    ]
    _, listed_as, operation = version.key
    label = ", ".join(part for part in ("" if listed_as == model else listed_as, operation) if part)
    label = f"{label}: " if label else ""
    if not version.tiers:
        return [[*cells, "", "", f"{label}no price"]]
    return [[*cells, *(per_million(rate, kind) for kind in PER_MILLION_KINDS), _other(label, rate)] for rate in version.tiers]


def _other(label: str, rate: Rate) -> str:
    other = f"{label}{tier_in_words(rate)}{rate_in_words(rate, without=PER_MILLION_KINDS)}"
    return other.removesuffix(": ")
