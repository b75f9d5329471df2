"""Writing events: identities, claims, rows, copies, conflicts, rollups. Reading what is already stored.

Everything is written in key order. Identities and claims are kept by the database's ``EventKeys``.
"""

from collections.abc import Iterable, Iterator, Sequence
from operator import add
from typing import Any

from sqlalchemy import Connection, FromClause, Table, insert, select, tuple_
from sqlalchemy.exc import DBAPIError

from metering.domain.instants import month_of_day
from metering.storage.engine.backend import PerBackend
from metering.storage.engine.bulk import BulkInsert, add_to, insert_all, insert_new
from metering.storage.engine.errors import SumTooLargeError, is_overflow
from metering.storage.tables import event_conflicts, event_copies, events, month_rollups, receipts, rollups
from metering.storage.usage.event_keys import (
    NO_CLAIMS,
    Claimant,
    ClaimRow,
    EventKeys,
    IdentityRow,
    ReservedClaims,
    StoredIdentity,
)
from metering.storage.usage.postgres_event_keys import PostgresEventKeys
from metering.storage.usage.sqlite_event_keys import SqliteEventKeys

__all__ = [
    "EVENT_COLUMNS",
    "MAX_SUM",
    "NO_CLAIMS",
    "ROLLUP_KEY",
    "ClaimRow",
    "Claimant",
    "ReservedClaims",
    "StoredIdentity",
    "add_to_rollups",
    "all_identities",
    "claimants_of",
    "insert_conflicts",
    "insert_copies",
    "insert_events",
    "insert_identities",
    "insert_receipt",
    "lock_claims",
    "month_key_of",
    "month_rollups_with_keys",
    "reserve_claims",
    "reserve_event_ids",
    "rollups_with_keys",
    "settle_claims",
    "stored_identities",
]

EVENT_COLUMNS = tuple(events.c.keys())
ROLLUP_KEY = tuple(column.name for column in rollups.primary_key)

_INSERT_EVENTS = insert_all(events)
_INSERT_COPIES = insert_all(event_copies)
_INSERT_CONFLICTS = insert_new(event_conflicts)
_WIDTH = len(ROLLUP_KEY)
_DAY = ROLLUP_KEY.index("event_day")
_ADD_TO_ROLLUPS = add_to(rollups, key=ROLLUP_KEY)
_ADD_TO_MONTH_ROLLUPS = add_to(month_rollups, key=tuple(column.name for column in month_rollups.primary_key))

MAX_SUM = 2**63 - 1
_KEYS_PER_STATEMENT = 500


_KEYS: PerBackend[EventKeys] = PerBackend(sqlite=SqliteEventKeys(), postgres=PostgresEventKeys())


def reserve_event_ids(connection: Connection, count: int) -> int:
    """Return the first of ``count`` consecutive ids that no event and no copy has or will be given."""
    return _KEYS.of(connection).reserve_event_ids(connection, count)


def insert_identities(connection: Connection, rows: Sequence[IdentityRow]) -> int:
    """Write (identity, event id, fingerprint), in key order, where the identity is not taken; return how many."""
    return _KEYS.of(connection).insert_identities(connection, rows)


def stored_identities(connection: Connection, identities: Sequence[bytes]) -> dict[bytes, StoredIdentity]:
    """Return the owners of those of the identities that are taken."""
    return _KEYS.of(connection).stored_identities(connection, identities)


def all_identities(connection: Connection) -> FromClause:
    """Return all (identity, event_id, fingerprint), to select from."""
    return _KEYS.of(connection).all_identities()


def reserve_claims(connection: Connection, rows: Sequence[ClaimRow], start: int, end: int) -> ReservedClaims:
    """Reserve the claims for this transaction, and return who made them before.

    Only events from ``start`` to ``end`` (inclusive) are returned: others cannot be originals.
    """
    return _KEYS.of(connection).reserve_claims(connection, rows, start, end)


def lock_claims(connection: Connection, rows: Sequence[ClaimRow]) -> None:
    """Lock claims that exist, in their order, until the transaction ends; others that ask for them wait."""
    _KEYS.of(connection).lock_claims(connection, rows)


def claimants_of(connection: Connection, rows: Sequence[ClaimRow], start: int, end: int) -> dict[int, list[Claimant]]:
    """Return the events from ``start`` to ``end`` (inclusive) that made the claims, by claim."""
    return _KEYS.of(connection).claimants_of(connection, rows, start, end)


def settle_claims(connection: Connection, reserved: ReservedClaims, rows: Sequence[ClaimRow]) -> None:
    """Store ``rows``, the claims of the events that count, in place of those that were only reserved."""
    _KEYS.of(connection).settle_claims(connection, reserved, rows)


def insert_events(connection: Connection, columns: Sequence[Sequence[Any]]) -> None:
    """Append events; ``columns`` are EVENT_COLUMNS, each with the values of all events."""
    _INSERT_EVENTS.run_columns(connection, columns)


def insert_receipt(connection: Connection, first_event_id: int, received_at: int) -> None:
    """Record when the events from ``first_event_id`` on arrived."""
    connection.execute(insert(receipts).values(first_event_id=first_event_id, received_at=received_at))


def insert_copies(connection: Connection, rows: list[tuple[Any, ...]]) -> None:
    """Append copies; their ID is the one that their identity refers to."""
    _INSERT_COPIES.run(connection, rows)


def insert_conflicts(connection: Connection, rows: list[tuple[Any, ...]]) -> None:
    """Append conflicts in key order; the same content of the same identity is recorded once."""
    _INSERT_CONFLICTS.run(connection, sorted(rows, key=lambda row: row[1:3]))


def add_to_rollups(connection: Connection, rows: list[tuple[int, ...]]) -> None:
    """Add signed sums to the daily and monthly rollups; each row has the key of the daily one, then the sums, in order.

    Raises SumTooLargeError if a sum would exceed 64 bits.
    """
    _add(connection, _ADD_TO_ROLLUPS, sorted(rows))
    months: dict[tuple[int, ...], tuple[int, ...]] = {}
    for row in rows:
        key = month_key_of(row)
        before = months.get(key)
        months[key] = row[_WIDTH:] if before is None else tuple(map(add, before, row[_WIDTH:]))
    _add(connection, _ADD_TO_MONTH_ROLLUPS, sorted((*key, *sums) for key, sums in months.items()))


def _add(connection: Connection, statement: BulkInsert, rows: list[tuple[int, ...]]) -> None:
    try:
        if any(max(row) > MAX_SUM or min(row) < -MAX_SUM for row in rows):
            raise SumTooLargeError(_TOO_LARGE)
        statement.run(connection, rows)
    except DBAPIError as error:
        if is_overflow(error):
            raise SumTooLargeError(_TOO_LARGE) from error
        raise


_TOO_LARGE = "a sum of usage would exceed 64 bits; nothing was stored"


def month_key_of(row: tuple[int, ...]) -> tuple[int, ...]:
    """Return the key of the monthly rollup that a daily rollup, or its key, belongs to."""
    return (*row[:_DAY], month_of_day(row[_DAY]), *row[_DAY + 1 : _WIDTH])


def rollups_with_keys(connection: Connection, keys: Iterable[tuple[int, ...]]) -> dict[tuple[int, ...], tuple[int, ...]]:
    """Return the sums of the daily rollups that exist, by key."""
    return dict(_with_keys(connection, rollups, keys))


def month_rollups_with_keys(connection: Connection, keys: Iterable[tuple[int, ...]]) -> dict[tuple[int, ...], tuple[int, ...]]:
    """Return the sums of the monthly rollups that exist, by key."""
    return dict(_with_keys(connection, month_rollups, keys))


def _with_keys(
    connection: Connection, table: Table, keys: Iterable[tuple[int, ...]]
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    wanted = sorted(keys)
    for start in range(0, len(wanted), _KEYS_PER_STATEMENT):
        part = wanted[start : start + _KEYS_PER_STATEMENT]
        for row in connection.execute(select(table).where(tuple_(*table.primary_key).in_(part))):
            yield tuple(row[:_WIDTH]), tuple(row[_WIDTH:])
