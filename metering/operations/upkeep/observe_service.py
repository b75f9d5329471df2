"""What the database says about how the service does: for monitoring, cheap enough to be asked every few seconds."""

from msgspec import Struct
from sqlalchemy import Engine

from metering.domain.prices.price_syncs import SourceHealth
from metering.storage.charges.charges import count_unpriced
from metering.storage.engine.database import read_snapshot
from metering.storage.prices.price_syncs import source_health
from pricing.sources.hf_router import SOURCE


class Observation(Struct, frozen=True):
    """How the router's prices do, and how many events wait for a price."""

    router: SourceHealth
    unpriced_events: int


def observe_service(engine: Engine) -> Observation:
    """Look. Raises SQLAlchemy's errors where nothing answers."""
    with read_snapshot(engine) as connection:
        return Observation(source_health(connection, SOURCE), count_unpriced(connection))
