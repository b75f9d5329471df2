"""Events of ``unassigned`` that were assigned to an account."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, FromClause, Row, func, literal, select, true

from metering.domain.instants import MICROS_PER_DAY, month_of_day
from metering.storage.engine.bulk import insert_all
from metering.storage.tables import assigned_events, events, superseded_events
from metering.storage.tables.schema import Int64

_INSERT = insert_all(assigned_events)
_COLUMNS = [assigned_events.c[name] for name in ("event_id", "account_id", "event_time", "counted_as", "claims_identity")]


class AssignedEvent(NamedTuple):
    """An event that was assigned to an account. It counts there as the event ``counted_as``, usually itself."""

    event_id: int
    account_id: int
    event_time: int
    counted_as: int
    claims_identity: bool

    @property
    def is_counted(self) -> bool:
        """Whether the event counts. If not, the account had counted the same request before."""
        return self.counted_as == self.event_id


def insert_assigned(connection: Connection, rows: Sequence[AssignedEvent], *, now: int) -> None:
    """Append events, ordered by ID. The primary key makes assigning an event twice fail."""
    _INSERT.run(
        connection,
        [(row.event_id, row.account_id, row.event_time, row.counted_as, int(row.claims_identity), now) for row in sorted(rows)],
    )


def assigned_among(connection: Connection, event_ids: Sequence[int]) -> dict[int, AssignedEvent]:
    """Return the events that were assigned, by ID."""
    statement = select(*_COLUMNS).where(assigned_events.c.event_id.in_(event_ids))
    return {row.event_id: _assigned(row) for row in connection.execute(statement)}


def assigned_after(connection: Connection, *, after: int, limit: int) -> list[AssignedEvent]:
    """Return the assigned events after the ID ``after``, ordered by ID."""
    statement = select(*_COLUMNS).where(assigned_events.c.event_id > after).order_by(assigned_events.c.event_id).limit(limit)
    return [_assigned(row) for row in connection.execute(statement)]


def assigned_since(connection: Connection, account_id: int, instant: int) -> set[int]:
    """Return the IDs of the events that were assigned to an account after an instant."""
    statement = select(assigned_events.c.event_id).where(
        assigned_events.c.account_id == account_id, assigned_events.c.assigned_at > instant
    )
    return set(connection.execute(statement).scalars())


def has_assigned(connection: Connection, account_id: int) -> bool:
    """Whether any event was ever assigned to an account."""
    # Ordered like the index, so that the index is used however many rows the account has.
    statement = (
        select(assigned_events.c.event_time)
        .where(assigned_events.c.account_id == account_id)
        .order_by(assigned_events.c.event_time)
        .limit(1)
    )
    return connection.execute(statement).first() is not None


def count_second_identities(connection: Connection) -> int:
    """Return the number of assigned events that have a second identity, in their account."""
    statement = select(func.count()).select_from(assigned_events).where(assigned_events.c.claims_identity == 1)
    return int(connection.execute(statement).scalar_one())


def repeats_by_month(connection: Connection) -> dict[int, int]:
    """Return, by month (``YYYYMM``), how many events are in the log but in no sum, because they were only reversed.

    They are superseded, or assigned to an account that had counted them before.
    """
    repeats: dict[int, int] = {}
    for table, condition in (
        (assigned_events, assigned_events.c.counted_as != assigned_events.c.event_id),
        (superseded_events, true()),
    ):
        day = table.c.event_time // literal(MICROS_PER_DAY, Int64)
        for event_day, count in connection.execute(select(day, func.count()).where(condition).group_by(day)):
            month = month_of_day(event_day)
            repeats[month] = repeats.get(month, 0) + count
    return repeats


def is_assigned(log: FromClause = events) -> ColumnElement[bool]:
    """Return the SQL condition that a row of ``events``, or of an alias of it, was assigned."""
    return select(assigned_events.c.event_id).where(assigned_events.c.event_id == log.c.id).correlate(log).exists()


def _assigned(row: Row[Any]) -> AssignedEvent:
    return AssignedEvent(row.event_id, row.account_id, row.event_time, row.counted_as, bool(row.claims_identity))
