"""Sync prices: fetch the router's prices, and record a new version if any price changed.

The version, the row of the sync and the alert are written in one transaction. A fetched list that would change too much is
stored with the reasons and stays pending: it changes no price until it is accepted, and a newer list supersedes it. A failed
fetch changes no price either, and is recorded.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from metering.domain.errors import DomainError
from metering.domain.prices.change_data import changes_as_data, reasons_as_data
from metering.domain.prices.price_syncs import (
    FAILED,
    HELD,
    RECORDED,
    SUPERSEDED,
    UNCHANGED,
    PriceSync,
    SourceHealth,
    SyncPreview,
)
from metering.operations.prices.current_prices import CurrentPrices, current_prices
from metering.operations.prices.pending_table import read_table, write_table
from metering.operations.prices.record_version import record_version
from metering.operations.prices.sync_settings import SyncSettings
from metering.outbound.fetch_results import Fetch, NotModified
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.prices import price_syncs as stored
from metering.storage.prices.price_syncs import NewSync
from pricing.changes import PriceKey, compare_prices, prices_of
from pricing.errors import PricingError
from pricing.guards import GuardLimits, count_models, reasons_to_hold
from pricing.rates import Price
from pricing.sources.hf_router import ROUTE, SOURCE, parse_models
from pricing.sources.source_report import SkipReason
from pricing.tables import PriceTable

LONGEST_ERROR = 1_000


class RouterSource(NamedTuple):
    """How to fetch the router's prices; ``clock`` returns microseconds UTC."""

    fetch: Fetch
    settings: SyncSettings
    clock: Callable[[], int]


class _Known(NamedTuple):
    """The state before the fetch: the ETag to send, the id of the newest successful sync, and the prices in force."""

    etag: str
    newest_id: int
    current: CurrentPrices


class _FetchedPrices(NamedTuple):
    """A successful fetch; ``table`` is None if the source answered that its list did not change.

    ``listed_at_zero`` are the models, as ``provider model``, with a price of 0 that the source does not call free.
    """

    started_at: int
    finished_at: int
    etag: str
    digest: str
    table: PriceTable | None
    listed_at_zero: frozenset[str] = frozenset()


def sync_prices(engine: Engine, source: RouterSource) -> PriceSync:
    """Fetch the router's prices and record the outcome; return its row. A failed fetch is an outcome, not an exception."""
    started = source.clock()
    with read_snapshot(engine) as connection:
        known = _known(connection, started)
    try:
        fetched = _fetch(source, known, started)
    except (DomainError, PricingError) as error:
        finished = max(started, source.clock())
        failure = NewSync(SOURCE, started, finished, FAILED, error_code=error.code, error_message=str(error)[:LONGEST_ERROR])
        with exclusive_write(engine) as connection:
            return stored.insert_sync(connection, failure)
    with exclusive_write(engine) as connection:
        return _record(connection, fetched, known, source)


def preview_sync(engine: Engine, source: RouterSource) -> SyncPreview:
    """Fetch the router's prices and return what a sync would change now; nothing is written.

    Raises FetchError and pricing's errors if the fetch fails.
    """
    started = source.clock()
    with read_snapshot(engine) as connection:
        known = _known(connection, started)
    fetched = _fetch(source, known._replace(etag=""), started)
    return (
        SyncPreview([], [])
        if fetched.table is None
        else _preview(known.current.prices, fetched, fetched.table, source.settings)
    )


def source_health(engine: Engine) -> SourceHealth:
    """Return the state of syncing with the router."""
    with read_snapshot(engine) as connection:
        return stored.source_health(connection, SOURCE)


def _known(connection: Connection, now: int) -> _Known:
    newest = stored.newest_success(connection, SOURCE)
    # While a sync is pending, fetch the whole list: the source may have gone back to its previous prices.
    is_pending = stored.pending_sync(connection, SOURCE) is not None
    etag = "" if newest is None or is_pending else newest.etag
    return _Known(etag, 0 if newest is None else newest.id, current_prices(connection, SOURCE, ROUTE, now))


def _fetch(source: RouterSource, known: _Known, started: int) -> _FetchedPrices:
    address = f"{source.settings.router_url}/models"
    answer = source.fetch(address, known.etag)
    finished = max(started, source.clock())
    if isinstance(answer, NotModified):
        return _FetchedPrices(started, finished, answer.etag, "", None)
    report = parse_models(answer.body, effective_from=finished, listed_before=known.current.listed_before, name=address)
    (table,) = report.tables
    zeros = frozenset(skipped.entry for skipped in report.left_out if skipped.reason is SkipReason.ZERO_PRICE)
    return _FetchedPrices(started, finished, answer.etag, hashlib.sha256(answer.body).hexdigest(), table, zeros)


def _record(connection: Connection, fetched: _FetchedPrices, known: _Known, source: RouterSource) -> PriceSync:
    """Record a fetch under the write lock, compared with the prices recorded by then."""
    row = NewSync(SOURCE, fetched.started_at, fetched.finished_at, UNCHANGED, fetched.etag, fetched.digest)
    newest = stored.newest_success(connection, SOURCE)
    if newest is not None and newest.id > known.newest_id and newest.finished_at > fetched.finished_at:
        # A concurrent sync fetched a later list, which is the current one.
        return stored.insert_sync(connection, row)
    if fetched.table is None:
        return stored.insert_sync(connection, row)
    current = current_prices(connection, SOURCE, ROUTE, fetched.finished_at).prices
    found = _preview(current, fetched, fetched.table, source.settings)
    pending = stored.pending_sync(connection, SOURCE)
    if pending is not None and found.changes and _same_prices(read_table(pending.held), fetched.table):
        # The pending list again: it stays pending since it was first fetched.
        return stored.insert_sync(connection, row)
    written = _write(connection, row, found, fetched.table, now=max(fetched.finished_at, source.clock()))
    if pending is not None:
        decision = NewSync(SOURCE, row.finished_at, row.finished_at, SUPERSEDED, decides=pending.id)
        stored.insert_sync(connection, decision)
    return written


def _write(connection: Connection, row: NewSync, found: SyncPreview, table: PriceTable, *, now: int) -> PriceSync:
    if not found.changes:
        return stored.insert_sync(connection, row)
    row = row._replace(changes=json.dumps(found.changes), reasons=json.dumps(found.reasons))
    if found.reasons:
        return stored.insert_sync(connection, row._replace(outcome=HELD, held=write_table(table)))
    table_id = record_version(connection, table, found.changes, now=now)
    return stored.insert_sync(connection, row._replace(outcome=RECORDED, table_id=table_id))


def _preview(
    current: Mapping[PriceKey, Price], fetched: _FetchedPrices, table: PriceTable, settings: SyncSettings
) -> SyncPreview:
    """Return what a snapshot changes about the prices in force. It withdraws whatever it does not list."""
    changes = compare_prices(current, prices_of(table.rates))
    limits = GuardLimits(
        changed_percent=settings.max_changed_percent,
        vanished_percent=settings.max_vanished_percent,
        price_factor=settings.max_factor,
    )
    reasons = reasons_to_hold(changes, count_models(current), limits, fetched.listed_at_zero)
    return SyncPreview(changes_as_data(changes), reasons_as_data(reasons))


def _same_prices(one: PriceTable, other: PriceTable) -> bool:
    return not compare_prices(prices_of(one.rates), prices_of(other.rates))
