"""``metering prices sync``, ``accept`` and ``syncs``: what the router says that requests cost, and what came of asking."""

import json
import time
from typing import Any, NoReturn

import click

from metering.cli.arguments import json_option
from metering.cli.invocation import Invocation
from metering.cli.root import stop
from metering.cli.session import open_session
from metering.cli.terminal.output import Cell, Column, echo, print_json, print_table, warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.charges.quoted_prices import format_price
from metering.domain.instants import format_instant
from metering.domain.statements.statements import described, unit_of
from metering.operations.prices.accept_sync import accept_sync
from metering.operations.prices.list_syncs import list_syncs, show_sync
from metering.operations.prices.sync_prices import RouterSource, preview_sync, source_health, sync_prices
from metering.operations.service.open_service import Service
from metering.outbound.fetch import Clock, FetchLimits, open_fetch
from metering.outbound.fetch_results import FetchError
from metering.storage.prices.price_syncs import FAILED, SourceHealth, SyncRow
from pricing.dollars import format_pico
from pricing.errors import PricingError

LISTED = 20

_NOT_DONE = 1
_ID = click.IntRange(1, 2**63 - 1)


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what would change; record nothing.")
@json_option
@click.pass_obj
def sync(invocation: Invocation, *, dry_run: bool, as_json: bool) -> None:
    """Fetch the router's prices; record what changed.

    A sync that would change too much is held until `metering prices accept`. The exit code is 1 where prices wait or the router
    could not be asked.
    """
    with (
        open_session(invocation, create=True) as service,
        open_fetch(FetchLimits(), Clock(time.sleep, time.monotonic)) as fetch,
    ):
        source = RouterSource(fetch, service.settings.sync, service.clock)
        if dry_run:
            _preview(service, source, as_json=as_json)
        row = sync_prices(service.engine, source)
        health = source_health(service.engine)
    if as_json:
        print_json({"sync": _sync_json(row), "health": _health_json(health)})
    else:
        _print_sync(row, health)
    stop(_NOT_DONE if row.outcome == FAILED or health.waiting is not None else 0)


@click.command()
@click.argument("sync_id", type=_ID)
@json_option
@click.pass_obj
def accept(invocation: Invocation, *, sync_id: int, as_json: bool) -> None:
    """Record the prices that a sync held back, as they were fetched and from then on."""
    with open_session(invocation) as service:
        row = accept_sync(service.engine, sync_id, now=service.clock())
    if as_json:
        print_json({"sync": _sync_json(row)})
    else:
        echo(f"what sync {sync_id} held is recorded as table {row.table_id}; what is charged already stays as it is")


@click.command()
@click.argument("sync_id", type=_ID, required=False)
@click.option("--limit", default=LISTED, show_default=True, type=click.IntRange(1, 1_000), help="How many, the newest first.")
@json_option
@click.pass_obj
def syncs(invocation: Invocation, *, sync_id: int | None, limit: int, as_json: bool) -> None:
    """List the syncs, or show what one found: SYNC_ID with everything that it changes."""
    with open_session(invocation) as service:
        health = source_health(service.engine)
        rows = list_syncs(service.engine, limit=limit) if sync_id is None else [show_sync(service.engine, sync_id)]
    if as_json:
        print_json({"health": _health_json(health), "syncs": [_sync_json(row) for row in rows]})
    elif sync_id is not None:
        _print_sync(rows[0], health)
    elif rows:
        _print_list(rows)
        _print_health(health)
    else:
        echo("the router was never asked; `metering prices sync` does")


def _preview(service: Service, source: RouterSource, *, as_json: bool) -> NoReturn:
    try:
        found = preview_sync(service.engine, source)
    except (FetchError, PricingError) as error:
        warn(f"error[{error.code}]: {sanitize(str(error))}")
        stop(_NOT_DONE)
    if as_json:
        print_json({"dry_run": True, "reasons": found.reasons, "changes": _changes_json(found.changes)})
    else:
        if found.changes:
            _print_changes(found.changes)
        echo(f"{_counted(found.changes)} would change" if found.changes else "nothing would change")
        for reason in found.reasons:
            echo(f"it would be held: {sanitize(reason['message'])}")
    stop(_NOT_DONE if found.reasons else 0)


def _print_sync(row: SyncRow, health: SourceHealth) -> None:
    if row.outcome == FAILED:
        echo(f"sync {row.id} failed: {sanitize(row.error_message)}; prices stay what they are")
        return
    changes = json.loads(row.changes)
    if changes:
        _print_changes(changes)
    told = {
        "recorded": f"{_counted(changes)} changed; recorded as table {row.table_id}",
        "accepted": f"{_counted(changes)} changed; recorded as table {row.table_id}, as sync {row.decides} held them",
        "unchanged": "nothing changed",
        "superseded": f"a newer answer came before sync {row.decides} was accepted",
        "held": f"held, as {_counted(changes)} would change" + (f"; {row.decision} by now" if row.decision else ""),
    }
    echo(f"sync {row.id}: {told[row.outcome]}")
    for reason in json.loads(row.reasons):
        echo(f"because {sanitize(reason['message'])}")
    if health.waiting is not None:
        warn(
            f"sync {health.waiting} waits: `metering prices syncs {health.waiting}` shows it, `metering prices accept"
            f" {health.waiting}` records it"
        )


def _print_changes(changes: list[dict[str, Any]]) -> None:
    columns = [Column("provider", "name"), Column("model", "name"), Column("quantity", "name"), Column("change")]
    rows: list[list[Cell]] = [
        [
            change["provider"],
            change["model"] + (f", from {change['context_from']:,} tokens" if change["context_from"] else ""),
            described(change["quantity"]),
            change["change"],
            _words(change["quantity"], change["before"]),
            _words(change["quantity"], change["after"]),
        ]
        for change in changes
    ]
    print_table([*columns, Column("before", "name"), Column("after", "name")], rows)


def _print_list(rows: list[SyncRow]) -> None:
    columns = [Column("id", "count"), Column("time"), Column("outcome", "name"), Column("changes", "count")]
    print_table(
        [*columns, Column("table"), Column("remark", "name")],
        [
            [
                row.id,
                f"{format_instant(row.finished_at)[:19]}Z",
                row.outcome + (f", {row.decision} by {row.decided_by}" if row.decision else ""),
                len(json.loads(row.changes)),
                "" if row.table_id is None else str(row.table_id),
                _remark(row),
            ]
            for row in rows
        ],
    )


def _print_health(health: SourceHealth) -> None:
    if health.consecutive_failures:
        warn(f"{health.consecutive_failures:,} failed since the last answer: {sanitize(health.last_error)}")
    if health.waiting is not None:
        warn(f"sync {health.waiting} waits for `metering prices accept {health.waiting}`")


def _counted(changes: list[dict[str, Any]]) -> str:
    return "1 price" if len(changes) == 1 else f"{len(changes):,} prices"


def _remark(row: SyncRow) -> str:
    if row.decides is not None:
        return f"decides {row.decides}"
    return row.error_message or "; ".join(reason["message"] for reason in json.loads(row.reasons))


def _words(quantity: str, price: list[int] | None) -> str:
    if price is None:
        return ""
    pico, block = price
    return format_price(quantity, pico, block) if pico else "free"


def _sync_json(row: SyncRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "source": row.source,
        "outcome": row.outcome,
        "started_at": format_instant(row.started_at),
        "finished_at": format_instant(row.finished_at),
        "table_id": row.table_id,
        "decides": row.decides,
        "decided_by": row.decided_by,
        "decision": row.decision,
        "digest": row.digest,
        "reasons": json.loads(row.reasons),
        "changes": _changes_json(json.loads(row.changes)),
        "error_code": row.error_code,
        "error_message": row.error_message,
    }


def _health_json(health: SourceHealth) -> dict[str, Any]:
    return {
        "last_attempt_at": _instant(health.last_attempt_at),
        "last_success_at": _instant(health.last_success_at),
        "last_failure_at": _instant(health.last_failure_at),
        "consecutive_failures": health.consecutive_failures,
        "last_error": health.last_error,
        "waiting": health.waiting,
    }


def _changes_json(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        change | {side: _price_json(change["quantity"], change[side]) for side in ("before", "after")} for change in changes
    ]


def _price_json(quantity: str, price: list[int] | None) -> dict[str, Any] | None:
    if price is None:
        return None
    return {"price_usd": format_pico(price[0]), "per": price[1], "unit": unit_of(quantity)}


def _instant(micros: int | None) -> str | None:
    return None if micros is None else format_instant(micros)
