"""Records that could not become events: noted, listed, resolved by a replay."""

from typing import Any

from sqlalchemy import Connection, func, select, update

from metering.domain.usage.quarantine import QuarantinedRecord
from metering.storage.engine.bulk import replace_in
from metering.storage.tables import quarantine

_KEY = ("source", "file", "offset", "digest")
_NOTE = replace_in(quarantine, key=_KEY, columns=("code", "reason", "seen_at", "resolved_at"))
_IDS_A_QUERY = 5_000
_WHERE = tuple(quarantine.c.keys().index(name) - 1 for name in _KEY)


def quarantine_records(connection: Connection, rows: list[tuple[Any, ...]]) -> None:
    """Note bad records, once each and in key order; a row holds the columns after ``id`` up to ``seen_at``."""
    last = {tuple(row[place] for place in _WHERE): row for row in rows}
    _NOTE.run(connection, [(None, *last[key], None) for key in sorted(last)])


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


def resolve_replayed(connection: Connection, source: str, file: str, *, before: int, now: int) -> int:
    """Resolve the records of a file that were last seen before it was read again, and so were read well; return how many."""
    well = select(quarantine.c.id).where(
        quarantine.c.source == source,
        quarantine.c.file == file,
        quarantine.c.seen_at < before,
        quarantine.c.resolved_at.is_(None),
    )
    # Another process may note records of the same file: both take the rows in key order.
    taken = well.order_by(quarantine.c.offset, quarantine.c.digest).with_for_update()
    ids = list(connection.execute(taken).scalars())
    for start in range(0, len(ids), _IDS_A_QUERY):
        part = ids[start : start + _IDS_A_QUERY]
        connection.execute(update(quarantine).where(quarantine.c.id.in_(part)).values(resolved_at=now))
    return len(ids)
