"""The spend that budgets are compared with: an account's sums by series over whole UTC days, from the rollups.

Whole months come from the monthly rollups, so a quarter costs hardly more than a day.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, FromClause, Select, bindparam, case, func, literal_column, select

from metering.domain.charges.spend import whole_months
from metering.domain.instants import first_day, next_month
from metering.domain.usage.events import PriceGrade
from metering.storage.engine.sql import halved_sum, rows_at_once, whole_sum
from metering.storage.tables import month_rollups, rollups, series
from metering.storage.tables.schema import Int64

_UNPRICED = int(PriceGrade.UNPRICED)


class SeriesSpend(NamedTuple):
    """The charges of a series in nano-USD, and the number of its events without a price."""

    amount_nano: int
    unpriced_events: int

    def plus(self, other: "SeriesSpend") -> "SeriesSpend":
        """Return the two added up."""
        return SeriesSpend(self.amount_nano + other.amount_nano, self.unpriced_events + other.unpriced_events)


def spend_by_series(connection: Connection, account_id: int, start_day: int, end_day: int) -> dict[int, SeriesSpend]:
    """Return an account's spend by series over the days ``[start_day, end_day)``; series without usage are omitted."""
    by_series: dict[int, SeriesSpend] = {}
    for statement, first, last in _sources(start_day, end_day):
        parameters = {"account_id": account_id, "first": first, "last": last}
        for series_id, high, low, unpriced in rows_at_once(connection, statement, parameters):
            before = by_series.get(series_id, _NOTHING)
            amount = before.amount_nano + whole_sum(high, low)
            by_series[series_id] = SeriesSpend(amount, before.unpriced_events + int(unpriced))
    return by_series


def spend_by_day(connection: Connection, account_id: int, days: Collection[int]) -> dict[int, dict[int, SeriesSpend]]:
    """Return the spend of single days, by day and series."""
    by_day: dict[int, dict[int, SeriesSpend]] = {}
    parameters = {"account_id": account_id, "days": sorted(days)}
    for day, series_id, high, low, unpriced in rows_at_once(connection, _OF_SINGLE_DAYS, parameters):
        by_day.setdefault(day, {})[series_id] = SeriesSpend(whole_sum(high, low), int(unpriced))
    return by_day


def unpriced_models(connection: Connection, account_id: int, months: Collection[int]) -> dict[tuple[int, str, str], int]:
    """Return how many events have no price, by (event month ``YYYYMM``, provider, model); only counts above zero."""
    parameters = {"account_id": account_id, "months": sorted(months)}
    rows = rows_at_once(connection, _UNPRICED_MODELS, parameters)
    return {(month, provider, model): int(count) for month, provider, model, count in rows}


_NOTHING = SeriesSpend(0, 0)


def _sources(start_day: int, end_day: int) -> list[tuple[Select[Any], int, int]]:
    """Return the statements that cover the days, each with its first and last day or month."""
    months = whole_months(start_day, end_day) if start_day < end_day else ()
    if not months:
        return [(_OF_DAYS, start_day, end_day - 1)]
    first, end = first_day(months[0]), first_day(next_month(months[-1]))
    ragged = [(start_day, first - 1), (end, end_day - 1)]
    return [(_OF_MONTHS, months[0], months[-1]), *((_OF_DAYS, *days) for days in ragged if days[0] <= days[1])]


def _sums(source: FromClause, *key: ColumnElement[int], where: ColumnElement[bool]) -> Select[Any]:
    # Driven by the series, so that rows of other accounts are not read.
    own = source.c.series_id.in_(select(series.c.id).where(series.c.account_id == bindparam("account_id", type_=Int64)))
    unpriced = func.sum(case((source.c.price_grade == _UNPRICED, source.c.events), else_=0))
    columns = (*key, source.c.series_id)
    return select(*columns, *halved_sum(source.c.amount_nano), unpriced).where(own, where).group_by(*columns)


def _unpriced_models() -> Select[Any]:
    # Driven by the series as well: adding zero to the month keeps the planner from using the index on months, which spans all
    # accounts.
    month = month_rollups.c.event_month + literal_column("0", Int64)
    key = (month.label("event_month"), series.c.provider, series.c.model)
    events = func.sum(month_rollups.c.events)
    return (
        select(*key, events)
        .join_from(series, month_rollups, series.c.id == month_rollups.c.series_id)
        .where(
            series.c.account_id == bindparam("account_id", type_=Int64),
            month_rollups.c.rate_id == 0,
            month_rollups.c.price_grade == _UNPRICED,
            month.in_(bindparam("months", expanding=True, type_=Int64)),
        )
        .group_by(*key)
        .having(events > 0)
    )


# Built once: building a statement takes as long as executing it.
_UNPRICED_MODELS = _unpriced_models()
_FIRST, _LAST = bindparam("first", type_=Int64), bindparam("last", type_=Int64)
_OF_DAYS = _sums(rollups, where=rollups.c.event_day.between(_FIRST, _LAST))
_OF_MONTHS = _sums(month_rollups, where=month_rollups.c.event_month.between(_FIRST, _LAST))
_OF_SINGLE_DAYS = _sums(
    rollups, rollups.c.event_day, where=rollups.c.event_day.in_(bindparam("days", expanding=True, type_=Int64))
)
