"""What statements and credits are computed from: rollups by billing month."""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, case, func, literal, select

from metering.domain.events import BILLED_ROUTES
from metering.domain.statements import UsageSums
from metering.storage.sql import by_code_point, halved_sum, whole_sum
from metering.storage.tables import month_rollups, series
from metering.storage.tables.schema import Int64
from pricing.quantities import ALL_KINDS

_GROUP = (
    series.c.route,
    series.c.provider,
    series.c.model,
    series.c.operation,
    month_rollups.c.rate_id,
    month_rollups.c.price_grade,
    month_rollups.c.quantity_grade,
    month_rollups.c.billable,
    month_rollups.c.event_month,
)
_ORDER = tuple(by_code_point(column) if column.table is series else column for column in _GROUP)


def usage_of_month(connection: Connection, account_id: int, month: int) -> list[UsageSums]:
    """Return the account's usage of a billing month by month of the event, summed over projects, keys and tags."""
    statement = (
        select(
            *_GROUP,
            func.sum(month_rollups.c.events),
            *(func.sum(month_rollups.c[kind]) for kind in ALL_KINDS),
            *halved_sum(month_rollups.c.amount_nano),
        )
        .join(series, series.c.id == month_rollups.c.series_id)
        .where(series.c.account_id == account_id, month_rollups.c.billing_month == month)
        .group_by(*_GROUP)
        .order_by(*_ORDER)
    )
    width = len(_GROUP)
    return [
        UsageSums(
            route=row[0],
            provider=row[1],
            model=row[2],
            operation=row[3],
            rate_id=row[4],
            price_grade=row[5],
            quantity_grade=row[6],
            billable=bool(row[7]),
            events=row[width],
            quantities=tuple(row[width + 1 : -2]),
            amount_nano=whole_sum(*row[-2:]),
            origin_month=None if row[8] == month else row[8],
        )
        for row in connection.execute(statement)
    ]


def billable_by_months(connection: Connection, account_id: int) -> dict[tuple[int, int], int]:
    """Return the account's billable usage by (billing month, month of the event), nano-USD; 0 for what is not billed."""
    months = month_rollups.c.billing_month, month_rollups.c.event_month
    is_billed = and_(month_rollups.c.billable == 1, series.c.route.in_(BILLED_ROUTES))
    billed = case((is_billed, month_rollups.c.amount_nano), else_=literal(0, Int64))
    statement = (
        select(*months, *halved_sum(billed))
        .join(series, series.c.id == month_rollups.c.series_id)
        .where(series.c.account_id == account_id)
        .group_by(*months)
    )
    return {(billing, origin): whole_sum(high, low) for billing, origin, high, low in connection.execute(statement)}


def first_billed(connection: Connection, account_ids: Sequence[int]) -> dict[int, int]:
    """Return the first month in which usage of each of the accounts is billed."""
    statement = (
        select(series.c.account_id, func.min(month_rollups.c.billing_month))
        .join(month_rollups, month_rollups.c.series_id == series.c.id)
        .where(series.c.account_id.in_(account_ids))
        .group_by(series.c.account_id)
    )
    return {row[0]: row[1] for row in connection.execute(statement)}


def accounts_billed_in(connection: Connection, month: int) -> list[int]:
    """Return the accounts that have usage billed in a month, in order."""
    statement = (
        select(series.c.account_id)
        .join(month_rollups, month_rollups.c.series_id == series.c.id)
        .where(month_rollups.c.billing_month == month)
        .distinct()
        .order_by(series.c.account_id)
    )
    return list(connection.execute(statement).scalars())


def months_with_usage(connection: Connection, account_id: int | None = None) -> list[tuple[int, int]]:
    """Return the (account id, billing month) pairs that have rollups, in that order."""
    statement = (
        select(series.c.account_id, month_rollups.c.billing_month)
        .join(series, series.c.id == month_rollups.c.series_id)
        .distinct()
        .order_by(series.c.account_id, month_rollups.c.billing_month)
    )
    if account_id is not None:
        statement = statement.where(series.c.account_id == account_id)
    return [(row[0], row[1]) for row in connection.execute(statement)]
