"""The price sync as a job: asks the router when that is due, and says once when it stops or starts to work.

What was said is not remembered here but told from what is recorded, so that a restart repeats nothing.
"""

import logging

from sqlalchemy import Engine

from metering.domain.prices.price_syncs import FAILED, HELD, RECORDED
from metering.operations.prices.sync_prices import RouterSource, source_health, sync_prices
from metering.operations.prices.sync_settings import is_sync_due

_log = logging.getLogger(__name__)


def sync_when_due(engine: Engine, source: RouterSource) -> None:
    """Sync the router's prices if that is due now; log a change of state."""
    before = source_health(engine)
    if not is_sync_due(before, source.settings.interval_minutes, source.clock()):
        return
    row = sync_prices(engine, source)
    if row.outcome == FAILED:
        if not before.consecutive_failures:
            _log.warning("prices are not synced: %s; they stay what they are, and it is tried again", row.error_message)
        return
    if before.consecutive_failures:
        _log.warning("prices are synced again, after %d failures", before.consecutive_failures)
    if row.outcome == HELD:
        _log.warning("sync %d would change too much and is held; see `metering prices syncs %d`", row.id, row.id)
    elif row.outcome == RECORDED:
        _log.info("sync %d recorded new prices as table %d", row.id, row.table_id)
