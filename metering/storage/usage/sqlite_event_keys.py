"""Event ids and claims on SQLite, where the write lock lets nobody in between looking and writing."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, func, select

from metering.storage.engine.bulk import insert_all
from metering.storage.tables import claims_by_hour, event_copies, events, retired_months
from metering.storage.usage.event_keys import Claimant, ClaimRow, ReservedClaims
from metering.storage.usage.sqlite_identities import all_identities, insert_identities, stored_identities

__all__ = [
    "all_identities",
    "claimants_of",
    "insert_identities",
    "lock_claims",
    "reserve_claims",
    "reserve_event_ids",
    "settle_claims",
    "stored_identities",
]

_INSERT_CLAIMS = insert_all(claims_by_hour)

_NEWEST_IDS = select(
    *(select(func.max(column)).scalar_subquery() for column in (events.c.id, event_copies.c.id, retired_months.c.last_id))
)
_SOURCES = "SELECT count(*) FROM sources"
_CLAIMANTS = """
SELECT event_claims.claim, events.id, coalesce(assigned.account_id, events.account_id), events.source_id, events.event_time
FROM json_each(?) AS wanted
JOIN event_claims ON event_claims.hour IN (?, ?, ?) AND event_claims.claim = wanted.value
JOIN events ON events.id = event_claims.event_id
LEFT JOIN assigned_events AS assigned ON assigned.event_id = events.id
WHERE events.event_time BETWEEN ? AND ? AND coalesce(assigned.counted_as, events.id) = events.id
"""


def reserve_event_ids(connection: Connection, count: int) -> int:  # noqa: ARG001 - all ids from here on are free
    """Return the first id that no event and no copy has, or had: identities name those of retired events."""
    newest = connection.execute(_NEWEST_IDS).one()
    return max(int(newest_id or 0) for newest_id in newest) + 1


def reserve_claims(connection: Connection, rows: Sequence[ClaimRow], start: int, end: int) -> ReservedClaims:
    """Return the events that make any of the claims within an hour; nobody else writes, and nothing is written yet.

    A copy is another source's: where there is one source, there is nothing to look for.
    """
    if connection.exec_driver_sql(_SOURCES).scalar_one() == 1:
        return ReservedClaims({}, {})
    return ReservedClaims(claimants_of(connection, rows, start, end), {})


def lock_claims(_: Connection, __: Sequence[ClaimRow]) -> None:
    """Keep others from finding out who made these claims: nobody else writes."""


def claimants_of(connection: Connection, rows: Sequence[ClaimRow], start: int, end: int) -> dict[int, list[Claimant]]:
    """Return the events from ``start`` to ``end`` that made the claims within an hour, by claim."""
    by_hour: dict[int, set[int]] = {}
    for hour, claim, _ in rows:
        by_hour.setdefault(hour, set()).add(claim)
    known: dict[int, set[Claimant]] = {}
    for hour, claims in sorted(by_hour.items()):
        wanted = msgspec.json.encode(sorted(claims)).decode()
        for claim, *claimant in connection.exec_driver_sql(_CLAIMANTS, (wanted, hour - 1, hour, hour + 1, start, end)):
            known.setdefault(claim, set()).add(Claimant(*claimant))
    return {claim: sorted(claimants) for claim, claimants in known.items()}


def settle_claims(connection: Connection, _: ReservedClaims, rows: Sequence[ClaimRow]) -> None:
    """Append the claims of the events that count."""
    _INSERT_CLAIMS.run(connection, sorted(rows))
