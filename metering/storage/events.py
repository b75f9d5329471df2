"""Writing events: identities, claims, rows, copies, conflicts, rollups. Reading what is already there.

Everything is written in key order.
"""

from collections.abc import Sequence
from operator import add
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select

from metering.domain.instants import month_of_day
from metering.storage.bulk import add_to, insert_all, insert_new
from metering.storage.tables import (
    event_claims,
    event_conflicts,
    event_copies,
    event_identities,
    events,
    month_rollups,
    receipts,
    rollups,
)

EVENT_COLUMNS = tuple(events.c.keys())
ROLLUP_KEY = tuple(column.name for column in rollups.primary_key)

_INSERT_IDENTITIES = insert_new(event_identities)
_INSERT_EVENTS = insert_all(events)
_INSERT_CLAIMS = insert_all(event_claims)
_INSERT_COPIES = insert_all(event_copies)
_INSERT_CONFLICTS = insert_new(event_conflicts)
_DAY = ROLLUP_KEY.index("event_day")
_ADD_TO_ROLLUPS = add_to(rollups, key=ROLLUP_KEY)
_ADD_TO_MONTH_ROLLUPS = add_to(month_rollups, key=tuple(column.name for column in month_rollups.primary_key))
_IDENTITIES_A_QUERY = 500

_CLAIMANTS = """
SELECT event_claims.claim, events.id, events.account_id, events.source_id, events.event_time
FROM json_each(?) AS wanted
JOIN event_claims ON event_claims.claim = wanted.value
JOIN events ON events.id = event_claims.event_id
ORDER BY event_claims.claim, events.id
"""


class StoredIdentity(NamedTuple):
    """An identity that is taken: by which content and which event (or copy)."""

    event_id: int
    fingerprint: int


class Claimant(NamedTuple):
    """An event that claims a response id."""

    event_id: int
    account_id: int
    source_id: int
    event_time: int


def next_event_id(connection: Connection) -> int:
    """Return the first id that no event and no copy has; stable within a write transaction."""
    newest = connection.execute(
        select(
            func.coalesce(select(func.max(events.c.id)).scalar_subquery(), 0),
            func.coalesce(select(func.max(event_copies.c.id)).scalar_subquery(), 0),
        )
    ).one()
    return max(int(newest[0]), int(newest[1])) + 1


def insert_identities(connection: Connection, rows: list[tuple[bytes, int, int]]) -> int:
    """Write (identity, event id, fingerprint), passing over identities that are taken; return how many were new."""
    # The driver binds a bytearray as it is, and looks for an adapter of every bytes object first.
    values: list[Any] = []
    for identity, event_id, fingerprint in rows:
        values += (bytearray(identity), event_id, fingerprint)
    return _INSERT_IDENTITIES.run_flat(connection, values)


def stored_identities(connection: Connection, identities: Sequence[bytes]) -> dict[bytes, StoredIdentity]:
    """Return what the identities that are taken belong to."""
    found = {}
    for start in range(0, len(identities), _IDENTITIES_A_QUERY):
        part = tuple(identities[start : start + _IDENTITIES_A_QUERY])
        marks = ",".join("?" * len(part))
        query = f"SELECT identity, event_id, fingerprint FROM event_identities WHERE identity IN ({marks})"
        for identity, event_id, fingerprint in connection.exec_driver_sql(query, part):
            found[identity] = StoredIdentity(event_id, fingerprint)
    return found


def copies_by_id(connection: Connection, event_ids: Sequence[int]) -> list[int]:
    """Return the events that those of the ids which are copies are copies of."""
    return list(connection.execute(select(event_copies.c.copy_of).where(event_copies.c.id.in_(event_ids))).scalars())


def claimants(connection: Connection, claims_json: str) -> dict[int, list[Claimant]]:
    """Return the events that already make any of the claims (a JSON array of integers), oldest row first."""
    found: dict[int, list[Claimant]] = {}
    for claim, *claimant in connection.exec_driver_sql(_CLAIMANTS, (claims_json,)):
        found.setdefault(claim, []).append(Claimant(*claimant))
    return found


def insert_events(connection: Connection, values: list[Any]) -> None:
    """Append events; ``values`` holds EVENT_COLUMNS of one event after the other."""
    _INSERT_EVENTS.run_flat(connection, values)


def insert_receipt(connection: Connection, first_event_id: int, received_at: int) -> None:
    """Note when the events from ``first_event_id`` on arrived."""
    connection.execute(insert(receipts).values(first_event_id=first_event_id, received_at=received_at))


def insert_claims(connection: Connection, rows: list[tuple[int, int]]) -> None:
    """Append (claim, event id), in key order."""
    _INSERT_CLAIMS.run(connection, sorted(rows))


def insert_copies(connection: Connection, rows: list[tuple[Any, ...]]) -> None:
    """Append copies; the id is the one their identity points at."""
    _INSERT_COPIES.run(connection, rows)


def insert_conflicts(connection: Connection, rows: list[tuple[Any, ...]]) -> None:
    """Append conflicts; the same content for the same identity is recorded once."""
    _INSERT_CONFLICTS.run(connection, rows)


def add_to_rollups(connection: Connection, rows: list[tuple[int, ...]]) -> None:
    """Add signed sums to the rollups by day and by month; each row holds the key of the day, then the sums, in order."""
    _ADD_TO_ROLLUPS.run(connection, sorted(rows))
    months: dict[tuple[int, ...], tuple[int, ...]] = {}
    width = len(ROLLUP_KEY)
    for row in rows:
        key = (*row[:_DAY], month_of_day(row[_DAY]), *row[_DAY + 1 : width])
        before = months.get(key)
        months[key] = row[width:] if before is None else tuple(map(add, before, row[width:]))
    _ADD_TO_MONTH_ROLLUPS.run(connection, sorted((*key, *sums) for key, sums in months.items()))
