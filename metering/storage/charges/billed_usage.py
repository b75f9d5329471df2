"""Usage by billing month, from the rollups: the input of statements and credits."""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, bindparam, case, func, literal, select

from metering.domain.instants import MICROS_PER_DAY, month_of_day
from metering.domain.statements.statements import UsageSums
from metering.domain.usage.events import BILLED_ROUTES, PriceGrade
from metering.storage.charges.event_quantities import quantity
from metering.storage.charges.sums import added_up, read_added_up
from metering.storage.engine.sql import by_code_point, halved_sum, whole_sum
from metering.storage.tables import charges, events, month_rollups, series
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

_IS_BILLED = and_(month_rollups.c.billable == 1, series.c.route.in_(BILLED_ROUTES))
BILLED_NANO = case((_IS_BILLED, month_rollups.c.amount_nano), else_=literal(0, Int64))
"""The billed amount of a month rollup that is joined with its series; 0 if it is not billed."""

# Built once: building a statement takes longer than running it on an account's few rows.
_ACCOUNT, _MONTH = bindparam("account", type_=Int64), bindparam("month", type_=Int64)
_USAGE_OF_MONTH = (
    select(*_GROUP, *added_up(month_rollups))
    .join(series, series.c.id == month_rollups.c.series_id)
    .where(series.c.account_id == _ACCOUNT, month_rollups.c.billing_month == _MONTH)
    .group_by(*_GROUP)
    .order_by(*_ORDER)
)
_UNPRICED = series.c.route, series.c.provider, series.c.model, series.c.operation, events.c.quantity_grade
_UNPRICED_DAY = (events.c.event_time // literal(MICROS_PER_DAY, Int64)).label("day")
_PREVIOUSLY_UNPRICED = (
    select(*_UNPRICED, _UNPRICED_DAY, func.count(), *(func.sum(quantity(events, kind)) for kind in ALL_KINDS))
    .join_from(charges, events, events.c.id == charges.c.event_id)
    .join(series, series.c.id == charges.c.series_id)
    .where(
        series.c.account_id == _ACCOUNT,
        charges.c.billing_month == _MONTH,
        charges.c.sign == -1,
        charges.c.price_grade == int(PriceGrade.UNPRICED),
        events.c.billing_month < _MONTH,
    )
    .group_by(*_UNPRICED, _UNPRICED_DAY)
)
_MONTHS = month_rollups.c.billing_month, month_rollups.c.event_month
_BILLABLE_BY_MONTHS = (
    select(*_MONTHS, *halved_sum(BILLED_NANO))
    .join(series, series.c.id == month_rollups.c.series_id)
    .where(series.c.account_id == _ACCOUNT)
    .group_by(*_MONTHS)
)


def usage_of_month(connection: Connection, account_id: int, month: int) -> list[UsageSums]:
    """Return the account's usage of a billing month by event month, summed over projects, keys and tags."""
    found = []
    for route, provider, model, operation, rate, grade, quantity_grade, billable, event_month, *totals in connection.execute(
        _USAGE_OF_MONTH, {"account": account_id, "month": month}
    ):
        sums = read_added_up(totals)
        found.append(
            UsageSums(
                route=route,
                provider=provider,
                model=model,
                operation=operation,
                rate_id=rate,
                price_grade=grade,
                quantity_grade=quantity_grade,
                billable=bool(billable),
                events=sums.events,
                quantities=sums.quantities,
                amount_nano=sums.amount_nano,
                origin_month=None if event_month == month else event_month,
            )
        )
    return found


def previously_unpriced(connection: Connection, account_id: int, month: int) -> list[UsageSums]:
    """Return usage that was unpriced in earlier billing months and is reversed in ``month``, by event month.

    Rollups cannot show it: it cancels out with late usage that is unpriced.
    """
    rows = connection.execute(_PREVIOUSLY_UNPRICED, {"account": account_id, "month": month})
    return [
        UsageSums(
            route=route,
            provider=provider,
            model=model,
            operation=operation,
            rate_id=0,
            price_grade=PriceGrade.UNPRICED,
            quantity_grade=quantity_grade,
            billable=route in BILLED_ROUTES,
            events=count,
            quantities=tuple(map(int, quantities)),
            amount_nano=0,
            origin_month=month_of_day(event_day),
        )
        for route, provider, model, operation, quantity_grade, event_day, count, *quantities in rows
    ]


def billable_by_months(connection: Connection, account_id: int) -> dict[tuple[int, int], int]:
    """Return the account's billed usage in nano-USD, by (billing month, event month)."""
    rows = connection.execute(_BILLABLE_BY_MONTHS, {"account": account_id})
    return {(billing, origin): whole_sum(high, low) for billing, origin, high, low in rows}


def first_billed_months(connection: Connection, account_ids: Sequence[int]) -> dict[int, int]:
    """Return the first billing month with usage of each account."""
    statement = (
        select(series.c.account_id, func.min(month_rollups.c.billing_month))
        .join(month_rollups, month_rollups.c.series_id == series.c.id)
        .where(series.c.account_id.in_(account_ids))
        .group_by(series.c.account_id)
    )
    return dict(connection.execute(statement).all())


def months_with_usage(connection: Connection, account_id: int | None = None) -> list[tuple[int, int]]:
    """Return the (account ID, billing month) pairs with usage, in order."""
    statement = (
        select(series.c.account_id, month_rollups.c.billing_month)
        .join(series, series.c.id == month_rollups.c.series_id)
        .distinct()
        .order_by(series.c.account_id, month_rollups.c.billing_month)
    )
    if account_id is not None:
        statement = statement.where(series.c.account_id == account_id)
    return [tuple(row) for row in connection.execute(statement)]
