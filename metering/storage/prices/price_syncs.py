"""What came of asking a source for its prices: written once, read back with what was decided since."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, insert, select

from metering.domain.prices.price_syncs import FAILED, HELD, RECORDED, UNCHANGED, PriceSync, SourceHealth
from metering.storage.tables import price_syncs

SUCCESSES = (RECORDED, UNCHANGED, HELD)

_decision = price_syncs.alias("decision")


class NewSync(NamedTuple):
    """A row to be written; times in microseconds UTC, ``changes`` and ``reasons`` JSON lists, ``held`` the table as JSON."""

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
    """Write a row; return it, not decided yet."""
    sync_id: int = connection.execute(insert(price_syncs).values(**row._asdict()).returning(price_syncs.c.id)).scalar_one()
    return PriceSync(sync_id, *row, decided_by=None, decision=None)


def sync_by_id(connection: Connection, sync_id: int) -> PriceSync | None:
    """Return one row; None where there is none."""
    row = connection.execute(_rows().where(price_syncs.c.id == sync_id)).one_or_none()
    return None if row is None else PriceSync(*row)


def list_syncs(connection: Connection, *, before: int | None, limit: int) -> list[PriceSync]:
    """Return rows with ids below ``before`` (None: all), newest first."""
    statement = _rows().order_by(price_syncs.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(price_syncs.c.id < before)
    return [PriceSync(*row) for row in connection.execute(statement)]


def newest_success(connection: Connection, source: str) -> PriceSync | None:
    """Return the newest answer of a source, whatever came of it; None where it has never answered."""
    statement = _rows().where(price_syncs.c.source == source, price_syncs.c.outcome.in_(SUCCESSES))
    row = connection.execute(statement.order_by(price_syncs.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else PriceSync(*row)


def pending_sync(connection: Connection, source: str) -> PriceSync | None:
    """Return the held answer of a source that nobody has decided: there is one at most, a newer one supersedes it."""
    statement = _rows().where(price_syncs.c.source == source, price_syncs.c.outcome == HELD, _decision.c.id.is_(None))
    row = connection.execute(statement.order_by(price_syncs.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else PriceSync(*row)


def source_health(connection: Connection, source: str) -> SourceHealth:
    """Return how a source does."""
    success = newest_success(connection, source)
    failed = select(price_syncs.c.finished_at, price_syncs.c.error_message).where(
        price_syncs.c.source == source, price_syncs.c.outcome == FAILED
    )
    failure = connection.execute(failed.order_by(price_syncs.c.id.desc()).limit(1)).one_or_none()
    since = 0 if success is None else success.id
    failures: int = connection.execute(
        select(func.count()).where(price_syncs.c.source == source, price_syncs.c.outcome == FAILED, price_syncs.c.id > since)
    ).scalar_one()
    waiting = pending_sync(connection, source)
    success_at = None if success is None else success.finished_at
    failure_at = None if failure is None else failure.finished_at
    return SourceHealth(
        last_attempt_at=failure_at if failures else success_at,
        last_success_at=success_at,
        last_failure_at=failure_at,
        consecutive_failures=failures,
        last_error=failure.error_message if failures and failure is not None else "",
        waiting=None if waiting is None else waiting.id,
    )


def _rows() -> Select[Any]:
    return select(price_syncs, _decision.c.id, _decision.c.outcome).join(
        _decision, _decision.c.decides == price_syncs.c.id, isouter=True
    )
