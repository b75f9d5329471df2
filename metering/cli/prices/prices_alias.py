"""``metering prices alias``: model names of one's own."""

import click
from msgspec import Struct

from metering.answers.prices.model_aliases import added_alias_answer, model_alias_answer, model_alias_page
from metering.cli.arguments import INSTANT, collected, json_option
from metering.cli.invocation import Invocation
from metering.cli.prices.price_text import since
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted, were
from metering.cli.terminal.output import Column, echo, print_json, print_table, warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.prices.model_aliases import AliasChange, ModelAlias
from metering.operations.prices.manage_aliases import add_alias, list_aliases, remove_alias
from pricing.dollars import display_nano
from pricing.own_names import OwnName


class _NewAlias(Struct, frozen=True, kw_only=True):
    """What ``alias add`` was called with."""

    name: str
    model: str
    provider: str
    valid_from: int | None
    valid_until: int | None
    rate: bool
    as_json: bool


@click.group()
def alias() -> None:
    """Model names of your own: what a provider's name means."""


@alias.command()
@click.argument("name")
@click.argument("model")
@click.option("--provider", required=True, help="The provider that uses the name.")
@click.option("--from", "--effective-from", "valid_from", type=INSTANT, help="For requests from then on. Default: always.")
@click.option("--until", "valid_until", type=INSTANT, help="For requests before then. Default: no end.")
@click.option("--rate/--no-rate", default=True, show_default=True, help="Charge usage that was unpriced.")
@json_option
@click.pass_obj
@collected(_NewAlias)
def add(invocation: Invocation, options: _NewAlias) -> None:
    """Say that NAME at a provider means MODEL, the name that price lists use.

    It comes before everything that price lists and bundled names know, for requests that start in the period. Letter case does
    not matter. Existing charges never change: `metering rerate` re-rates them. Repeating the command adds nothing.

    \b
    metering prices alias add accounts/acme/models/our-llama meta-llama/Llama-3.3-70B-Instruct --provider fireworks-ai
    """
    wanted = OwnName(
        provider=options.provider,
        name=options.name,
        model=options.model,
        valid_from=options.valid_from or 0,
        valid_until=options.valid_until,
    )
    with open_session(invocation, create=True) as service:
        change = add_alias(service.engine, wanted, rate=options.rate, now=service.clock())
    if options.as_json:
        print_json(added_alias_answer(change))
    else:
        _print_added(change)


@alias.command("list")
@click.option("--all", "with_removed", is_flag=True, help="Removed ones, too.")
@json_option
@click.pass_obj
def list_(invocation: Invocation, *, with_removed: bool, as_json: bool) -> None:
    """List the model names of your own, in the order they were added."""
    with open_session(invocation) as service:
        found = list_aliases(service.engine, with_removed=with_removed)
    if as_json:
        print_json(model_alias_page(found))
        return
    if not found:
        echo("there are no aliases; `metering prices alias add` adds one")
        return
    columns = [Column("id", "count"), Column("provider", "name"), Column("name", "name"), Column("model", "name")]
    columns += [Column("from"), Column("until"), Column("added")]
    columns += [Column("removed")] if with_removed else []
    print_table(columns, [_row(each, with_removed=with_removed) for each in found])


@alias.command()
@click.argument("alias_id", metavar="ID", type=click.IntRange(1, 2**63 - 1))
@json_option
@click.pass_obj
def remove(invocation: Invocation, *, alias_id: int, as_json: bool) -> None:
    """Remove alias ID: prices are looked up without it from now on. Existing charges never change."""
    with open_session(invocation) as service:
        change = remove_alias(service.engine, alias_id, now=service.clock())
    if as_json:
        print_json(model_alias_answer(change.alias))
        return
    what = f"alias {alias_id} ({sanitize(change.alias.own_name.name)})"
    echo(f"{what} removed" if change.is_new else f"{what} was removed before, on {since(change.alias.removed_at or 0)[:10]}")


def _print_added(change: AliasChange) -> None:
    own = change.alias.own_name
    period = f" from {since(own.valid_from)}" if own.valid_from else ""
    period += "" if own.valid_until is None else f" until {since(own.valid_until)}"
    meaning = f"{sanitize(own.name)} at {sanitize(own.provider)} is {sanitize(own.model)}{period}"
    echo(f"alias {own.id}: {meaning}" if change.is_new else f"alias {own.id} was there already: {meaning}")
    if not change.has_price:
        warn(f"no price list has {sanitize(own.model)} at {sanitize(own.provider)}; see `metering prices list`")
    if change.charged_events is None:
        echo("run `metering rate` to charge usage that was unpriced")
    elif change.charged_events:
        events = counted(change.charged_events, "unpriced request")
        echo(f"{events} {were(change.charged_events)} charged: ${display_nano(change.charged_nano or 0)}")


def _row(alias: ModelAlias, *, with_removed: bool) -> list[str | int]:
    own = alias.own_name
    row: list[str | int] = [
        own.id,
        own.provider,
        own.name,
        own.model,
        since(own.valid_from) if own.valid_from else "always",
        "" if own.valid_until is None else since(own.valid_until),
        since(alias.created_at)[:10],
    ]
    return [*row, "" if alias.removed_at is None else since(alias.removed_at)[:10]] if with_removed else row
