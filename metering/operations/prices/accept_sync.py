"""Accept a pending price sync: record its prices exactly as they were fetched, effective from when they were fetched.

The decision is a further row that refers to the pending one. Existing charges do not change.
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
    """The sync cannot be accepted: it never was pending, or it is decided."""

    code = "not_held"


def accept_sync(engine: Engine, sync_id: int, *, now: int) -> PriceSync:
    """Record the prices of a pending sync; return the row of the decision.

    Raises NotFoundError for a sync that does not exist, SyncNotPendingError for one that is not pending.
    """
    with exclusive_write(engine) as connection:
        pending = sync_by_id(connection, sync_id)
        if pending is None:
            raise NotFoundError(f"there is no price sync {sync_id}; `metering prices syncs` lists them")
        if pending.outcome != HELD:
            raise SyncNotPendingError(f"price sync {sync_id} is not pending: its outcome is {pending.outcome}")
        if pending.decision is not None:
            raise SyncNotPendingError(f"price sync {sync_id} was already {pending.decision}, by sync {pending.decided_by}")
        table_id = record_version(connection, read_table(pending.held), json.loads(pending.changes), now=now)
        accepted = NewSync(
            pending.source,
            now,
            now,
            ACCEPTED,
            digest=pending.digest,
            table_id=table_id,
            decides=pending.id,
            changes=pending.changes,
        )
        return insert_sync(connection, accepted)
