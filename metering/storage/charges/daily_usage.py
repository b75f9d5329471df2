"""The daily usage of a statement, streamed from the rollups."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from metering.domain.statements.month_detail import DailyUsage
from metering.storage.charges.sums import read_stored_sums, stored_sums
from metering.storage.engine.sql import by_code_point
from metering.storage.tables import rollups, series

_ROWS_AT_ONCE = 2_000
_SERIES = ("route", "provider", "model", "operation", "project", "key", "tags")
_ROLLUP = ("rate_id", "price_grade", "quantity_grade", "billable")


def daily_usage(connection: Connection, account_id: int, month: int) -> Iterator[DailyUsage]:
    """Yield the account's usage of a billing month, with the days of each series and rate together, in a fixed order.

    Sums of zero are left out. Rows are fetched as they are consumed, within the caller's transaction.
    """
    of_series = [series.c[name] for name in _SERIES]
    of_rollup = [rollups.c[name] for name in _ROLLUP]
    dimensions = [rollups.c.event_day, *of_series, *of_rollup]
    statement = (
        select(*dimensions, *stored_sums(rollups))
        .join(series, series.c.id == rollups.c.series_id)
        .where(series.c.account_id == account_id, rollups.c.billing_month == month)
        .order_by(*map(by_code_point, of_series), *of_rollup, rollups.c.event_day)
        .execution_options(yield_per=_ROWS_AT_ONCE)
    )
    width = len(dimensions)
    for row in connection.execute(statement):
        sums = read_stored_sums(row[width:])
        if any(sums.values):
            yield DailyUsage._make((*row[:width], *sums))


def rates_of_month(connection: Connection, account_id: int, month: int) -> set[int]:
    """Return the IDs of the rates that were applied in an account's billing month."""
    statement = (
        select(rollups.c.rate_id)
        .join(series, series.c.id == rollups.c.series_id)
        .where(series.c.account_id == account_id, rollups.c.billing_month == month, rollups.c.rate_id != 0)
        .distinct()
    )
    return set(connection.execute(statement).scalars())
