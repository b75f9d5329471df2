"""Writing events: identities, claims, rows, copies, conflicts, rollups. Reading what is already there.

Everything is written in key order. How a key is claimed differs: ``sqlite_events`` and ``postgres_events`` offer the same five
functions.
"""

from collections.abc import Sequence
from operator import add
from typing import Any, Protocol, cast

from sqlalchemy import Connection, FromClause, insert

from metering.domain.instants import month_of_day
from metering.storage import postgres_events, sqlite_events
from metering.storage.bulk import add_to, insert_all, insert_new
from metering.storage.event_keys import NO_CLAIMS, Claimant, HeldClaims, StoredIdentity
from metering.storage.tables import event_conflicts, event_copies, events, month_rollups, receipts, rollups

__all__ = [
    "EVENT_COLUMNS",
    "NO_CLAIMS",
    "ROLLUP_KEY",
    "Claimant",
    "HeldClaims",
    "StoredIdentity",
    "add_to_rollups",
    "all_identities",
    "hold_claims",
    "insert_conflicts",
    "insert_copies",
    "insert_events",
    "insert_identities",
    "insert_receipt",
    "settle_claims",
    "stored_identities",
    "take_event_ids",
]

EVENT_COLUMNS = tuple(events.c.keys())
ROLLUP_KEY = tuple(column.name for column in rollups.primary_key)

_INSERT_EVENTS = insert_all(events)
_INSERT_COPIES = insert_all(event_copies)
_INSERT_CONFLICTS = insert_new(event_conflicts)
_DAY = ROLLUP_KEY.index("event_day")
_ADD_TO_ROLLUPS = add_to(rollups, key=ROLLUP_KEY)
_ADD_TO_MONTH_ROLLUPS = add_to(month_rollups, key=tuple(column.name for column in month_rollups.primary_key))


class Keys(Protocol):
    """How a database keeps what makes an event count once."""

    def take_event_ids(self, connection: Connection, count: int) -> int:
        """See below."""

    def insert_identities(self, connection: Connection, rows: Sequence[tuple[bytes, int, int]]) -> int:
        """See below."""

    def stored_identities(self, connection: Connection, identities: Sequence[bytes]) -> dict[bytes, StoredIdentity]:
        """See below."""

    def all_identities(self) -> FromClause:
        """See below."""

    def hold_claims(self, connection: Connection, rows: Sequence[tuple[int, int]], start: int, end: int) -> HeldClaims:
        """See below."""

    def settle_claims(self, connection: Connection, held: HeldClaims, rows: Sequence[tuple[int, int]]) -> None:
        """See below."""


def take_event_ids(connection: Connection, count: int) -> int:
    """Return the first of ``count`` ids that follow one another; no event and no copy has them or will be given them."""
    return _keys(connection).take_event_ids(connection, count)


def insert_identities(connection: Connection, rows: Sequence[tuple[bytes, int, int]]) -> int:
    """Write (identity, event id, fingerprint), in key order, where the identity is not taken; return how many were new."""
    return _keys(connection).insert_identities(connection, rows)


def stored_identities(connection: Connection, identities: Sequence[bytes]) -> dict[bytes, StoredIdentity]:
    """Return what the identities that are taken belong to."""
    return _keys(connection).stored_identities(connection, identities)


def all_identities(connection: Connection) -> FromClause:
    """Return all (identity, event_id, fingerprint) that there are, to ask about."""
    return _keys(connection).all_identities()


def hold_claims(connection: Connection, rows: Sequence[tuple[int, int]], start: int, end: int) -> HeldClaims:
    """Take the claims of (claim, event id) for this transaction, and return who made them before.

    Only events that happened from ``start`` to ``end`` (inclusive) are looked for: others can not be originals.
    """
    return _keys(connection).hold_claims(connection, rows, start, end)


def settle_claims(connection: Connection, held: HeldClaims, rows: Sequence[tuple[int, int]]) -> None:
    """Make ``rows``, the claims of the events that count, those that are written."""
    _keys(connection).settle_claims(connection, held, rows)


def insert_events(connection: Connection, values: list[Any]) -> None:
    """Append events; ``values`` holds EVENT_COLUMNS of one event after the other."""
    _INSERT_EVENTS.run_flat(connection, values)


def insert_receipt(connection: Connection, first_event_id: int, received_at: int) -> None:
    """Note when the events from ``first_event_id`` on arrived."""
    connection.execute(insert(receipts).values(first_event_id=first_event_id, received_at=received_at))


def insert_copies(connection: Connection, rows: list[tuple[Any, ...]]) -> None:
    """Append copies; the id is the one their identity points at."""
    _INSERT_COPIES.run(connection, rows)


def insert_conflicts(connection: Connection, rows: list[tuple[Any, ...]]) -> None:
    """Append conflicts in key order; the same content for the same identity is recorded once."""
    _INSERT_CONFLICTS.run(connection, sorted(rows, key=lambda row: row[1:3]))


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


def _keys(connection: Connection) -> Keys:
    return cast("Keys", postgres_events if connection.dialect.name == "postgresql" else sqlite_events)
