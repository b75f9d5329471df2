"""List the records in quarantine."""

from sqlalchemy import Engine

from metering.domain.usage.quarantine import QuarantinedRecord
from metering.storage.engine.database import read_snapshot
from metering.storage.usage.quarantine import count_open, open_records


def list_quarantine(engine: Engine, *, after: int = 0, limit: int | None = None) -> tuple[list[QuarantinedRecord], int]:
    """Return (at most ``limit`` records after the ID ``after``, oldest first; the number of all records in quarantine)."""
    with read_snapshot(engine) as connection:
        return open_records(connection, after=after, limit=limit), count_open(connection)
