"""Answer a spend question from one state of the database, in an order that never changes.

Rows are ordered by period, then by the values of ``group_by``.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine

from metering.domain.charges.spend import CODED_VALUES, Granularity, SpendQuery, SpendRow, finer_than_days
from metering.domain.instants import MICROS_PER_DAY, MICROS_PER_HOUR, month_start
from metering.operations.charges.sum_spend import sums_by_group
from metering.operations.steps.require_events import require_events
from metering.storage.accounts.accounts import accounts_by_name
from metering.storage.engine.database import read_snapshot
from pricing.quantities import Quantities


def query_spend(engine: Engine, query: SpendQuery) -> list[SpendRow]:
    """Return the answer. Raises TooManyRowsError, and EventsRetiredError for hours of a retired month."""
    with read_snapshot(engine) as connection:
        for start, end in finer_than_days(query):
            require_events(connection, start, end, "spend by the hour, or of a part of a day,")
        sums = sums_by_group(connection, query)
        shown = [_presentation(connection, name) for name in query.group_by]
    rows = []
    for (period, group), spent in sums.items():
        rows.append(
            SpendRow(
                group=tuple(show(value) for show, value in zip(shown, group, strict=True)),
                period_start=_period_start(query, period),
                events=spent.events,
                failed_events=spent.failed_events,
                unpriced_events=spent.unpriced_events,
                unpriced_tokens=spent.unpriced_tokens,
                quantities=Quantities(*spent.quantities),
                amount_nano=spent.amount_nano,
            )
        )
    return sorted(rows, key=lambda row: (row.period_start, row.group))


def _presentation(connection: Connection, dimension: str) -> Callable[[Any], str]:
    """Return how values of a dimension are shown."""
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
