"""Identities and claims on PostgreSQL, where several writers are at work: whoever writes a key first makes the others wait.

Keys are written in their order, so that of two writers one waits and neither waits for the other. A statement sees what was
committed before it began: what was lost to another writer is read by a statement of its own.
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

# Rows from which on a COPY, with the savepoint around it and the question before it, is worth its round trips.
_WORTH_A_COPY = 250
# Keys that are asked about before a COPY: of a log that is read again, or another source's, one of them is taken.
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
# The first claimant's row is held, so that of two later claimants the second sees what the first one decided.
_HOLD_CLAIMS = "SELECT claim, event_id FROM event_claims WHERE claim = ANY(CAST(%s AS bigint[])) ORDER BY claim FOR UPDATE"
_CLAIMANTS = """
SELECT held.claim, events.id, coalesce(assigned.account_id, events.account_id), events.source_id, events.event_time
FROM (
    SELECT claim, event_id FROM event_claims WHERE claim = ANY(CAST(%s AS bigint[]))
    UNION ALL SELECT claim, event_id FROM later_claims WHERE claim = ANY(CAST(%s AS bigint[]))
) AS held
JOIN events ON events.id = held.event_id
LEFT JOIN assigned_events AS assigned ON assigned.event_id = events.id
WHERE events.event_time BETWEEN %s AND %s AND coalesce(assigned.counted_as, events.id) = events.id
ORDER BY held.claim, events.id
"""
_TAKE_BACK = "DELETE FROM event_claims WHERE claim = ANY(CAST(%s AS bigint[]))"

_INSERT_FIRST = insert_all(event_claims)
_INSERT_LATER = insert_all(later_claims)


class PostgresEventKeys(EventKeys):
    """Unique keys that writers wait for."""

    def reserve_event_ids(self, connection: Connection, count: int) -> int:
        """Return the first of ``count`` ids that follow one another and that nobody else is given."""
        blocks = -(-count // EVENT_ID_BLOCK)
        while True:
            drawn = connection.exec_driver_sql("SELECT nextval('event_ids') FROM generate_series(1, %s)", (blocks,))
            starts = list(drawn.scalars())
            # Another writer may have drawn in between, which takes a few microseconds: these blocks are skipped then.
            if starts[-1] - starts[0] == (blocks - 1) * EVENT_ID_BLOCK:
                return int(starts[0])

    def insert_identities(self, connection: Connection, rows: Sequence[IdentityRow]) -> int:
        """Write the rows whose identity is not taken; return how many. Waits for writers of the same identities."""
        identities, event_ids, fingerprints = zip(*rows, strict=True)
        all_differ = len(set(identities)) == len(rows)
        if all_differ and _worth_a_copy(connection, _ANY_IDENTITY, identities, array_of_uuids):
            packed = [_pack_identity(3, 16, identity, 8, event_id, 8, fingerprint) for identity, event_id, fingerprint in rows]
            if _copied_if_all_are_new(connection, event_identities, packed):
                return len(rows)
        arrays = array_of_uuids(identities), array_of_integers(event_ids), array_of_integers(fingerprints)
        return connection.exec_driver_sql(_INSERT_IDENTITIES, arrays).rowcount

    def stored_identities(self, connection: Connection, identities: Sequence[bytes]) -> dict[bytes, StoredIdentity]:
        """Return what the identities that are taken belong to."""
        rows = connection.exec_driver_sql(_STORED_IDENTITIES, (array_of_uuids(identities),))
        return {bytes(identity): StoredIdentity(event_id, fingerprint) for identity, event_id, fingerprint in rows}

    def all_identities(self) -> FromClause:
        """Return where the identities are."""
        return event_identities

    def reserve_claims(self, connection: Connection, rows: Sequence[ClaimRow], start: int, end: int) -> ReservedClaims:
        """Write each claim with the first event that makes it, and return the events that had made it before.

        Waits for writers of the same claims.
        """
        written: dict[int, int] = {}
        for _, claim, event_id in rows:
            written.setdefault(claim, event_id)
        if _insert_claims(connection, sorted(written.items(), key=itemgetter(0))) == len(rows):
            return ReservedClaims({}, written, settled=True)
        held = connection.exec_driver_sql(_HOLD_CLAIMS, (array_of_integers(sorted(written)),))
        taken = [claim for claim, event_id in held if written[claim] != event_id]
        for claim in taken:
            del written[claim]
        return ReservedClaims(_claimants(connection, taken, start, end) if taken else {}, written)

    def lock_claims(self, connection: Connection, rows: Sequence[ClaimRow]) -> None:
        """Keep others from finding out, until the transaction ends, who made these claims."""
        connection.exec_driver_sql(_HOLD_CLAIMS, (array_of_integers(sorted({claim for _, claim, _ in rows})),))

    def claimants_of(self, connection: Connection, rows: Sequence[ClaimRow], start: int, end: int) -> dict[int, list[Claimant]]:
        """Return the events from ``start`` to ``end`` that made the claims, by claim."""
        return _claimants(connection, sorted({claim for _, claim, _ in rows}), start, end)

    def settle_claims(self, connection: Connection, reserved: ReservedClaims, rows: Sequence[ClaimRow]) -> None:
        """Make the claims that are written those of the events that count."""
        if reserved.settled:
            return
        made = sorted((claim, event_id) for _, claim, event_id in rows)
        of_copies = sorted(dict(reserved.written.items() - set(made)))
        if of_copies:
            connection.exec_driver_sql(_TAKE_BACK, (array_of_integers(of_copies),))
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
    if _worth_a_copy(connection, _ANY_CLAIM, claims, array_of_integers):
        packed = [_pack_claim(2, 8, claim, 8, event_id) for claim, event_id in rows]
        if _copied_if_all_are_new(connection, event_claims, packed):
            return len(rows)
    return connection.exec_driver_sql(_INSERT_CLAIMS, (array_of_integers(claims), array_of_integers(event_ids))).rowcount


def _worth_a_copy(
    connection: Connection, any_taken: str, keys: Sequence[Any], array_of: Callable[[Sequence[Any]], str]
) -> bool:
    """Whether there are many keys, and of some that are asked about none is taken."""
    if len(keys) < _WORTH_A_COPY:
        return False
    sample = keys[:: len(keys) // _SAMPLE]
    return not connection.exec_driver_sql(any_taken, (array_of(sample),)).scalar_one()


def _copied_if_all_are_new(connection: Connection, table: Table, packed: Sequence[bytes]) -> bool:
    """Write all rows, or none where a key is taken: COPY can not pass over one, but takes half of what passing over costs.

    Waits for writers of the same keys. Where it ends at a key that is taken, what it has written is left to be vacuumed, the
    server notes an error in its log, and the driver forgets its prepared statements.
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
