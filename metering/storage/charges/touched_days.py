"""Notes of usage that is to be judged: appended where it is counted, taken away when it was judged.

A note is a row of its own even where there is an equal one: nobody waits for it, and whoever judges takes away only what he
saw, so that what arrives meanwhile is judged again.
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
_NOTED = select(touched_days).where(touched_days.c.id > bindparam("after", type_=Int64))


class TouchedDay(NamedTuple):
    """That usage of an account on a UTC day was counted or corrected; ``unpriced``: some of it has no price."""

    account_id: int
    event_day: int
    unpriced: bool


def insert_touched_days(connection: Connection, days: Iterable[TouchedDay]) -> None:
    """Append notes."""
    _INSERT.run(connection, [(None, day.account_id, day.event_day, int(day.unpriced)) for day in sorted(days)])


def touched_days_after(connection: Connection, *, after: int = 0) -> dict[int, TouchedDay]:
    """Return the notes that there are above an id, by id. Ids tell the order of commits on SQLite alone."""
    rows = rows_at_once(connection, _NOTED, {"after": after})
    return {note_id: TouchedDay(account_id, day, bool(unpriced)) for note_id, account_id, day, unpriced in rows}


def delete_touched_days(connection: Connection, ids: Collection[int]) -> None:
    """Take away notes; those that somebody else takes away at the moment are left to them."""
    wanted = sorted(ids)
    for start in range(0, len(wanted), _IDS_A_STATEMENT):
        of_part = touched_days.c.id.in_(wanted[start : start + _IDS_A_STATEMENT])
        statement = select(touched_days.c.id).where(of_part).order_by(touched_days.c.id).with_for_update(skip_locked=True)
        held = list(connection.execute(statement).scalars())
        connection.execute(delete(touched_days).where(touched_days.c.id.in_(held)))
