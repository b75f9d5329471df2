"""The state of the service as the database records it: for monitoring, cheap enough to be read every few seconds."""

from msgspec import Struct
from sqlalchemy import Engine

from metering.domain.prices.price_syncs import SourceHealth
from metering.storage.charges.charges import count_unpriced
from metering.storage.engine.database import read_snapshot
from metering.storage.prices.price_syncs import source_health
from pricing.sources.hf_router import SOURCE


class Observation(Struct, frozen=True):
    """The health of price syncs from the router, and the number of events without a price."""

    router: SourceHealth
    unpriced_events: int


def observe_service(engine: Engine) -> Observation:
    """Read the state. Raises SQLAlchemy's errors if the database does not respond."""
    with read_snapshot(engine) as connection:
        return Observation(source_health(connection, SOURCE), count_unpriced(connection))
