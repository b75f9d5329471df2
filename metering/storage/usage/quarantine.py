"""Records that could not become events: stored, listed, resolved by a replay."""

from typing import Any

import msgspec
from sqlalchemy import Connection, func, select, update

from metering.domain.usage.quarantine import QuarantinedRecord
from metering.storage.engine.bulk import replace_in
from metering.storage.tables import quarantine

_KEY = ("source", "file", "offset", "digest")
_STORE = replace_in(quarantine, key=_KEY, columns=("code", "reason", "seen_at", "resolved_at"))
_IDS_PER_QUERY = 5_000
# Where the key's columns are in a row without ``id``.
_KEY_POSITIONS = tuple(quarantine.c.keys().index(name) - 1 for name in _KEY)


def quarantine_records(connection: Connection, rows: list[tuple[Any, ...]]) -> None:
    """Store rejected records, once each and in key order. A row has the columns after ``id`` up to ``seen_at``."""
    last = {tuple(row[position] for position in _KEY_POSITIONS): row for row in rows}
    _STORE.run(connection, [(None, *last[key], None) for key in sorted(last)])


def open_records(connection: Connection, *, after: int = 0, limit: int | None = None) -> list[QuarantinedRecord]:
    """Return the records that no replay has resolved, oldest first, after the ID ``after``."""
    statement = (
        select(quarantine)
        .where(quarantine.c.resolved_at.is_(None), quarantine.c.id > after)
        .order_by(quarantine.c.id)
        .limit(limit)
    )
    rows = connection.execute(statement).mappings()
    return [QuarantinedRecord(**{**row, "kept": msgspec.json.decode(row["kept"] or "{}")}) for row in rows]


def count_open(connection: Connection) -> int:
    """Return the number of records in quarantine."""
    statement = select(func.count()).select_from(quarantine).where(quarantine.c.resolved_at.is_(None))
    count: int = connection.execute(statement).scalar_one()
    return count


def resolve_replayed(connection: Connection, source: str, file: str, *, before: int, now: int) -> int:
    """Resolve the records of a file that were last rejected before it was read again; return how many."""
    resolved = select(quarantine.c.id).where(
        quarantine.c.source == source,
        quarantine.c.file == file,
        quarantine.c.seen_at < before,
        quarantine.c.resolved_at.is_(None),
    )
    # Another process may store records of the same file; both lock the rows in key order.
    locked = resolved.order_by(quarantine.c.offset, quarantine.c.digest).with_for_update()
    ids = list(connection.execute(locked).scalars())
    for start in range(0, len(ids), _IDS_PER_QUERY):
        part = ids[start : start + _IDS_PER_QUERY]
        connection.execute(update(quarantine).where(quarantine.c.id.in_(part)).values(resolved_at=now))
    return len(ids)
