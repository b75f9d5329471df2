"""The record of price syncs. Rows are written once, and read with the decision about them, if there is one."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, insert, select

from metering.domain.prices.price_syncs import FAILED, HELD, RECORDED, UNCHANGED, PriceSync, SourceHealth
from metering.storage.tables import price_syncs

SUCCESSES = (RECORDED, UNCHANGED, HELD)

_decision = price_syncs.alias("decision")


class NewSync(NamedTuple):
    """A row to write. Times are microseconds UTC; ``changes`` and ``reasons`` are JSON lists, ``held`` is a table as JSON."""

    source: str
    started_at: int
    finished_at: int
    outcome: str
    etag: str = ""
    digest: str = ""
    table_id: int | None = None
    decides: int | None = None
    changes: str = "[]"
    reasons: str = "[]"
    held: str = ""
    error_code: str = ""
    error_message: str = ""


def insert_sync(connection: Connection, row: NewSync) -> PriceSync:
    """Write a row and return it, without a decision."""
    sync_id: int = connection.execute(insert(price_syncs).values(**row._asdict()).returning(price_syncs.c.id)).scalar_one()
    return PriceSync(sync_id, *row, decided_by=None, decision=None)


def sync_by_id(connection: Connection, sync_id: int) -> PriceSync | None:
    """Return one row, or None."""
    row = connection.execute(_rows().where(price_syncs.c.id == sync_id)).one_or_none()
    return None if row is None else PriceSync(*row)


def list_syncs(connection: Connection, *, before: int | None, limit: int) -> list[PriceSync]:
    """Return rows with ids below ``before`` (None: all), newest first."""
    statement = _rows().order_by(price_syncs.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(price_syncs.c.id < before)
    return [PriceSync(*row) for row in connection.execute(statement)]


def newest_success(connection: Connection, source: str) -> PriceSync | None:
    """Return the newest successful fetch of a source, whatever its outcome; None if there is none."""
    statement = _rows().where(price_syncs.c.source == source, price_syncs.c.outcome.in_(SUCCESSES))
    row = connection.execute(statement.order_by(price_syncs.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else PriceSync(*row)


def pending_sync(connection: Connection, source: str) -> PriceSync | None:
    """Return the pending sync of a source. There is at most one, because a newer one supersedes it."""
    statement = _rows().where(price_syncs.c.source == source, price_syncs.c.outcome == HELD, _decision.c.id.is_(None))
    row = connection.execute(statement.order_by(price_syncs.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else PriceSync(*row)


def source_health(connection: Connection, source: str) -> SourceHealth:
    """Return the state of syncing with a source."""
    success = newest_success(connection, source)
    failed = select(price_syncs.c.finished_at, price_syncs.c.error_message).where(
        price_syncs.c.source == source, price_syncs.c.outcome == FAILED
    )
    failure = connection.execute(failed.order_by(price_syncs.c.id.desc()).limit(1)).one_or_none()
    since = 0 if success is None else success.id
    failures: int = connection.execute(
        select(func.count()).where(price_syncs.c.source == source, price_syncs.c.outcome == FAILED, price_syncs.c.id > since)
    ).scalar_one()
    pending = pending_sync(connection, source)
    success_at = None if success is None else success.finished_at
    failure_at = None if failure is None else failure.finished_at
    return SourceHealth(
        last_attempt_at=failure_at if failures else success_at,
        last_success_at=success_at,
        last_failure_at=failure_at,
        consecutive_failures=failures,
        last_error=failure.error_message if failures and failure is not None else "",
        waiting=None if pending is None else pending.id,
    )


def _rows() -> Select[Any]:
    return select(price_syncs, _decision.c.id, _decision.c.outcome).join(
        _decision, _decision.c.decides == price_syncs.c.id, isouter=True
    )
