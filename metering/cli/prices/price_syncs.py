"""``metering prices sync``, ``accept`` and ``syncs``: fetch the router's prices, and review what they change."""

import json
import time
from typing import Any, NoReturn

import click

from metering.answers.prices.price_syncs import (
    finished_price_sync_answer,
    price_sync_answer,
    price_sync_page,
    price_sync_preview_answer,
)
from metering.cli.arguments import json_option
from metering.cli.invocation import Invocation
from metering.cli.root import stop
from metering.cli.session import open_session
from metering.cli.terminal.counts import counted
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table, warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.charges.quoted_prices import format_price
from metering.domain.instants import format_instant
from metering.domain.prices.price_syncs import FAILED, PriceSync, SourceHealth
from metering.domain.statements.statements import described
from metering.operations.prices.accept_sync import accept_sync
from metering.operations.prices.list_syncs import list_syncs, show_sync
from metering.operations.prices.sync_prices import RouterSource, preview_sync, source_health, sync_prices
from metering.operations.service.open_service import Service
from metering.outbound.fetch import Clock, FetchLimits, open_fetch
from metering.outbound.fetch_results import FetchError
from pricing.errors import PricingError

LISTED = 20

_NOT_DONE = 1
_ID = click.IntRange(1, 2**63 - 1)


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what would change, and record nothing.")
@json_option
@click.pass_obj
def sync(invocation: Invocation, *, dry_run: bool, as_json: bool) -> None:
    """Fetch the router's prices and record changes.

    A sync that would change too much stays pending until `metering prices accept`. The exit code is 1 if a sync is pending or
    the fetch failed.
    """
    with (
        open_session(invocation, create=True) as service,
        open_fetch(FetchLimits(), Clock(time.sleep, time.monotonic)) as fetch,
    ):
        source = RouterSource(fetch, service.settings.sync, service.clock)
        if dry_run:
            _preview(service, source, as_json=as_json)
        done = sync_prices(service.engine, source)
        health = source_health(service.engine)
    if as_json:
        print_json(finished_price_sync_answer(done, health))
    else:
        _print_sync(done, health)
    stop(_NOT_DONE if done.outcome == FAILED or health.waiting is not None else 0)


@click.command()
@click.argument("sync_id", type=_ID)
@json_option
@click.pass_obj
def accept(invocation: Invocation, *, sync_id: int, as_json: bool) -> None:
    """Record the prices of pending sync SYNC_ID exactly as they were fetched, effective from when they were fetched."""
    with open_session(invocation) as service:
        accepted = accept_sync(service.engine, sync_id, now=service.clock())
    if as_json:
        print_json(price_sync_answer(accepted))
    else:
        echo(f"accepted sync {sync_id}: recorded its prices as table {accepted.table_id}; existing charges do not change")


@click.command()
@click.argument("sync_id", type=_ID, required=False)
@click.option(
    "--limit", default=LISTED, show_default=True, type=click.IntRange(1, 1_000), help="Number of syncs to list, newest first."
)
@json_option
@click.pass_obj
def syncs(invocation: Invocation, *, sync_id: int | None, limit: int, as_json: bool) -> None:
    """List price syncs, or show SYNC_ID with all its changes."""
    with open_session(invocation) as service:
        health = source_health(service.engine)
        if sync_id is not None:
            _show_sync(show_sync(service.engine, sync_id), health, as_json=as_json)
            return
        found = list_syncs(service.engine, limit=limit)
    if as_json:
        print_json(price_sync_page(found, health))
    elif found:
        _print_list(found)
        _print_health(health)
    else:
        echo("prices were never synced; `metering prices sync` fetches them")


def _show_sync(shown: PriceSync, health: SourceHealth, *, as_json: bool) -> None:
    if as_json:
        print_json(price_sync_answer(shown))
    else:
        _print_sync(shown, health)


def _preview(service: Service, source: RouterSource, *, as_json: bool) -> NoReturn:
    try:
        found = preview_sync(service.engine, source)
    except (FetchError, PricingError) as error:
        warn(f"error[{error.code}]: {sanitize(str(error))}")
        stop(_NOT_DONE)
    if as_json:
        print_json(price_sync_preview_answer(found))
    else:
        if found.changes:
            _print_changes(found.changes)
        echo(f"{counted(len(found.changes), 'price')} would change" if found.changes else "no prices would change")
        for reason in found.reasons:
            echo(f"the sync would be pending: {sanitize(reason['message'])}")
    stop(_NOT_DONE if found.reasons else 0)


def _print_sync(shown: PriceSync, health: SourceHealth) -> None:
    if shown.outcome == FAILED:
        echo(f"sync {shown.id} failed: {sanitize(shown.error_message)}; keeping current prices")
        return
    changes = json.loads(shown.changes)
    if changes:
        _print_changes(changes)
    prices = counted(len(changes), "price")
    outcome = {
        "recorded": f"{prices} changed; recorded as table {shown.table_id}",
        "accepted": f"accepted sync {shown.decides}: {prices} changed; recorded as table {shown.table_id}",
        "unchanged": "no prices changed",
        "superseded": f"a newer fetch superseded sync {shown.decides} before it was accepted",
        "held": f"{shown.decision or 'pending'}, because {prices} would change",
    }[shown.outcome]
    echo(f"sync {shown.id}: {outcome}")
    for reason in json.loads(shown.reasons):
        echo(f"reason: {sanitize(reason['message'])}")
    if health.waiting is not None:
        warn(
            f"sync {health.waiting} is pending: review it with `metering prices syncs {health.waiting}`, record it with"
            f" `metering prices accept {health.waiting}`"
        )


def _print_changes(changes: list[dict[str, Any]]) -> None:
    columns = [Column("provider", "name"), Column("model", "name"), Column("quantity", "name"), Column("change")]
    rows: list[list[Cell]] = [
        [
            change["provider"],
            change["model"] + (f", from {change['context_from']:,} tokens" if change["context_from"] else ""),
            described(change["quantity"]),
            change["change"],
            _price(change["quantity"], change["before"]),
            _price(change["quantity"], change["after"]),
        ]
        for change in changes
    ]
    print_table([*columns, Column("before", "name"), Column("after", "name")], rows)


def _print_list(found: list[PriceSync]) -> None:
    columns = [Column("id", "count"), Column("time"), Column("outcome", "name"), Column("changes", "count")]
    print_table(
        [*columns, Column("table"), Column("note", "name")],
        [
            [
                each.id,
                f"{format_instant(each.finished_at)[:19]}Z",
                each.outcome + (f", {each.decision} by {each.decided_by}" if each.decision else ""),
                len(json.loads(each.changes)),
                "" if each.table_id is None else str(each.table_id),
                _note(each),
            ]
            for each in found
        ],
    )


def _print_health(health: SourceHealth) -> None:
    if health.consecutive_failures:
        warn(f"{counted(health.consecutive_failures, 'failure')} since the last success: {sanitize(health.last_error)}")
    if health.waiting is not None:
        warn(f"sync {health.waiting} is pending: `metering prices accept {health.waiting}` records it")


def _note(shown: PriceSync) -> str:
    if shown.decides is not None:
        return f"decides {shown.decides}"
    return shown.error_message or "; ".join(reason["message"] for reason in json.loads(shown.reasons))


def _price(quantity: str, price: list[int] | None) -> str:
    if price is None:
        return ""
    pico, block = price
    return format_price(quantity, pico, block) if pico else "free"
