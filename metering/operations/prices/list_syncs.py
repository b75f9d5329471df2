"""List how often the router was asked for its prices, and what came of it."""

from sqlalchemy import Engine

from metering.domain.errors import NotFoundError
from metering.domain.prices.price_syncs import PriceSync
from metering.storage.engine.database import read_snapshot
from metering.storage.prices.price_syncs import list_syncs as stored_syncs
from metering.storage.prices.price_syncs import sync_by_id


def list_syncs(engine: Engine, *, before: int | None = None, limit: int) -> list[PriceSync]:
    """Return syncs and decisions with ids below ``before`` (None: all), newest first."""
    with read_snapshot(engine) as connection:
        return stored_syncs(connection, before=before, limit=limit)


def show_sync(engine: Engine, sync_id: int) -> PriceSync:
    """Return one sync. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        row = sync_by_id(connection, sync_id)
    if row is None:
        raise NotFoundError(f"there is no sync {sync_id}")
    return row
