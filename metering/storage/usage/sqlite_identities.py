"""Identities on SQLite: one key for ever, in two places.

Keys are random, so that in a large index nearly every one is on a page of its own: a commit of 20,000 of them would write
20,000 pages. Past RECENT_FROM events they are written to ``recent_identities``, which is small and in memory, and go on to
``event_identities`` in the order of their keys: each commit moves one stretch of the key space, as long as it has events, so
that in SWEEP_EVENTS events the whole space is gone through once and a page takes a dozen keys at a time.

That a key is in neither place twice is the database's to keep: by both primary keys, and by a trigger that passes over a row
whose identity has settled. Needs the write lock, like everything that looks before it writes.
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
_IDENTITIES_A_QUERY = 500

_ANY_RECENT = "SELECT 1 FROM recent_identities LIMIT 1"
_SETTLE = "INSERT INTO event_identities SELECT * FROM recent_identities WHERE identity >= ? AND identity < ? ORDER BY identity"
_SETTLED = "DELETE FROM recent_identities WHERE identity >= ? AND identity < ?"
# Above every key of 16 bytes.
_END = b"\xff" * 17


def insert_identities(connection: Connection, rows: Sequence[tuple[bytes, int, int]]) -> int:
    """Write the rows of (identity, event id, fingerprint) whose identity is not taken; return how many."""
    if not rows:
        return 0
    # The driver binds a bytearray as it is, and looks for an adapter of every bytes object first.
    identities, event_ids, fingerprints = zip(*rows, strict=True)
    columns = list(map(bytearray, identities)), event_ids, fingerprints
    first = min(event_ids)
    if first < RECENT_FROM and connection.exec_driver_sql(_ANY_RECENT).first() is None:
        return _INSERT_SETTLED.run_columns(connection, columns)
    _settle(connection, first, len(rows))
    return _INSERT_RECENT.run_columns(connection, columns)


def stored_identities(connection: Connection, identities: Sequence[bytes]) -> dict[bytes, StoredIdentity]:
    """Return what the identities that are taken belong to."""
    found = {}
    for start in range(0, len(identities), _IDENTITIES_A_QUERY):
        part = tuple(identities[start : start + _IDENTITIES_A_QUERY])
        marks = ",".join("?" * len(part))
        queries = [
            f"SELECT identity, event_id, fingerprint FROM {table.name} WHERE identity IN ({marks})"
            for table in (event_identities, recent_identities)
        ]
        for identity, event_id, fingerprint in connection.exec_driver_sql(" UNION ALL ".join(queries), part * 2).all():
            found[identity] = StoredIdentity(event_id, fingerprint)
    return found


def all_identities() -> FromClause:
    """Return both places as one."""
    return union_all(select(event_identities), select(recent_identities)).subquery("identities")


def _settle(connection: Connection, first_event_id: int, events: int) -> None:
    """Move the stretch of the key space that the ids of a commit stand for, round and round."""
    if events >= SWEEP_EVENTS:
        stretches = [(b"", _END)]
    else:
        start = first_event_id % SWEEP_EVENTS
        end = start + events
        stretches = [(_key(start), _key(end))]
        if end > SWEEP_EVENTS:
            stretches = [(_key(start), _END), (b"", _key(end - SWEEP_EVENTS))]
    for stretch in stretches:
        connection.exec_driver_sql(_SETTLE, stretch)
        connection.exec_driver_sql(_SETTLED, stretch)


def _key(part: int) -> bytes:
    return _END if part >= SWEEP_EVENTS else (part * _KEYS // SWEEP_EVENTS).to_bytes(16, "big")
