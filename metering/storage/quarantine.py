"""Records that could not become events: noted, listed, resolved by a replay."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.sqlite import insert

from metering.storage.bulk import BulkInsert
from metering.storage.tables import quarantine

_statement = insert(quarantine)
_NOTE = BulkInsert(
    _statement.on_conflict_do_update(
        index_elements=["source", "file", "offset", "digest"],
        set_={name: _statement.excluded[name] for name in ("code", "reason", "seen_at", "resolved_at")},
    )
)


class QuarantinedRecord(NamedTuple):
    """Where a bad record stands and why it was refused; never its content."""

    id: int
    source: str
    file: str
    line: int
    offset: int
    length: int
    digest: str
    code: str
    reason: str
    field: str
    kept: str
    options: str
    recorded_at: int
    seen_at: int
    resolved_at: int | None


def note_records(connection: Connection, rows: list[tuple[Any, ...]]) -> None:
    """Note bad records, once each; a row holds the columns after ``id`` up to ``seen_at``."""
    _NOTE.run(connection, [(None, *row, None) for row in rows])


def open_records(connection: Connection, *, after: int = 0, limit: int | None = None) -> list[QuarantinedRecord]:
    """Return the records that no replay has resolved, oldest first, after the id ``after``."""
    statement = (
        select(quarantine)
        .where(quarantine.c.resolved_at.is_(None), quarantine.c.id > after)
        .order_by(quarantine.c.id)
        .limit(limit)
    )
    return [QuarantinedRecord(*row) for row in connection.execute(statement)]


def count_open(connection: Connection) -> int:
    """Return how many records wait in quarantine."""
    statement = select(func.count()).select_from(quarantine).where(quarantine.c.resolved_at.is_(None))
    count: int = connection.execute(statement).scalar_one()
    return count


def resolve_read_again(connection: Connection, source: str, file: str, *, before: int, now: int) -> int:
    """Resolve the records of a file that were last seen before it was read again, and so were read well; return how many."""
    statement = (
        update(quarantine)
        .where(
            quarantine.c.source == source,
            quarantine.c.file == file,
            quarantine.c.seen_at < before,
            quarantine.c.resolved_at.is_(None),
        )
        .values(resolved_at=now)
    )
    return connection.execute(statement).rowcount
