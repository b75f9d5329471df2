"""The price sync as a scheduled job: fetches the router's prices when due, and logs when syncing starts or stops failing.

Whether to log depends on the recorded syncs only, so a restart repeats nothing.
"""

import logging

from sqlalchemy import Engine

from metering.domain.prices.price_syncs import FAILED, HELD, RECORDED
from metering.operations.prices.sync_prices import RouterSource, source_health, sync_prices
from metering.operations.prices.sync_settings import is_sync_due

_log = logging.getLogger(__name__)


def sync_when_due(engine: Engine, source: RouterSource) -> None:
    """Sync the router's prices if due; log a change of state."""
    before = source_health(engine)
    if not is_sync_due(before, source.settings.interval_minutes, source.clock()):
        return
    row = sync_prices(engine, source)
    if row.outcome == FAILED:
        if not before.consecutive_failures:
            _log.warning("price sync failed: %s; keeping current prices, will retry", row.error_message)
        return
    if before.consecutive_failures:
        _log.warning("price sync works again after %d failed attempts", before.consecutive_failures)
    if row.outcome == HELD:
        _log.warning("price sync %d would change too much and is pending; see `metering prices syncs %d`", row.id, row.id)
    elif row.outcome == RECORDED:
        _log.info("price sync %d recorded new prices as table %d", row.id, row.table_id)
