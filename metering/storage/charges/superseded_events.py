"""Events that no longer count: another event counts in their place, or they were withdrawn."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, FromClause, func, select, update

from metering.storage.engine.backend import backend_of
from metering.storage.engine.bulk import insert_all
from metering.storage.engine.sql import fetch_rows, is_in_list, list_parameter
from metering.storage.tables import events, superseded_events

_INSERT = insert_all(superseded_events)
_ANY = "SELECT 1 FROM superseded_events LIMIT 1"
_AMONG = "SELECT event_id, superseded_by, fingerprint FROM superseded_events WHERE event_id {among}"
_COUNTED_AS = "SELECT event_id, counted_as, NULL FROM assigned_events WHERE event_id {among} AND counted_as <> event_id"
_SUPERSEDING = "SELECT superseded_by FROM superseded_events WHERE superseded_by {among} AND passes_identity = 1"


class SupersededEvent(NamedTuple):
    """An event that no longer counts. ``superseded_by`` is the event that counts instead; None if it was withdrawn.

    ``fingerprint`` is the content digest of the record that counts instead. ``passes_identity``: that event was stored for this
    purpose, and has no separate identity.
    """

    event_id: int
    account_id: int
    event_time: int
    superseded_by: int | None
    fingerprint: int | None
    passes_identity: bool
    run_id: int | None


def insert_superseded(connection: Connection, rows: Sequence[SupersededEvent], *, now: int) -> None:
    """Append events, ordered by ID. The primary key makes superseding an event twice fail."""
    ordered = sorted(rows, key=itemgetter(0))
    _INSERT.run(connection, [(*row[:5], int(row.passes_identity), row.run_id, now) for row in ordered])


def replace_withdrawn(connection: Connection, rows: Sequence[SupersededEvent]) -> None:
    """Record which event counts in the place of each withdrawn event."""
    for row in sorted(rows):
        connection.execute(
            update(superseded_events)
            .where(superseded_events.c.event_id == row.event_id, superseded_events.c.superseded_by.is_(None))
            .values(
                superseded_by=row.superseded_by,
                fingerprint=row.fingerprint,
                passes_identity=+row.passes_identity,
                run_id=None,
            )
        )


def delete_withdrawn(connection: Connection, event_ids: Sequence[int]) -> None:
    """Make withdrawn events count again; the caller appends their charges."""
    if event_ids:
        sql = f"DELETE FROM superseded_events WHERE event_id {is_in_list(connection)}"
        connection.exec_driver_sql(backend_of(connection).driver_sql(sql), (list_parameter(connection, event_ids),))


def withdrawn_by(connection: Connection, run_id: int, event_ids: Sequence[int]) -> set[int]:
    """Return those of the events that a run withdrew and that no other record has replaced since."""
    sql = (
        f"SELECT event_id FROM superseded_events WHERE event_id {is_in_list(connection)} AND run_id = ?"
        " AND superseded_by IS NULL"
    )
    return {event_id for (event_id,) in fetch_rows(connection, sql, (list_parameter(connection, event_ids), run_id))}


def any_superseded(connection: Connection) -> bool:
    """Whether any event is superseded."""
    return bool(fetch_rows(connection, _ANY, ()))


class Head(NamedTuple):
    """The last event of a chain: each is superseded by the next. A withdrawn head does not count either.

    ``fingerprints`` are the content digests of the records that superseded earlier ones.
    """

    event_id: int
    withdrawn: bool = False
    fingerprints: frozenset[int] = frozenset()


def heads_of(connection: Connection, event_ids: Sequence[int], *, with_assigned: bool = False) -> dict[int, Head]:
    """Return, for those of the events that are superseded, the last event of their chain.

    ``with_assigned``: an assigned event that its account had counted before is followed to the one that counts.
    """
    superseded = any_superseded(connection)
    tables = [*([_AMONG] if superseded else []), *([_COUNTED_AS] if with_assigned else [])]
    if not event_ids or not tables:
        return {}
    heads: dict[int, Head] = {}
    open_ends = {event_id: event_id for event_id in event_ids}
    while open_ends:
        among = sorted(set(open_ends.values()))
        following = {
            event_id: (after, fingerprint)
            for table in tables
            for event_id, after, fingerprint in rows_among(connection, table, among)
        }
        next_ends = {}
        for start, at in open_ends.items():
            if at not in following:
                continue
            after, fingerprint = following[at]
            before = heads[start].fingerprints if start in heads else frozenset()
            if after is None:
                heads[start] = Head(at, withdrawn=True, fingerprints=before)
                continue
            heads[start] = Head(after, fingerprints=before if fingerprint is None else before | {fingerprint})
            next_ends[start] = after
        open_ends = next_ends
    return heads


def rows_among(connection: Connection, sql: str, event_ids: Sequence[int]) -> list[Any]:
    """Return the rows of ``sql``, in which ``{among}`` is the condition that a column is one of the events."""
    return fetch_rows(connection, sql.format(among=is_in_list(connection)), (list_parameter(connection, event_ids),))


def superseding_among(connection: Connection, event_ids: Sequence[int]) -> set[int]:
    """Return those of the events that were stored to count in the place of another one."""
    if not event_ids or not any_superseded(connection):
        return set()
    return {event_id for (event_id,) in rows_among(connection, _SUPERSEDING, event_ids)}


def superseding_fingerprints(connection: Connection, event_ids: Sequence[int]) -> dict[int, int]:
    """Return the content digests of the records that events were stored with to count in the place of others, by event ID."""
    if not event_ids or not any_superseded(connection):
        return {}
    sql = "SELECT superseded_by, fingerprint FROM superseded_events WHERE superseded_by {among} AND passes_identity = 1"
    return dict(rows_among(connection, sql, event_ids))


def count_superseding(connection: Connection) -> int:
    """Return the number of events that count in the place of another one and have no separate identity."""
    statement = select(func.count()).select_from(superseded_events).where(superseded_events.c.passes_identity == 1)
    return int(connection.execute(statement).scalar_one())


def superseded_after(connection: Connection, *, after: int, limit: int) -> list[SupersededEvent]:
    """Return the superseded events after the ID ``after``, ordered by ID."""
    columns = [superseded_events.c[name] for name in SupersededEvent._fields]
    statement = select(*columns).where(superseded_events.c.event_id > after).order_by(superseded_events.c.event_id)
    return [SupersededEvent(*row) for row in connection.execute(statement.limit(limit))]


def is_superseded(log: FromClause = events) -> ColumnElement[bool]:
    """Return the SQL condition that a row of ``events``, or of an alias of it, no longer counts."""
    return select(superseded_events.c.event_id).where(superseded_events.c.event_id == log.c.id).correlate(log).exists()
