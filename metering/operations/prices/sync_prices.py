"""Ask the router for its prices, and record a new version only where something changed.

What is written is written in one transaction: the version, the row that says what came of it, the alert. An answer that would
change too much is held with its reasons and changes nothing until somebody accepts it; a newer answer supersedes it. A source
that fails changes nothing either, and the row says so.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine

from metering.domain.errors import DomainError
from metering.operations.prices.current_prices import CurrentPrices, current_prices
from metering.operations.prices.pending_table import read_table, write_table
from metering.operations.prices.record_version import record_version
from metering.operations.prices.sync_settings import SyncSettings
from metering.operations.steps.change_data import changes_as_data, reasons_as_data
from metering.outbound.fetch_results import Fetch, NotModified
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.prices import price_syncs as stored
from metering.storage.prices.price_syncs import NewSync, SourceHealth, SyncRow
from pricing.changes import PriceKey, compare_prices, prices_of
from pricing.errors import PricingError
from pricing.guards import GuardLimits, count_models, reasons_to_hold
from pricing.rates import Price
from pricing.sources.hf_router import ROUTE, SOURCE, parse_models
from pricing.tables import PriceTable

LONGEST_ERROR = 1_000


class RouterSource(NamedTuple):
    """How the router is asked, and by which clock (microseconds UTC)."""

    fetch: Fetch
    settings: SyncSettings
    clock: Callable[[], int]


class SyncDiff(NamedTuple):
    """What an answer changes, and why it would be held, as ``change_data`` writes them."""

    changes: list[dict[str, Any]]
    reasons: list[dict[str, str]]


class _Known(NamedTuple):
    """What is known before the source is asked: its validator, its newest answer, the prices in force."""

    etag: str
    newest: int
    current: CurrentPrices


class _SourceAnswer(NamedTuple):
    """What the source answered; ``table`` is None where it says that nothing changed."""

    started_at: int
    finished_at: int
    etag: str
    digest: str
    table: PriceTable | None


def sync_prices(engine: Engine, source: RouterSource) -> SyncRow:
    """Fetch the router's prices and record what came of it; return the row. A source that fails raises nothing."""
    started = source.clock()
    with read_snapshot(engine) as connection:
        known = _known(connection, started)
    try:
        answer = _ask(source, known, started)
    except (DomainError, PricingError) as error:
        finished = max(started, source.clock())
        failure = NewSync(
            SOURCE, started, finished, stored.FAILED, error_code=error.code, error_message=str(error)[:LONGEST_ERROR]
        )
        with exclusive_write(engine) as connection:
            return stored.insert_sync(connection, failure)
    with exclusive_write(engine) as connection:
        return _settle(connection, answer, known, source)


def preview_sync(engine: Engine, source: RouterSource) -> SyncDiff:
    """Fetch the router's prices and return what a sync would find now; nothing is written.

    Raises FetchError and pricing's errors for a source that fails.
    """
    started = source.clock()
    with read_snapshot(engine) as connection:
        known = _known(connection, started)
    answer = _ask(source, known._replace(etag=""), started)
    return SyncDiff([], []) if answer.table is None else _found(known.current.prices, answer.table, source.settings)


def source_health(engine: Engine) -> SourceHealth:
    """Return how the router does."""
    with read_snapshot(engine) as connection:
        return stored.source_health(connection, SOURCE)


def _known(connection: Connection, now: int) -> _Known:
    newest = stored.newest_success(connection, SOURCE)
    # While an answer is held the whole document is asked for: the source may have gone back to the one before.
    waits = stored.pending_sync(connection, SOURCE) is not None
    etag = "" if newest is None or waits else newest.etag
    return _Known(etag, 0 if newest is None else newest.id, current_prices(connection, SOURCE, ROUTE, now))


def _ask(source: RouterSource, known: _Known, started: int) -> _SourceAnswer:
    address = f"{source.settings.router_url}/models"
    answer = source.fetch(address, known.etag)
    finished = max(started, source.clock())
    if isinstance(answer, NotModified):
        return _SourceAnswer(started, finished, answer.etag, "", None)
    report = parse_models(answer.body, effective_from=finished, listed_before=known.current.listed_before, name=address)
    (table,) = report.tables
    return _SourceAnswer(started, finished, answer.etag, hashlib.sha256(answer.body).hexdigest(), table)


def _settle(connection: Connection, answer: _SourceAnswer, known: _Known, source: RouterSource) -> SyncRow:
    """Decide under the write lock what an answer comes to, against what is recorded by now."""
    row = NewSync(SOURCE, answer.started_at, answer.finished_at, stored.UNCHANGED, answer.etag, answer.digest)
    newest = stored.newest_success(connection, SOURCE)
    if newest is not None and newest.id > known.newest and newest.finished_at > answer.finished_at:
        # Another sync ran at the same time and got a later answer, which is what holds.
        return stored.insert_sync(connection, row)
    if answer.table is None:
        return stored.insert_sync(connection, row)
    current = current_prices(connection, SOURCE, ROUTE, answer.finished_at).prices
    found = _found(current, answer.table, source.settings)
    waiting = stored.pending_sync(connection, SOURCE)
    if waiting is not None and found.changes and _same_prices(read_table(waiting.held), answer.table):
        # The held answer again: it waits since it was first seen.
        return stored.insert_sync(connection, row)
    written = _write(connection, row, found, answer.table, now=max(answer.finished_at, source.clock()))
    if waiting is not None:
        decision = NewSync(SOURCE, row.finished_at, row.finished_at, stored.SUPERSEDED, decides=waiting.id)
        stored.insert_sync(connection, decision)
    return written


def _write(connection: Connection, row: NewSync, found: SyncDiff, table: PriceTable, *, now: int) -> SyncRow:
    if not found.changes:
        return stored.insert_sync(connection, row)
    row = row._replace(changes=json.dumps(found.changes), reasons=json.dumps(found.reasons))
    if found.reasons:
        return stored.insert_sync(connection, row._replace(outcome=stored.HELD, held=write_table(table)))
    table_id = record_version(connection, table, found.changes, now=now)
    return stored.insert_sync(connection, row._replace(outcome=stored.RECORDED, table_id=table_id))


def _found(current: Mapping[PriceKey, Price], table: PriceTable, settings: SyncSettings) -> SyncDiff:
    """Return what a snapshot changes about the prices in force: it withdraws what it does not list."""
    changes = compare_prices(current, prices_of(table.rates))
    limits = GuardLimits(
        changed_percent=settings.max_changed_percent,
        vanished_percent=settings.max_vanished_percent,
        price_factor=settings.max_factor,
    )
    return SyncDiff(changes_as_data(changes), reasons_as_data(reasons_to_hold(changes, count_models(current), limits)))


def _same_prices(one: PriceTable, other: PriceTable) -> bool:
    return not compare_prices(prices_of(one.rates), prices_of(other.rates))
