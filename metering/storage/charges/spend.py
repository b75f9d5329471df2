"""Sums for spend queries: whole months and days from the rollups, finer periods from the ledger.

All sources have the same columns, so one statement works for each.
"""

from collections.abc import Iterator
from functools import reduce
from operator import add
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, FromClause, and_, case, func, literal, or_, select

from metering.domain.charges.spend import (
    CODED_VALUES,
    SERIES_DIMENSIONS,
    TAG_PREFIX,
    Granularity,
    PeriodBasis,
    SpendQuery,
    SpendSums,
    finer_than_days,
    months_between,
    whole_days,
    whole_months,
)
from metering.domain.instants import MICROS_PER_HOUR, day_number, first_date, first_day, month_of, next_month
from metering.domain.usage.events import UNKNOWN, PriceGrade, QuantityGrade
from metering.domain.usage.series import OTHER
from metering.storage.charges.event_quantities import quantity
from metering.storage.charges.ledger import entries
from metering.storage.charges.sums import added_up, read_added_up
from metering.storage.engine.sql import is_not_zero, json_string
from metering.storage.tables import account_names, month_rollups, rollups, series
from metering.storage.tables.schema import Int64
from pricing.quantities import TOKEN_KINDS


class GroupSums(NamedTuple):
    """Sums of one group in one period.

    ``group`` holds what the database stores: ids of accounts and rates, numbers of grades. ``period`` is 0 with granularity
    total, else the hour or day since 1970 or the month.
    """

    group: tuple[Any, ...]
    period: int
    sums: SpendSums


def spend_sums(connection: Connection, query: SpendQuery, *, limit: int) -> list[GroupSums]:
    """Return the sums for a query, at most ``limit`` from each source. A group can be returned several times."""
    if query.period_basis is PeriodBasis.BILLING:
        billed: FromClause = rollups if query.granularity is Granularity.DAY else month_rollups
        months = and_(billed.c.billing_month >= month_of(query.start), billed.c.billing_month < month_of(query.end))
        return _sums(connection, billed, months, query, limit)
    found = []
    for source, where in _sources(query):
        found += _sums(connection, source, where, query, limit)
    return found


class UnpricedSums(NamedTuple):
    """Unpriced usage of one group, period, account, kind of request and day (since 1970), with known quantities.

    The provider or the route is unknown.
    """

    group: tuple[Any, ...]
    period: int
    account_id: int
    route: str
    provider: str
    model: str
    operation: str
    day: int
    events: int
    quantities: tuple[int, ...]


def has_unknown_series(connection: Connection, account_id: int | None) -> bool:
    """Whether any series of an account, or of all, has an unknown provider or route."""
    statement = select(series.c.id).where(or_(series.c.provider == UNKNOWN, series.c.route == UNKNOWN)).limit(1)
    if account_id is not None:
        statement = statement.where(series.c.account_id == account_id)
    return connection.execute(statement).first() is not None


def unpriced_sums(connection: Connection, query: SpendQuery, *, limit: int) -> list[UnpricedSums]:
    """Return the unpriced usage of a query whose provider or route is unknown, at most ``limit`` rows from each source."""
    found: list[UnpricedSums] = []
    for source, where in _sources_by_day(query):
        group = [_dimension(source, name) for name in query.group_by]
        of_series = [series.c[name] for name in ("account_id", "route", "provider", "model", "operation")]
        key = [*group, _period(source, query), *of_series, source.c.event_day]
        totals = added_up(source)
        statement = (
            select(*key, *totals)
            .join_from(source, series, series.c.id == source.c.series_id)
            .where(
                where,
                source.c.price_grade == int(PriceGrade.UNPRICED),
                source.c.quantity_grade != int(QuantityGrade.UNSTATED),
                or_(series.c.provider == UNKNOWN, series.c.route == UNKNOWN),
                *_filters(source, query),
            )
            # By columns, not by positions: the period may be a constant.
            .group_by(*group, *([] if query.granularity is Granularity.TOTAL else [key[len(group)]]), *key[len(group) + 1 :])
            .having(totals[0] > 0)
            .limit(limit)
        )
        for row in connection.execute(statement):
            names, sums = row[len(group) : len(key)], read_added_up(row[len(key) :])
            period, account_id, route, provider, model, operation, day = names
            found.append(
                UnpricedSums(
                    tuple(row[: len(group)]), int(period), account_id, route, provider, model, operation, day, sums.events,
                    sums.quantities,
                )
            )  # fmt: skip
    return found


def _sources_by_day(query: SpendQuery) -> Iterator[tuple[FromClause, ColumnElement[bool]]]:
    """Yield the sources for a query that tell days apart."""
    if query.period_basis is PeriodBasis.BILLING:
        month = rollups.c.billing_month
        yield rollups, and_(month >= month_of(query.start), month < month_of(query.end))
        return
    if query.granularity is not Granularity.HOUR:
        first, last = whole_days(query.start, query.end)
        if first < last:
            yield rollups, and_(rollups.c.event_day >= first, rollups.c.event_day < last)
    for start, end in finer_than_days(query):
        yield entries(account_id=query.account_id, start=start, end=end), literal(1) == 1


def _sources(query: SpendQuery) -> Iterator[tuple[FromClause, ColumnElement[bool]]]:
    """Yield the sources for a query by event time: whole months, then whole days, then the ledger."""
    if query.granularity is not Granularity.HOUR:
        first, last = whole_days(query.start, query.end)
        if first < last:
            yield from _of_days(first, last, query)
    for start, end in finer_than_days(query):
        yield entries(account_id=query.account_id, start=start, end=end), literal(1) == 1


def _of_days(first: int, last: int, query: SpendQuery) -> Iterator[tuple[FromClause, ColumnElement[bool]]]:
    days = [(first, last)]
    if query.granularity is not Granularity.DAY:
        months = whole_months(first, last)
        if months:
            month = month_rollups.c.event_month
            yield month_rollups, and_(month >= months[0], month <= months[-1])
            days = [(first, first_day(months[0])), (first_day(next_month(months[-1])), last)]
    for start, end in days:
        if start < end:
            yield rollups, and_(rollups.c.event_day >= start, rollups.c.event_day < end)


def _sums(
    connection: Connection, source: FromClause, where: ColumnElement[bool], query: SpendQuery, limit: int
) -> list[GroupSums]:
    period = _period(source, query)
    group = [_dimension(source, name) for name in query.group_by]
    totals = added_up(source)
    unpriced = source.c.price_grade == int(PriceGrade.UNPRICED)
    statement = (
        select(
            period,
            _sum_where(source.c.price_grade == int(PriceGrade.EXEMPT), source.c.events),
            _sum_where(unpriced, source.c.events),
            _sum_where(unpriced, _tokens(source)),
            *group,
            *totals,
        )
        .join_from(source, series, series.c.id == source.c.series_id)
        .where(where, *_filters(source, query))
        .limit(limit)
    )
    if group or query.granularity is not Granularity.TOTAL:
        # Leave out groups in which everything was reversed.
        *counts, high, low = totals
        not_zero = or_(*(count != 0 for count in counts), is_not_zero(high, low))
        statement = statement.group_by(*group, period).having(not_zero)
    width = len(group)
    found = []
    for row in connection.execute(statement):
        period_number, failed, unpriced_events, unpriced_tokens = row[:4]
        if failed is None:
            continue  # without groups, no usage is a row of NULLs
        events, quantities, amount_nano = read_added_up(row[4 + width :])
        spent = SpendSums(events, int(failed), int(unpriced_events), int(unpriced_tokens), quantities, amount_nano)
        found.append(GroupSums(tuple(row[4 : 4 + width]), int(period_number), spent))
    return found


def _sum_where(condition: ColumnElement[bool], amount: ColumnElement[int]) -> ColumnElement[int]:
    return func.sum(case((condition, amount), else_=0))


def _tokens(source: FromClause) -> ColumnElement[int]:
    return reduce(add, (quantity(source, kind) for kind in TOKEN_KINDS))


def _period(source: FromClause, query: SpendQuery) -> ColumnElement[int]:
    if query.granularity is Granularity.HOUR:
        return source.c.event_time // literal(MICROS_PER_HOUR, Int64)
    if query.granularity is Granularity.DAY:
        return source.c.event_day
    if query.granularity is Granularity.TOTAL:
        return literal(0, Int64)
    if query.period_basis is PeriodBasis.BILLING:
        return source.c.billing_month
    if source is month_rollups:
        return month_rollups.c.event_month
    *months, last = months_between(query.start, query.end)
    ends = [(source.c.event_day < day_number(first_date(next_month(month))), month) for month in months]
    return case(*ends, else_=last) if ends else literal(last, Int64)


def _dimension(source: FromClause, name: str) -> ColumnElement[Any]:
    if name == "account":
        return series.c.account_id
    if name in SERIES_DIMENSIONS:
        return series.c[name]
    if name.startswith(TAG_PREFIX):
        return _tag(name.removeprefix(TAG_PREFIX))
    return source.c["rate_id" if name == "rate" else name]


def _tag(name: str) -> ColumnElement[str]:
    """Return the value of a declared tag: empty if the event has none, ``(other)`` if the series cap folded it."""
    stated = func.coalesce(json_string(series.c.tags, name), "")
    return case((series.c.tags == OTHER, OTHER), (series.c.tags == "", ""), else_=stated)


def _filters(source: FromClause, query: SpendQuery) -> list[ColumnElement[bool]]:
    found = [] if query.account_id is None else [series.c.account_id == query.account_id]
    for name, values in sorted(query.filters.items()):
        wanted: Any = values
        if name == "account":
            current = account_names.c.valid_to.is_(None)
            wanted = select(account_names.c.account_id).where(account_names.c.name.in_(values), current)
        elif name in CODED_VALUES:
            wanted = [CODED_VALUES[name][value] for value in values]
        elif name == "rate":
            wanted = [int(value or 0) for value in values]
        found.append(_dimension(source, name).in_(wanted))
    return found
