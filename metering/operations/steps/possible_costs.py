"""What unpriced usage may have cost, from the sums of days: by group and period, never by single event.

Reading is bounded: beyond MAX_ROWS kinds of requests and days, no range is given rather than a part of one.
"""

from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection

from metering.domain.charges.spend import PeriodBasis, SpendQuery
from metering.domain.instants import MICROS_PER_DAY, month_of_day, month_start, next_month
from metering.domain.statements.statements import DRAFT, ExcludedUsage, Statement
from metering.storage.charges.spend import UnpricedSums, has_unknown_series, unpriced_sums
from metering.storage.prices.price_books import load_book
from pricing.possible import PossibleCost, PossibleCosts, UnknownUsage
from pricing.quantities import Quantities

MAX_ROWS = 50_000


def possible_by_group(connection: Connection, query: SpendQuery) -> dict[tuple[int, tuple[Any, ...]], PossibleCost]:
    """Return what the unpriced usage of each (period, group) of a query may have cost."""
    found: dict[tuple[int, tuple[Any, ...]], PossibleCost] = {}
    for sums, cost in possible_costs(connection, query):
        key = (sums.period, sums.group)
        found[key] = cost.plus(found.get(key))
    return found


def with_possible_costs(connection: Connection, account_id: int, statement: Statement) -> Statement:
    """Return a draft with what its unpriced usage may have cost. Other statements stay as they are."""
    if statement.status != DRAFT or not any(usage.amount_nano is None for usage in _excluded(statement)):
        return statement
    query = SpendQuery(
        month_start(statement.month),
        month_start(next_month(statement.month)),
        account_id=account_id,
        period_basis=PeriodBasis.BILLING,
    )
    found: dict[tuple[str, str, str, int], PossibleCost] = {}
    for sums, cost in possible_costs(connection, query):
        key = (sums.route, sums.provider, sums.model, month_of_day(sums.day))
        found[key] = cost.plus(found.get(key))

    def completed(usage: ExcludedUsage) -> ExcludedUsage:
        key = (usage.route, usage.provider, usage.model, usage.origin_month or statement.month)
        return replace(usage, possible=found.get(key)) if usage.amount_nano is None else usage

    return replace(
        statement,
        unpriced=tuple(map(completed, statement.unpriced)),
        route_unknown=tuple(map(completed, statement.route_unknown)),
    )


def _excluded(statement: Statement) -> tuple[ExcludedUsage, ...]:
    return (*statement.unpriced, *statement.route_unknown)


def possible_costs(connection: Connection, query: SpendQuery) -> list[tuple[UnpricedSums, PossibleCost]]:
    """Return unpriced usage with what it may have cost, where that is known."""
    # Most databases have none, and the events of parts of days are then read once, not twice.
    if not has_unknown_series(connection, query.account_id):
        return []
    rows = unpriced_sums(connection, query, limit=MAX_ROWS + 1)
    if not rows or len(rows) > MAX_ROWS:
        return []
    costs = PossibleCosts(load_book(connection))
    found = []
    for sums in rows:
        cost = costs.of(_usage(sums))
        if cost is not None:
            found.append((sums, cost))
    return found


def _usage(sums: UnpricedSums) -> UnknownUsage:
    return UnknownUsage(
        account_id=sums.account_id,
        route=sums.route,
        provider=sums.provider,
        model=sums.model,
        operation=sums.operation,
        start=sums.day * MICROS_PER_DAY,
        end=(sums.day + 1) * MICROS_PER_DAY,
        events=sums.events,
        quantities=Quantities(*sums.quantities),
    )
