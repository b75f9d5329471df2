"""List the records that could not become events and that no later reading has resolved."""

from sqlalchemy import Engine

from metering.storage.database import reading
from metering.storage.quarantine import QuarantinedRecord, count_open, open_records


def list_quarantine(engine: Engine, *, limit: int | None = None) -> tuple[list[QuarantinedRecord], int]:
    """Return the first ``limit`` open records, oldest first, and how many there are in all."""
    with reading(engine) as connection:
        return open_records(connection, limit=limit), count_open(connection)
