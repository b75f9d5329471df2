"""Identities on SQLite, in two tables.

Keys are random, so in a large index nearly every key is on a different page: a commit of 20,000 would write 20,000 pages. Past
RECENT_FROM events they are written to ``recent_identities``, which is small and in memory, and move on to ``event_identities``
in the order of their keys. Each commit moves one range of the key space, in proportion to its number of events, so that every
SWEEP_EVENTS events the whole space is swept once, and a page takes a dozen keys at a time.

The database itself ensures that no key is stored twice: by both primary keys, and by a trigger that skips a row whose identity
has settled. Needs the write lock, because it reads before it writes.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, FromClause, select, union_all

from metering.storage.engine.bulk import insert_new
from metering.storage.tables import event_identities, recent_identities
from metering.storage.usage.event_keys import StoredIdentity

RECENT_FROM = 1_000_000
SWEEP_EVENTS = 500_000

_INSERT_SETTLED = insert_new(event_identities)
_INSERT_RECENT = insert_new(recent_identities)
_KEYS = 2**128
_IDENTITIES_PER_QUERY = 500

_ANY_RECENT = "SELECT 1 FROM recent_identities LIMIT 1"
_SETTLE = "INSERT INTO event_identities SELECT * FROM recent_identities WHERE identity >= ? AND identity < ? ORDER BY identity"
_REMOVE_SETTLED = "DELETE FROM recent_identities WHERE identity >= ? AND identity < ?"
# Above every key of 16 bytes.
_END = b"\xff" * 17


def insert_identities(connection: Connection, rows: Sequence[tuple[bytes, int, int]]) -> int:
    """Write the rows of (identity, event id, fingerprint) whose identity is not taken; return how many."""
    if not rows:
        return 0
    # The driver binds a bytearray directly, but first looks for an adapter for every bytes object.
    identities, event_ids, fingerprints = zip(*rows, strict=True)
    columns = list(map(bytearray, identities)), event_ids, fingerprints
    first = min(event_ids)
    if first < RECENT_FROM and connection.exec_driver_sql(_ANY_RECENT).first() is None:
        return _INSERT_SETTLED.run_columns(connection, columns)
    _settle(connection, first, len(rows))
    return _INSERT_RECENT.run_columns(connection, columns)


def stored_identities(connection: Connection, identities: Sequence[bytes]) -> dict[bytes, StoredIdentity]:
    """Return the owners of those of the identities that are taken."""
    found = {}
    for start in range(0, len(identities), _IDENTITIES_PER_QUERY):
        part = tuple(identities[start : start + _IDENTITIES_PER_QUERY])
        marks = ",".join("?" * len(part))
        queries = [
            f"SELECT identity, event_id, fingerprint FROM {table.name} WHERE identity IN ({marks})"
            for table in (event_identities, recent_identities)
        ]
        for identity, event_id, fingerprint in connection.exec_driver_sql(" UNION ALL ".join(queries), part * 2).all():
            found[identity] = StoredIdentity(event_id, fingerprint)
    return found


def all_identities() -> FromClause:
    """Return the rows of both tables."""
    return union_all(select(event_identities), select(recent_identities)).subquery("identities")


def _settle(connection: Connection, first_event_id: int, events: int) -> None:
    """Move the range of the key space that corresponds to a commit's event ids, wrapping around at its end."""
    if events >= SWEEP_EVENTS:
        ranges = [(b"", _END)]
    else:
        start = first_event_id % SWEEP_EVENTS
        end = start + events
        ranges = [(_key(start), _key(end))]
        if end > SWEEP_EVENTS:
            ranges = [(_key(start), _END), (b"", _key(end - SWEEP_EVENTS))]
    for bounds in ranges:
        connection.exec_driver_sql(_SETTLE, bounds)
        connection.exec_driver_sql(_REMOVE_SETTLED, bounds)


def _key(part: int) -> bytes:
    return _END if part >= SWEEP_EVENTS else (part * _KEYS // SWEEP_EVENTS).to_bytes(16, "big")
