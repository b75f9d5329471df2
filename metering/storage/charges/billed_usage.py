"""Usage by billing month, from the rollups: the input of statements and credits."""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, bindparam, case, func, literal, or_, select

from metering.domain.instants import MICROS_PER_DAY, month_of_day
from metering.domain.statements.statements import UsageSums
from metering.domain.usage.events import BILLED_ROUTES, UNKNOWN, PriceGrade
from metering.storage.charges.event_quantities import quantity
from metering.storage.charges.sums import added_up, read_added_up
from metering.storage.engine.sql import by_code_point, halved_sum, whole_sum
from metering.storage.tables import charges, events, month_rollups, rollups, series
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


def previously_listed(connection: Connection, account_id: int, month: int) -> list[UsageSums]:
    """Return usage that an earlier statement listed as unpriced or of unknown route and that is taken back in ``month``.

    Rollups cannot show it: it cancels out with late usage that is to be listed. By event month.
    """
    unpriced = case((charges.c.price_grade == int(PriceGrade.UNPRICED), charges.c.sign), else_=literal(0, Int64))
    listed_as = series.c.route, series.c.provider, series.c.model, series.c.operation
    nano = func.sum(charges.c.amount_nano).label("nano")
    taken_back = (
        select(charges.c.event_id, *listed_as, func.sum(unpriced).label("unpriced"), nano)
        .join(series, series.c.id == charges.c.series_id)
        .where(
            series.c.account_id == account_id,
            charges.c.billing_month == month,
            charges.c.price_grade != int(PriceGrade.EXEMPT),
            or_(charges.c.price_grade == int(PriceGrade.UNPRICED), series.c.route == UNKNOWN),
        )
        .group_by(charges.c.event_id, *listed_as)
        # A charge that only changed its rate, or came back, is neither new nor gone.
        .having(func.sum(charges.c.sign) == -1)
        .subquery()
    )
    what = *(taken_back.c[column.name] for column in listed_as), taken_back.c.unpriced, events.c.quantity_grade
    day = (events.c.event_time // literal(MICROS_PER_DAY, Int64)).label("day")
    sums = func.count(), func.sum(-taken_back.c.nano), *(func.sum(quantity(events, kind)) for kind in ALL_KINDS)
    statement = (
        select(*what, day, *sums)
        .join_from(taken_back, events, events.c.id == taken_back.c.event_id)
        .where(events.c.billing_month < month)
        .group_by(*what, day)
    )
    return [
        UsageSums(
            route=route,
            provider=provider,
            model=model,
            operation=operation,
            rate_id=0,
            price_grade=PriceGrade.UNPRICED if was_unpriced else PriceGrade.RATED,
            quantity_grade=quantity_grade,
            billable=route in BILLED_ROUTES,
            events=count,
            quantities=tuple(map(int, quantities)),
            amount_nano=int(amount),
            origin_month=month_of_day(event_day),
        )
        for route, provider, model, operation, was_unpriced, quantity_grade, event_day, count, amount, *quantities in (
            connection.execute(statement)
        )
    ]


def billable_by_months(connection: Connection, account_id: int) -> dict[tuple[int, int], int]:
    """Return the account's billed usage in nano-USD, by (billing month, event month)."""
    rows = connection.execute(_BILLABLE_BY_MONTHS, {"account": account_id})
    return {(billing, origin): whole_sum(high, low) for billing, origin, high, low in rows}


def billable_by_days(connection: Connection, account_id: int, first_day: int) -> dict[int, int]:
    """Return the account's billed usage in nano-USD by event day (days since 1970), from ``first_day`` on."""
    is_billed = and_(rollups.c.billable == 1, series.c.route.in_(BILLED_ROUTES))
    statement = (
        select(rollups.c.event_day, *halved_sum(rollups.c.amount_nano))
        .join(series, series.c.id == rollups.c.series_id)
        .where(series.c.account_id == account_id, rollups.c.event_day >= first_day, is_billed)
        .group_by(rollups.c.event_day)
    )
    return {day: whole_sum(high, low) for day, high, low in connection.execute(statement)}


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
