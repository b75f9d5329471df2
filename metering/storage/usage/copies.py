"""Copies with their originals, and orphaned identities."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, exists, func, select

from metering.storage.charges.superseded_events import any_superseded, rows_among
from metering.storage.engine.sql import fetch_rows, is_in_list, list_parameter
from metering.storage.tables import event_copies, events, sources
from metering.storage.usage.events import all_identities

_PREDECESSORS = "SELECT superseded_by, event_id, 1 - passes_identity FROM superseded_events WHERE superseded_by {among}"
_REPEATS = (
    "SELECT counted_as, event_id, claims_identity FROM assigned_events WHERE counted_as {among} AND counted_as <> event_id"
)


def copies_after(connection: Connection, *, after: int, limit: int) -> list[Row[Any]]:
    """Return the copies after the ID ``after``, each with its ``source`` and the account, source and time of its original."""
    statement = (
        select(
            event_copies,
            sources.c.name.label("source"),
            sources.c.derived.label("source_derived"),
            events.c.account_id.label("original_account"),
            events.c.source_id.label("original_source"),
            events.c.event_time.label("original_time"),
        )
        .join_from(event_copies, events, events.c.id == event_copies.c.copy_of)
        .join(sources, sources.c.id == event_copies.c.source_id)
        .where(event_copies.c.id > after)
        .order_by(event_copies.c.id)
        .limit(limit)
    )
    return list(connection.execute(statement))


def copies_by_id(connection: Connection, event_ids: Sequence[int]) -> dict[int, int]:
    """Return those IDs that are copies, each with the ID of its original."""
    statement = select(event_copies.c.id, event_copies.c.copy_of).where(event_copies.c.id.in_(event_ids))
    return {row.id: row.copy_of for row in connection.execute(statement.order_by(event_copies.c.id))}


def events_with_copies(connection: Connection, event_ids: Sequence[int]) -> set[int]:
    """Return those of the events that another source recorded too."""
    sql = f"SELECT copy_of FROM event_copies WHERE copy_of {is_in_list(connection)}"
    return {event_id for (event_id,) in fetch_rows(connection, sql, (list_parameter(connection, event_ids),))}


def recorded_twice_among(connection: Connection, event_ids: Sequence[int]) -> set[int]:
    """Return those of the events whose request another source recorded too: as a copy, or as an event that counted before."""
    tables = [_REPEATS, *([_PREDECESSORS] if any_superseded(connection) else [])]
    # By the event that counts now: the events of its chain.
    counted_as = {event_id: event_id for event_id in event_ids}
    found: set[int] = set()
    open_ends = sorted(event_ids)
    while open_ends:
        found.update(counted_as[event_id] for event_id in events_with_copies(connection, open_ends))
        following = []
        for table in tables:
            for after, before, is_of_another in rows_among(connection, table, open_ends):
                if before not in counted_as:
                    counted_as[before] = counted_as[after]
                    following.append(before)
                if is_of_another:
                    found.add(counted_as[after])
        open_ends = sorted(following)
    return found


def count_identities(connection: Connection) -> tuple[int, int]:
    """Return (number of identities, number of events and copies together)."""
    identities, counted, copied = (
        connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in (all_identities(connection), events, event_copies)
    )
    return identities, counted + copied


def orphaned_identities(connection: Connection, *, limit: int) -> list[tuple[bytes, int]]:
    """Return identities, each with its event ID, that belong to neither an event nor a copy."""
    identities = all_identities(connection)
    statement = (
        select(identities.c.identity, identities.c.event_id)
        .where(
            ~exists().where(events.c.id == identities.c.event_id),
            ~exists().where(event_copies.c.id == identities.c.event_id),
        )
        .order_by(identities.c.identity)
        .limit(limit)
    )
    return [(bytes(row.identity), row.event_id) for row in connection.execute(statement)]
