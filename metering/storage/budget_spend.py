"""What budgets are judged by: sums of an account over whole UTC days, from the rollups, by series.

Whole months come from the rollups by month, so that a quarter costs hardly more than a day.
"""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, FromClause, and_, case, func, select

from metering.domain.events import PriceGrade
from metering.domain.instants import first_day, next_month
from metering.domain.spend import whole_months
from metering.storage.sql import halved_sum, whole_sum
from metering.storage.tables import month_rollups, rollups, series

_UNPRICED = int(PriceGrade.UNPRICED)


class SeriesSpend(NamedTuple):
    """Charges of a series, nano-USD, and how many of its events have no price."""

    amount_nano: int
    unpriced_events: int


def spend_by_series(connection: Connection, account_id: int, start_day: int, end_day: int) -> dict[int, SeriesSpend]:
    """Return the sums of the account's series over the days ``[start_day, end_day)``, of those that have any."""
    found: dict[int, SeriesSpend] = {}
    for source, where in _sources(start_day, end_day):
        columns = (source.c.series_id, *halved_sum(source.c.amount_nano), _unpriced(source))
        statement = select(*columns).where(_of_account(source, account_id), where).group_by(source.c.series_id)
        for series_id, high, low, unpriced in connection.execute(statement):
            before = found.get(series_id, _NOTHING)
            amount = before.amount_nano + whole_sum(high, low)
            found[series_id] = SeriesSpend(amount, before.unpriced_events + int(unpriced))
    return found


def spend_by_day(connection: Connection, account_id: int, days: Collection[int]) -> dict[int, dict[int, SeriesSpend]]:
    """Return the same of single days, by day and series."""
    found: dict[int, dict[int, SeriesSpend]] = {}
    day = rollups.c.event_day
    statement = (
        select(day, rollups.c.series_id, *halved_sum(rollups.c.amount_nano), _unpriced(rollups))
        .where(_of_account(rollups, account_id), day.in_(sorted(days)))
        .group_by(day, rollups.c.series_id)
    )
    for day_, series_id, high, low, unpriced in connection.execute(statement):
        found.setdefault(day_, {})[series_id] = SeriesSpend(whole_sum(high, low), int(unpriced))
    return found


def unpriced_models(connection: Connection, account_id: int, months: Collection[int]) -> dict[tuple[int, str, str], int]:
    """Return how many events have no price by (event month ``YYYYMM``, provider, model), of those that have any."""
    key = (month_rollups.c.event_month, series.c.provider, series.c.model)
    events = func.sum(month_rollups.c.events)
    statement = (
        select(*key, events)
        .join_from(month_rollups, series, series.c.id == month_rollups.c.series_id)
        .where(
            series.c.account_id == account_id,
            month_rollups.c.event_month.in_(sorted(months)),
            month_rollups.c.price_grade == _UNPRICED,
        )
        .group_by(*key)
        .having(events > 0)
    )
    return {(month, provider, model): int(count) for month, provider, model, count in connection.execute(statement)}


_NOTHING = SeriesSpend(0, 0)


def _sources(start_day: int, end_day: int) -> list[tuple[FromClause, ColumnElement[bool]]]:
    months = whole_months(start_day, end_day) if start_day < end_day else ()
    if not months:
        return [(rollups, _within(start_day, end_day))]
    first, end = first_day(months[0]), first_day(next_month(months[-1]))
    ragged = [(start_day, first), (end, end_day)]
    of_months = month_rollups.c.event_month.between(months[0], months[-1])
    return [(month_rollups, of_months), *((rollups, _within(*days)) for days in ragged if days[0] < days[1])]


def _within(start_day: int, end_day: int) -> ColumnElement[bool]:
    return and_(rollups.c.event_day >= start_day, rollups.c.event_day < end_day)


def _of_account(source: FromClause, account_id: int) -> ColumnElement[bool]:
    # Led by the series, so that other accounts are not read.
    return source.c.series_id.in_(select(series.c.id).where(series.c.account_id == account_id))


def _unpriced(source: FromClause) -> ColumnElement[int]:
    return func.sum(case((source.c.price_grade == _UNPRICED, source.c.events), else_=0))
