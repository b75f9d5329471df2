"""Identities and claims on PostgreSQL, with several writers: the first to write a key makes the others wait.

Keys are written in order, so that two writers never wait for each other. A statement sees what was committed before it began:
keys that another writer wrote first are read by a separate statement.
"""

import struct
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, FromClause, Table
from sqlalchemy.exc import IntegrityError

from metering.storage.engine.bulk import insert_all
from metering.storage.engine.postgres_arrays import array_of_integers, array_of_uuids
from metering.storage.engine.postgres_copy import copy_packed
from metering.storage.tables import EVENT_ID_BLOCK, event_claims, event_identities, later_claims
from metering.storage.usage.event_keys import Claimant, ClaimRow, EventKeys, IdentityRow, ReservedClaims, StoredIdentity

# From this many rows on, a COPY, with its savepoint and the query before it, is worth its round trips.
_MIN_COPY_ROWS = 250
# Number of keys that are looked up before a COPY: in a log that is read again, or another source's, one of them is taken.
_SAMPLE = 64

_pack_identity = struct.Struct("!hi16siqiq").pack
_pack_claim = struct.Struct("!hiqiq").pack

_INSERT_IDENTITIES = (
    "INSERT INTO event_identities (identity, event_id, fingerprint)"
    " SELECT * FROM unnest(CAST(%s AS uuid[]), CAST(%s AS bigint[]), CAST(%s AS bigint[])) ON CONFLICT DO NOTHING"
)
_ANY_IDENTITY = "SELECT EXISTS (SELECT FROM event_identities WHERE identity = ANY(CAST(%s AS uuid[])))"
_ANY_CLAIM = "SELECT EXISTS (SELECT FROM event_claims WHERE claim = ANY(CAST(%s AS bigint[])))"
_STORED_IDENTITIES = (
    "SELECT uuid_send(identity), event_id, fingerprint FROM event_identities WHERE identity = ANY(CAST(%s AS uuid[]))"
)
_INSERT_CLAIMS = (
    "INSERT INTO event_claims (claim, event_id)"
    " SELECT * FROM unnest(CAST(%s AS bigint[]), CAST(%s AS bigint[])) ON CONFLICT DO NOTHING"
)
# The first claimant's row is locked, so that of two later claimants the second sees what the first one decided.
_LOCK_CLAIMS = "SELECT claim, event_id FROM event_claims WHERE claim = ANY(CAST(%s AS bigint[])) ORDER BY claim FOR UPDATE"
_CLAIMANTS = """
SELECT claimed.claim, events.id, coalesce(assigned.account_id, events.account_id), events.source_id, events.event_time
FROM (
    SELECT claim, event_id FROM event_claims WHERE claim = ANY(CAST(%s AS bigint[]))
    UNION ALL SELECT claim, event_id FROM later_claims WHERE claim = ANY(CAST(%s AS bigint[]))
) AS claimed
JOIN events ON events.id = claimed.event_id
LEFT JOIN assigned_events AS assigned ON assigned.event_id = events.id
WHERE events.event_time BETWEEN %s AND %s AND coalesce(assigned.counted_as, events.id) = events.id
ORDER BY claimed.claim, events.id
"""
_DELETE_CLAIMS = "DELETE FROM event_claims WHERE claim = ANY(CAST(%s AS bigint[]))"

_INSERT_FIRST = insert_all(event_claims)
_INSERT_LATER = insert_all(later_claims)


class PostgresEventKeys(EventKeys):
    """Unique keys that writers wait for."""

    def reserve_event_ids(self, connection: Connection, count: int) -> int:
        """Return the first of ``count`` consecutive ids that no other writer is given."""
        blocks = -(-count // EVENT_ID_BLOCK)
        while True:
            drawn = connection.exec_driver_sql("SELECT nextval('event_ids') FROM generate_series(1, %s)", (blocks,))
            starts = list(drawn.scalars())
            # If another writer drew in between, which takes it a few microseconds, these blocks are skipped.
            if starts[-1] - starts[0] == (blocks - 1) * EVENT_ID_BLOCK:
                return int(starts[0])

    def insert_identities(self, connection: Connection, rows: Sequence[IdentityRow]) -> int:
        """Write the rows whose identity is not taken; return how many. Waits for writers of the same identities."""
        identities, event_ids, fingerprints = zip(*rows, strict=True)
        all_differ = len(set(identities)) == len(rows)
        if all_differ and _should_copy(connection, _ANY_IDENTITY, identities, array_of_uuids):
            packed = [_pack_identity(3, 16, identity, 8, event_id, 8, fingerprint) for identity, event_id, fingerprint in rows]
            if _copied_if_all_are_new(connection, event_identities, packed):
                return len(rows)
        arrays = array_of_uuids(identities), array_of_integers(event_ids), array_of_integers(fingerprints)
        return connection.exec_driver_sql(_INSERT_IDENTITIES, arrays).rowcount

    def stored_identities(self, connection: Connection, identities: Sequence[bytes]) -> dict[bytes, StoredIdentity]:
        """Return the owners of those of the identities that are taken."""
        rows = connection.exec_driver_sql(_STORED_IDENTITIES, (array_of_uuids(identities),))
        return {bytes(identity): StoredIdentity(event_id, fingerprint) for identity, event_id, fingerprint in rows}

    def all_identities(self) -> FromClause:
        """Return the table of identities."""
        return event_identities

    def reserve_claims(self, connection: Connection, rows: Sequence[ClaimRow], start: int, end: int) -> ReservedClaims:
        """Write each claim with the first event that makes it, and return the events that made it before.

        Waits for writers of the same claims.
        """
        written: dict[int, int] = {}
        for _, claim, event_id in rows:
            written.setdefault(claim, event_id)
        if _insert_claims(connection, sorted(written.items(), key=itemgetter(0))) == len(rows):
            return ReservedClaims({}, written, settled=True)
        locked = connection.exec_driver_sql(_LOCK_CLAIMS, (array_of_integers(sorted(written)),))
        taken = [claim for claim, event_id in locked if written[claim] != event_id]
        for claim in taken:
            del written[claim]
        return ReservedClaims(_claimants(connection, taken, start, end) if taken else {}, written)

    def lock_claims(self, connection: Connection, rows: Sequence[ClaimRow]) -> None:
        """Make others that look up the claimants wait until the transaction ends."""
        connection.exec_driver_sql(_LOCK_CLAIMS, (array_of_integers(sorted({claim for _, claim, _ in rows})),))

    def claimants_of(self, connection: Connection, rows: Sequence[ClaimRow], start: int, end: int) -> dict[int, list[Claimant]]:
        """Return the events from ``start`` to ``end`` that made the claims, by claim."""
        return _claimants(connection, sorted({claim for _, claim, _ in rows}), start, end)

    def settle_claims(self, connection: Connection, reserved: ReservedClaims, rows: Sequence[ClaimRow]) -> None:
        """Replace the claims of copies with those of the events that count, and add the later ones."""
        if reserved.settled:
            return
        made = sorted((claim, event_id) for _, claim, event_id in rows)
        of_copies = sorted(dict(reserved.written.items() - set(made)))
        if of_copies:
            connection.exec_driver_sql(_DELETE_CLAIMS, (array_of_integers(of_copies),))
        free = set(of_copies)
        first: list[tuple[int, int]] = []
        later: list[tuple[int, int]] = []
        for claim, event_id in made:
            if claim in free:
                free.remove(claim)
                first.append((claim, event_id))
            elif reserved.written.get(claim) != event_id:
                later.append((claim, event_id))
        _INSERT_FIRST.run(connection, first)
        _INSERT_LATER.run(connection, later)


def _insert_claims(connection: Connection, rows: Sequence[tuple[int, int]]) -> int:
    claims, event_ids = zip(*rows, strict=True)
    if _should_copy(connection, _ANY_CLAIM, claims, array_of_integers):
        packed = [_pack_claim(2, 8, claim, 8, event_id) for claim, event_id in rows]
        if _copied_if_all_are_new(connection, event_claims, packed):
            return len(rows)
    return connection.exec_driver_sql(_INSERT_CLAIMS, (array_of_integers(claims), array_of_integers(event_ids))).rowcount


def _should_copy(connection: Connection, any_taken: str, keys: Sequence[Any], array_of: Callable[[Sequence[Any]], str]) -> bool:
    """Whether there are many keys, and none of a sample is taken."""
    if len(keys) < _MIN_COPY_ROWS:
        return False
    sample = keys[:: len(keys) // _SAMPLE]
    return not connection.exec_driver_sql(any_taken, (array_of(sample),)).scalar_one()


def _copied_if_all_are_new(connection: Connection, table: Table, packed: Sequence[bytes]) -> bool:
    """Write all rows, or none if a key is taken: COPY cannot skip a row, but takes half the time of an INSERT that can.

    Waits for writers of the same keys. If a key is taken, the rows written before it are left to be vacuumed, the server logs
    an error, and the driver forgets its prepared statements.
    """
    try:
        with connection.begin_nested():
            copy_packed(connection, table.name, table.columns.keys(), packed)
    except IntegrityError:
        return False
    return True


def _claimants(connection: Connection, claims: Sequence[int], start: int, end: int) -> dict[int, list[Claimant]]:
    found: dict[int, list[Claimant]] = {}
    wanted = array_of_integers(claims)
    for claim, *claimant in connection.exec_driver_sql(_CLAIMANTS, (wanted, wanted, start, end)):
        found.setdefault(claim, []).append(Claimant(*claimant))
    return found
