"""List price syncs and their outcomes."""

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
        sync = sync_by_id(connection, sync_id)
    if sync is None:
        raise NotFoundError(f"there is no price sync {sync_id}; `metering prices syncs` lists them")
    return sync
