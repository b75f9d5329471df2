"""Identities and claims on SQLite, where the write lock lets nobody in between looking and writing."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from metering.storage.bulk import insert_all, insert_new
from metering.storage.event_keys import Claimant, HeldClaims, StoredIdentity
from metering.storage.tables import event_claims, event_copies, event_identities, events

_INSERT_IDENTITIES = insert_new(event_identities)
_INSERT_CLAIMS = insert_all(event_claims)
_IDENTITIES_A_QUERY = 500

_CLAIMANTS = """
SELECT event_claims.claim, events.id, events.account_id, events.source_id, events.event_time
FROM json_each(?) AS wanted
JOIN event_claims ON event_claims.claim = wanted.value
JOIN events ON events.id = event_claims.event_id
WHERE events.event_time BETWEEN ? AND ?
ORDER BY event_claims.claim, events.id
"""


def take_event_ids(connection: Connection, count: int) -> int:  # noqa: ARG001 - all ids from here on are free
    """Return the first id that no event and no copy has."""
    newest = connection.execute(
        select(
            func.coalesce(select(func.max(events.c.id)).scalar_subquery(), 0),
            func.coalesce(select(func.max(event_copies.c.id)).scalar_subquery(), 0),
        )
    ).one()
    return max(int(newest[0]), int(newest[1])) + 1


def insert_identities(connection: Connection, rows: Sequence[tuple[bytes, int, int]]) -> int:
    """Write the rows whose identity is not taken; return how many."""
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


def hold_claims(connection: Connection, rows: Sequence[tuple[int, int]], start: int, end: int) -> HeldClaims:
    """Return the events that make any of the claims; nobody else writes, and nothing is written yet."""
    wanted = msgspec.json.encode(sorted({claim for claim, _ in rows})).decode()
    known: dict[int, list[Claimant]] = {}
    for claim, *claimant in connection.exec_driver_sql(_CLAIMANTS, (wanted, start, end)):
        known.setdefault(claim, []).append(Claimant(*claimant))
    return HeldClaims(known, {})


def settle_claims(connection: Connection, _: HeldClaims, rows: Sequence[tuple[int, int]]) -> None:
    """Append the claims of the events that count."""
    _INSERT_CLAIMS.run(connection, sorted(rows))
