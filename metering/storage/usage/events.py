"""Writing events: identities, claims, rows, copies, conflicts, rollups. Reading what is already stored.

Everything is written in key order. Identities and claims are kept by the database's ``EventKeys``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, FromClause, Table, insert, select, tuple_
from sqlalchemy.exc import DBAPIError

from metering.domain.charges.ledger_sums import LedgerSums, MonthRollupKey, RollupKey
from metering.storage.charges.sums import read_stored_sums, row_of_sums, stored_sums
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
    "MAX_SUM",
    "NO_CLAIMS",
    "ClaimRow",
    "Claimant",
    "ConflictRow",
    "CopyRow",
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
    "month_rollups_with_keys",
    "reserve_claims",
    "reserve_event_ids",
    "rollups_with_keys",
    "settle_claims",
    "stored_identities",
]

_EVENT_COLUMNS = tuple(events.c.keys())

_INSERT_EVENTS = insert_all(events)
_INSERT_COPIES = insert_all(event_copies)
_INSERT_CONFLICTS = insert_new(event_conflicts)
_ADD_TO_ROLLUPS = add_to(rollups, key=RollupKey._fields)
_ADD_TO_MONTH_ROLLUPS = add_to(month_rollups, key=MonthRollupKey._fields)

MAX_SUM = 2**63 - 1
_Key = TypeVar("_Key", RollupKey, MonthRollupKey)
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


def insert_events(connection: Connection, columns: Mapping[str, Sequence[Any]]) -> None:
    """Append events; ``columns`` holds the values of all events under the name of each column of the log."""
    _INSERT_EVENTS.run_columns(connection, [columns[name] for name in _EVENT_COLUMNS])


def insert_receipt(connection: Connection, first_event_id: int, received_at: int) -> None:
    """Record when the events from ``first_event_id`` on arrived."""
    connection.execute(insert(receipts).values(first_event_id=first_event_id, received_at=received_at))


class CopyRow(NamedTuple):
    """A row of ``event_copies``; the ID is the one that its identity refers to."""

    id: int
    copy_of: int
    account_id: int
    source_id: int
    external_id: str
    event_time: int
    received_at: int
    content: str


class ConflictRow(NamedTuple):
    """A row of ``event_conflicts`` without its ID."""

    identity: bytes
    fingerprint: int
    event_id: int
    account_id: int
    source_id: int
    external_id: str
    received_at: int
    content: str


def insert_copies(connection: Connection, rows: list[CopyRow]) -> None:
    """Append copies."""
    _INSERT_COPIES.run(connection, rows)


def insert_conflicts(connection: Connection, rows: list[ConflictRow]) -> None:
    """Append conflicts in key order; the same content of the same identity is recorded once."""
    in_order = sorted(rows, key=lambda row: (row.identity, row.fingerprint))
    _INSERT_CONFLICTS.run(connection, [(None, *row) for row in in_order])


def add_to_rollups(connection: Connection, sums: Mapping[RollupKey, LedgerSums]) -> None:
    """Add signed sums to the daily and monthly rollups. Raises SumTooLargeError if a sum would exceed 64 bits."""
    months: dict[MonthRollupKey, LedgerSums] = {}
    for key, of_day in sums.items():
        month_key = key.month_key
        before = months.get(month_key)
        months[month_key] = of_day if before is None else before.plus(of_day)
    _add(connection, _ADD_TO_ROLLUPS, sums)
    _add(connection, _ADD_TO_MONTH_ROLLUPS, months)


def _add(connection: Connection, statement: BulkInsert, sums: Mapping[_Key, LedgerSums]) -> None:
    try:
        if any(max(each.values) > MAX_SUM or min(each.values) < -MAX_SUM for each in sums.values()):
            raise SumTooLargeError(_TOO_LARGE)
        statement.run(connection, [row_of_sums(key, sums[key]) for key in sorted(sums)])
    except DBAPIError as error:
        if is_overflow(error):
            raise SumTooLargeError(_TOO_LARGE) from error
        raise


_TOO_LARGE = "a sum of usage would exceed 64 bits; nothing was stored"


def rollups_with_keys(connection: Connection, keys: Iterable[RollupKey]) -> dict[RollupKey, LedgerSums]:
    """Return the sums of the daily rollups that exist, by key."""
    return {RollupKey(*key): sums for key, sums in _with_keys(connection, rollups, RollupKey._fields, keys)}


def month_rollups_with_keys(connection: Connection, keys: Iterable[MonthRollupKey]) -> dict[MonthRollupKey, LedgerSums]:
    """Return the sums of the monthly rollups that exist, by key."""
    return {MonthRollupKey(*key): sums for key, sums in _with_keys(connection, month_rollups, MonthRollupKey._fields, keys)}


def _with_keys(
    connection: Connection, table: Table, names: Sequence[str], keys: Iterable[tuple[int, ...]]
) -> Iterator[tuple[Sequence[int], LedgerSums]]:
    wanted = sorted(keys)
    key = [table.c[name] for name in names]
    statement = select(*key, *stored_sums(table))
    for start in range(0, len(wanted), _KEYS_PER_STATEMENT):
        part = wanted[start : start + _KEYS_PER_STATEMENT]
        for row in connection.execute(statement.where(tuple_(*key).in_(part))):
            yield row[: len(key)], read_stored_sums(row[len(key) :])
