"""Run a spend query on one snapshot of the database.

Rows are ordered by period, then by the values of ``group_by``.
"""

from collections.abc import Callable, Collection
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, Engine

from metering.domain.charges.spend import CODED_VALUES, Granularity, SpendQuery, SpendRow, finer_than_days, row_of
from metering.domain.instants import MICROS_PER_DAY, MICROS_PER_HOUR, day_of, month_start
from metering.operations.charges.sum_spend import sums_by_group
from metering.operations.steps.possible_costs import possible_by_group
from metering.operations.steps.require_events import require_events
from metering.storage.accounts.accounts import accounts_by_name
from metering.storage.engine.database import read_snapshot


def query_spend(engine: Engine, query: SpendQuery, *, declared_tags: Collection[str] = ()) -> list[SpendRow]:
    """Return the rows of a query.

    Raises SpendQueryError for an undeclared tag, TooManyRowsError, and EventsRetiredError for hours of a retired month.
    """
    query.check_tags(declared_tags)
    with read_snapshot(engine) as connection:
        if query.granularity is Granularity.HOUR:
            days = _days_with_usage(connection, query)
            if not days:
                return []
            query = replace(
                query,
                start=max(query.start, min(days) * MICROS_PER_DAY),
                end=min(query.end, (max(days) + 1) * MICROS_PER_DAY),
            )
        for start, end in finer_than_days(query):
            require_events(connection, start, end, "spend by hour, or for part of a day,")
        sums = sums_by_group(connection, query)
        has_unpriced = any(spent.unpriced_events for spent in sums.values())
        possible = possible_by_group(connection, query) if has_unpriced else {}
        formatters = [_formatter(connection, name) for name in query.group_by]
    rows = []
    for (period, group), spent in sums.items():
        values = tuple(formatted(value) for formatted, value in zip(formatters, group, strict=True))
        rows.append(row_of(values, _period_start(query, period), spent, possible.get((period, group))))
    return sorted(rows, key=lambda row: (row.period_start, row.group))


def _days_with_usage(connection: Connection, query: SpendQuery) -> set[int]:
    """Return the days of a query by hour that have usage. The rollups have them, so no event is read.

    Hours are summed from every event of the period. A result that has too many days has too many hours, so TooManyRowsError is
    raised before that.
    """
    first, end = day_of(query.start), -(-query.end // MICROS_PER_DAY)
    by_day = replace(query, granularity=Granularity.DAY, start=first * MICROS_PER_DAY, end=end * MICROS_PER_DAY)
    return {day for day, _ in sums_by_group(connection, by_day)}


def _formatter(connection: Connection, dimension: str) -> Callable[[Any], str]:
    """Return the function that turns stored values of a dimension into text."""
    if dimension == "account":
        names = {account.id: account.name for account in accounts_by_name(connection)}
        return lambda account_id: names[account_id]
    if dimension in CODED_VALUES:
        words = {number: word for word, number in CODED_VALUES[dimension].items()}
        return lambda number: words[number]
    if dimension == "rate":
        return lambda rate_id: str(rate_id or "")
    return str


def _period_start(query: SpendQuery, period: int) -> int:
    match query.granularity:
        case Granularity.HOUR:
            return period * MICROS_PER_HOUR
        case Granularity.DAY:
            return period * MICROS_PER_DAY
        case Granularity.MONTH:
            return month_start(period)
        case _:
            return query.start
