"""The ledger: one signed entry for every charge ever written, with the quantities of its event.

The row of an event has its first charge (sign +1). Each row of ``charges`` is a later entry: a reversal (-1) or a replacement
(+1), with its series, rate, grade and billing month. The quantities of an entry are the event's times the sign. The rollups are
sums of these entries and of nothing else.
"""

from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Subquery,
    Table,
    and_,
    bindparam,
    case,
    func,
    literal,
    select,
    union_all,
)  # fmt: skip

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.domain.charges.ledger_sums import NO_EVENTS, EventsAndAmount, LedgerSums, MonthRollupKey, RollupKey
from metering.domain.instants import MICROS_PER_DAY, first_day, month_of_day, next_month
from metering.domain.usage.events import BILLED_ROUTES, FREE_GRADES
from metering.storage.charges.event_quantities import quantity, quantity_columns
from metering.storage.charges.sums import added_up, read_added_up, read_stored_sums, stored_sums
from metering.storage.engine.sql import halved_sum, whole_sum
from metering.storage.tables import accounts, charges, events, month_rollups, rollups, series
from metering.storage.tables.schema import Int64
from pricing.quantities import ALL_KINDS

_Instant = int | ColumnElement[int]


def entries(*, account_id: int | None = None, start: _Instant | None = None, end: _Instant | None = None) -> Subquery:
    """Return the entries of events in ``[start, end)``, with the columns of rollups and ``event_time``.

    With ``account_id``, some entries may belong to other accounts: filter by the account of the series, too. The account of an
    event never changes, except that an unassigned event may be assigned by a later charge.
    """
    first = (
        select(
            events.c.series_id,
            func.coalesce(events.c.rate_id, 0).label("rate_id"),
            events.c.price_grade,
            events.c.quantity_grade,
            billable(events.c.price_grade).label("billable"),
            _event_day(),
            events.c.billing_month,
            literal(1, Int64).label("events"),
            *quantity_columns(events),
            func.coalesce(events.c.charge_nano, 0).label("amount_nano"),
            events.c.event_time,
        )
        .join_from(events, series, series.c.id == events.c.series_id)
        .where(_of_account(account_id, {account_id}))
        .where(*_in_period(start, end))
    )
    later = _later().where(_of_account(account_id, {account_id, UNASSIGNED_ID})).where(*_in_period(start, end))
    return union_all(first, later).subquery("entries")


@cache
def _later() -> Select[tuple[int, ...]]:
    statement = select(
        charges.c.series_id,
        func.coalesce(charges.c.rate_id, 0).label("rate_id"),
        charges.c.price_grade,
        events.c.quantity_grade,
        billable(charges.c.price_grade).label("billable"),
        _event_day(),
        charges.c.billing_month,
        charges.c.sign.label("events"),
        *((quantity(events, kind) * charges.c.sign).label(kind) for kind in ALL_KINDS),
        charges.c.amount_nano,
        events.c.event_time,
    )
    return statement.join_from(charges, events, events.c.id == charges.c.event_id).join(
        series, series.c.id == charges.c.series_id
    )


def billable(price_grade: ColumnElement[int]) -> ColumnElement[int]:
    """Return 1 for entries that Hugging Face bills: its route is billed and the provider answered it; else 0."""
    billed = and_(series.c.route.in_(BILLED_ROUTES), price_grade.not_in([int(grade) for grade in FREE_GRADES]))
    return case((billed, literal(1, Int64)), else_=literal(0, Int64))


def _event_day() -> ColumnElement[int]:
    return (events.c.event_time // literal(MICROS_PER_DAY, Int64)).label("event_day")


def _of_account(account_id: int | None, own: set[int | None]) -> ColumnElement[bool]:
    # Name all accounts one by one, too: the index on the event time starts with the account.
    return events.c.account_id.in_(select(accounts.c.id) if account_id is None else sorted(filter(None, own)))


def _in_period(start: _Instant | None, end: _Instant | None) -> list[ColumnElement[bool]]:
    limits = []
    if start is not None:
        limits.append(events.c.event_time >= start)
    if end is not None:
        limits.append(events.c.event_time < end)
    return limits


def days_with_entries(connection: Connection) -> list[int]:
    """Return the UTC days with events or rollups, in order."""
    of_events = connection.execute(select(_event_day()).distinct()).scalars()
    of_rollups = connection.execute(select(rollups.c.event_day).distinct()).scalars()
    return sorted({*of_events, *of_rollups})


def ledger_sums(connection: Connection, day: int) -> dict[RollupKey, LedgerSums]:
    """Return the sums of the entries of a day's events, by rollup key."""
    rows = connection.execute(_ledger_sums(), {"start": day * MICROS_PER_DAY, "end": (day + 1) * MICROS_PER_DAY})
    size = len(RollupKey._fields)
    return {RollupKey(*row[:size]): read_added_up(row[size:]) for row in rows}


@cache
def _ledger_sums() -> Select[Any]:
    ledger = entries(start=bindparam("start", type_=Int64), end=bindparam("end", type_=Int64))
    key = [ledger.c[name] for name in RollupKey._fields]
    return select(*key, *added_up(ledger)).group_by(*key)


def rollup_sums(connection: Connection, day: int) -> dict[RollupKey, LedgerSums]:
    """Return the rollups of a day, by key."""
    return sums_of_day(connection, rollups, day)


def sums_of_day(connection: Connection, table: Table, day: int) -> dict[RollupKey, LedgerSums]:
    """Return the sums of a day from ``rollups`` or ``retired_rollups``, by key."""
    key = [table.c[name] for name in RollupKey._fields]
    rows = connection.execute(select(*key, *stored_sums(table)).where(table.c.event_day == day))
    return {RollupKey(*row[: len(key)]): read_stored_sums(row[len(key) :]) for row in rows}


def months_with_rollups(connection: Connection) -> list[int]:
    """Return the event months (``YYYYMM``) with rollups or month rollups, in order."""
    of_days = connection.execute(select(rollups.c.event_day).distinct()).scalars()
    of_months = connection.execute(select(month_rollups.c.event_month).distinct()).scalars()
    return sorted({*map(month_of_day, of_days), *of_months})


def month_sums_of_days(connection: Connection, month: int) -> dict[MonthRollupKey, LedgerSums]:
    """Return the sums of the rollups of a month's days, by month rollup key."""
    names = MonthRollupKey._fields
    key = [literal(month, Int64) if name == "event_month" else rollups.c[name] for name in names]
    groups = [rollups.c[name] for name in names if name != "event_month"]
    days = rollups.c.event_day.between(first_day(month), first_day(next_month(month)) - 1)
    rows = connection.execute(select(*key, *added_up(rollups)).where(days).group_by(*groups))
    return {MonthRollupKey(*row[: len(key)]): read_added_up(row[len(key) :]) for row in rows}


def month_sums(connection: Connection, month: int) -> dict[MonthRollupKey, LedgerSums]:
    """Return the month rollups of an event month, by key."""
    key = [month_rollups.c[name] for name in MonthRollupKey._fields]
    rows = connection.execute(select(*key, *stored_sums(month_rollups)).where(month_rollups.c.event_month == month))
    return {MonthRollupKey(*row[: len(key)]): read_stored_sums(row[len(key) :]) for row in rows}


def entry_sums_by_account(connection: Connection, start: int, end: int) -> dict[int, EventsAndAmount]:
    """Return the sums of the entries of ``[start, end)`` by account, computed without ``entries``.

    First charges count for the account of the event, later ones for the account of the series.
    """
    period = _in_period(start, end)
    first = (
        select(events.c.account_id, func.count(), *halved_sum(func.coalesce(events.c.charge_nano, 0)))
        .where(_of_account(None, set()), *period)
        .group_by(events.c.account_id)
    )
    later = (
        select(series.c.account_id, func.sum(charges.c.sign), *halved_sum(charges.c.amount_nano))
        .join_from(charges, events, events.c.id == charges.c.event_id)
        .join(series, series.c.id == charges.c.series_id)
        .where(_of_account(None, set()), *period)
        .group_by(series.c.account_id)
    )
    found: dict[int, EventsAndAmount] = {}
    for statement in (first, later):
        for account_id, count, high, low in connection.execute(statement):
            found[account_id] = found.get(account_id, NO_EVENTS).plus(int(count), whole_sum(high, low))
    return found
