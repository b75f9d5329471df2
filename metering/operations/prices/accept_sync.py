"""Accept an answer of a source that was held back: exactly what was held is recorded, effective from when it was fetched.

The decision is a row of its own that names the held one. What was charged meanwhile stays as it is charged.
"""

import json

from sqlalchemy import Engine

from metering.domain.errors import DomainError, NotFoundError
from metering.domain.prices.price_syncs import ACCEPTED, HELD, PriceSync
from metering.operations.prices.pending_table import read_table
from metering.operations.prices.record_version import record_version
from metering.storage.engine.database import exclusive_write
from metering.storage.prices.price_syncs import NewSync, insert_sync, sync_by_id


class SyncNotPendingError(DomainError):
    """The sync does not wait to be accepted: it was never held, or is decided."""

    code = "not_held"


def accept_sync(engine: Engine, sync_id: int, *, now: int) -> PriceSync:
    """Record what a sync held; return the row of the decision.

    Raises NotFoundError for a sync that there is not, NotHeldError for one that does not wait.
    """
    with exclusive_write(engine) as connection:
        held = sync_by_id(connection, sync_id)
        if held is None:
            raise NotFoundError(f"there is no sync {sync_id}")
        if held.outcome != HELD:
            raise SyncNotPendingError(f"sync {sync_id} is {held.outcome}, nothing of it waits to be accepted")
        if held.decision is not None:
            raise SyncNotPendingError(f"sync {sync_id} was {held.decision} already, by {held.decided_by}")
        table_id = record_version(connection, read_table(held.held), json.loads(held.changes), now=now)
        accepted = NewSync(
            held.source, now, now, ACCEPTED, digest=held.digest, table_id=table_id, decides=held.id, changes=held.changes
        )
        return insert_sync(connection, accepted)
