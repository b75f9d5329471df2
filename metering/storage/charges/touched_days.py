"""Notes of days with new usage, for which budgets are to be evaluated: appended with the usage, deleted after the evaluation.

Equal notes are separate rows: writers never wait for each other, and an evaluation deletes only the notes it has read, so that
later usage is evaluated again.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, select

from metering.storage.engine.bulk import insert_all
from metering.storage.engine.sql import rows_at_once
from metering.storage.tables import touched_days
from metering.storage.tables.schema import Int64

_INSERT = insert_all(touched_days)
_IDS_A_STATEMENT = 500
_AFTER = select(touched_days).where(touched_days.c.id > bindparam("after", type_=Int64))


class TouchedDay(NamedTuple):
    """A UTC day of an account whose usage was counted or corrected; ``unpriced``: some of that usage is unpriced."""

    account_id: int
    event_day: int
    unpriced: bool


def insert_touched_days(connection: Connection, days: Iterable[TouchedDay]) -> None:
    """Append notes."""
    _INSERT.run(connection, [(None, day.account_id, day.event_day, int(day.unpriced)) for day in sorted(days)])


def touched_days_after(connection: Connection, *, after: int = 0) -> dict[int, TouchedDay]:
    """Return the notes with IDs above ``after``, by ID. Only on SQLite are IDs in the order of commits."""
    rows = rows_at_once(connection, _AFTER, {"after": after})
    return {note_id: TouchedDay(account_id, day, bool(unpriced)) for note_id, account_id, day, unpriced in rows}


def delete_touched_days(connection: Connection, ids: Collection[int]) -> None:
    """Delete notes, except those that another transaction is deleting."""
    wanted = sorted(ids)
    for start in range(0, len(wanted), _IDS_A_STATEMENT):
        in_part = touched_days.c.id.in_(wanted[start : start + _IDS_A_STATEMENT])
        statement = select(touched_days.c.id).where(in_part).order_by(touched_days.c.id).with_for_update(skip_locked=True)
        locked = list(connection.execute(statement).scalars())
        connection.execute(delete(touched_days).where(touched_days.c.id.in_(locked)))
