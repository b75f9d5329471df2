"""Event ids and claims on SQLite, where the write lock keeps others out between reading and writing."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, FromClause, func, select

from metering.storage.engine.bulk import insert_all
from metering.storage.tables import claims_by_hour, event_copies, events, retired_months
from metering.storage.usage import sqlite_identities
from metering.storage.usage.event_keys import Claimant, ClaimRow, EventKeys, IdentityRow, ReservedClaims, StoredIdentity

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


class SqliteEventKeys(EventKeys):
    """Claims by hour, read and written under the write lock; identities in two tables (``sqlite_identities``)."""

    def reserve_event_ids(self, connection: Connection, count: int) -> int:  # noqa: ARG002 - all ids from there on are free
        """Return the first id that no event and no copy has or had: identities name those of retired events."""
        newest = connection.execute(_NEWEST_IDS).one()
        return max(int(newest_id or 0) for newest_id in newest) + 1

    def insert_identities(self, connection: Connection, rows: Sequence[IdentityRow]) -> int:
        """Write the rows whose identity is not taken; return how many."""
        return sqlite_identities.insert_identities(connection, rows)

    def stored_identities(self, connection: Connection, identities: Sequence[bytes]) -> dict[bytes, StoredIdentity]:
        """Return the owners of those of the identities that are taken."""
        return sqlite_identities.stored_identities(connection, identities)

    def all_identities(self) -> FromClause:
        """Return the rows of both tables."""
        return sqlite_identities.all_identities()

    def reserve_claims(self, connection: Connection, rows: Sequence[ClaimRow], start: int, end: int) -> ReservedClaims:
        """Return the events that make any of the claims within an hour; nothing is written yet, and no one else writes.

        A copy comes from another source: with a single source there is nothing to find.
        """
        if connection.exec_driver_sql(_SOURCES).scalar_one() == 1:
            return ReservedClaims({}, {})
        return ReservedClaims(self.claimants_of(connection, rows, start, end), {})

    def lock_claims(self, connection: Connection, rows: Sequence[ClaimRow]) -> None:
        """Do nothing: the write lock already excludes everyone else."""

    def claimants_of(self, connection: Connection, rows: Sequence[ClaimRow], start: int, end: int) -> dict[int, list[Claimant]]:
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

    def settle_claims(self, connection: Connection, reserved: ReservedClaims, rows: Sequence[ClaimRow]) -> None:  # noqa: ARG002
        """Append the claims of the events that count."""
        _INSERT_CLAIMS.run(connection, sorted(rows))
