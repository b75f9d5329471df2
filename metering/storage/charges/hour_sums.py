"""Spend of accounts in recent hours. Each hour is summed once from the event log and stored for comparison with later hours.

An hour is marked before it is summed, and its sums are stored only if the mark is still there: late usage of an hour deletes
its sums and its mark. Rows of ``summed_hours`` are locked in the order of the hours, to avoid deadlocks.
"""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, select, update

from metering.domain.instants import MICROS_PER_HOUR
from metering.storage.charges.superseded_events import is_superseded
from metering.storage.engine.sql import halved_sum, whole_sum
from metering.storage.tables import (
    assigned_events,
    charges,
    events,
    hour_sums,
    rollups,
    series,
    summed_hours,
    superseded_events,
)


def accounts_with_usage(connection: Connection, day: int) -> list[int]:
    """Return the accounts with usage on a UTC day."""
    statement = (
        select(series.c.account_id)
        .join_from(rollups, series, series.c.id == rollups.c.series_id)
        .where(rollups.c.event_day == day)
        .distinct()
    )
    return sorted(connection.execute(statement).scalars())


def spent_in_hour(connection: Connection, account_ids: Collection[int], hour: int) -> tuple[dict[int, int], int]:
    """Return the sums of the first charges of an hour (since 1970) by account, and the number of events read.

    Assigned events count with their later charges.
    """
    start = hour * MICROS_PER_HOUR
    statement = (
        select(events.c.account_id, *halved_sum(func.coalesce(events.c.charge_nano, 0)), func.count())
        .where(
            events.c.account_id.in_(account_ids),
            events.c.event_time >= start,
            events.c.event_time < start + MICROS_PER_HOUR,
            ~is_superseded(),
        )
        .group_by(events.c.account_id)
    )
    spent: dict[int, int] = {}
    read = 0
    for query in (statement, _assigned_in_hour(account_ids, start)):
        for account_id, high, low, count in connection.execute(query):
            spent[account_id] = spent.get(account_id, 0) + whole_sum(high, low)
            read += count
    return spent, read


def _assigned_in_hour(account_ids: Collection[int], start: int) -> Select[Any]:
    return (
        select(series.c.account_id, *halved_sum(charges.c.amount_nano), func.count())
        .join_from(assigned_events, charges, charges.c.event_id == assigned_events.c.event_id)
        .join(series, series.c.id == charges.c.series_id)
        .where(
            series.c.account_id.in_(account_ids),
            assigned_events.c.account_id.in_(account_ids),
            assigned_events.c.event_time >= start,
            assigned_events.c.event_time < start + MICROS_PER_HOUR,
            assigned_events.c.event_id.not_in(select(superseded_events.c.event_id)),
        )
        .group_by(series.c.account_id)
    )


def hours_summed(connection: Connection, first: int, end: int) -> dict[int, int]:
    """Return when each hour in ``[first, end)`` was summed. Hours that are only marked are left out."""
    statement = select(summed_hours).where(
        summed_hours.c.hour >= first, summed_hours.c.hour < end, summed_hours.c.summed_at >= 0
    )
    return {row.hour: row.summed_at for row in connection.execute(statement)}


def mark_hours(connection: Connection, hours: Collection[int], *, now: int) -> None:
    """Mark hours as about to be summed. Commit before reading the events."""
    _delete(connection, summed_hours.c.hour.in_(hours))
    connection.execute(insert(summed_hours), [{"hour": hour, "summed_at": -now} for hour in sorted(hours)])


def store_hour(connection: Connection, hour: int, spent: dict[int, int], *, now: int) -> bool:
    """Store the sums of an hour, replacing earlier ones. Return whether they were stored.

    They are not if the mark of ``now`` is gone: usage of the hour may have been counted after ``spent`` was read.
    """
    marked = summed_hours.c.hour == hour, summed_hours.c.summed_at == -now
    if not connection.execute(update(summed_hours).where(*marked).values(summed_at=now)).rowcount:
        return False
    connection.execute(delete(hour_sums).where(hour_sums.c.hour == hour))
    rows = [{"hour": hour, "account_id": account, "amount_nano": amount} for account, amount in sorted(spent.items()) if amount]
    if rows:
        connection.execute(insert(hour_sums), rows)
    return True


def delete_hours_of_days(connection: Connection, days: Iterable[int]) -> None:
    """Delete the hours of days with new usage, so that they are summed again."""
    for day in sorted(set(days)):
        _delete(connection, summed_hours.c.hour.between(24 * day, 24 * day + 23))


def delete_hours_before(connection: Connection, hour: int) -> None:
    """Delete hours that are too old to compare with."""
    _delete(connection, summed_hours.c.hour < hour)
    connection.execute(delete(hour_sums).where(hour_sums.c.hour < hour))


def recent_hours(connection: Connection, account_id: int, first: int, end: int) -> dict[int, int]:
    """Return the stored spend of an account by hour, for hours in ``[first, end)`` with spend."""
    statement = select(hour_sums.c.hour, hour_sums.c.amount_nano).where(
        hour_sums.c.account_id == account_id, hour_sums.c.hour >= first, hour_sums.c.hour < end
    )
    return {row.hour: row.amount_nano for row in connection.execute(statement)}


def _delete(connection: Connection, which: ColumnElement[bool]) -> None:
    # A DELETE locks rows in any order, so lock them in the order of the hours first.
    lock = select(summed_hours.c.hour).where(which).order_by(summed_hours.c.hour).with_for_update()
    hours = list(connection.execute(lock).scalars())
    connection.execute(delete(summed_hours).where(summed_hours.c.hour.in_(hours)))
