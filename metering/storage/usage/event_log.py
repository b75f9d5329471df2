"""Read the event log page by page, each event with its current charge.

An event's row has its first charge. The last replacement, if any, has the current rate, grade and month; the amount is the sum
of all ledger entries. Events that were assigned are read with their account, no longer with ``unassigned``. Superseded events
are left out.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Row, Select, and_, case, func, select, tuple_

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.domain.usage.batch_events import COLUMN_KINDS
from metering.domain.usage.logged_events import EventPosition, EventQuery
from metering.domain.usage.series import OTHER
from metering.storage.charges.ledger import billable
from metering.storage.charges.superseded_events import is_superseded
from metering.storage.tables import assigned_events, charges, events, rates, receipts, series, sources
from metering.storage.usage.assigned_events import has_assigned, is_assigned

_latest = charges.alias("latest")
_earlier = charges.alias("earlier")

# The last replacement of the event; its columns are NULL if there is none.
_LAST_REPLACEMENT = (
    select(func.max(_earlier.c.id))
    .where(_earlier.c.event_id == events.c.id, _earlier.c.sign == 1)
    .correlate(events)
    .scalar_subquery()
)
_LATER_NANO = (
    select(func.coalesce(func.sum(_earlier.c.amount_nano), 0))
    .where(_earlier.c.event_id == events.c.id)
    .correlate(events)
    .scalar_subquery()
)


def _current(name: str) -> ColumnElement[Any]:
    """Return a column of the current charge."""
    return func.coalesce(_latest.c[name], events.c[name])


_PRICE_GRADE = _current("price_grade")
# Not coalesce: after a replacement without a rate, the event has no rate.
_RATE_ID = case((_latest.c.id.is_(None), events.c.rate_id), else_=_latest.c.rate_id)

_BILLABLE = billable(_PRICE_GRADE)
_RECEIVED_AT = (
    select(receipts.c.received_at)
    .where(receipts.c.first_event_id <= events.c.id)
    .order_by(receipts.c.first_event_id.desc())
    .limit(1)
    .correlate(events)
    .scalar_subquery()
)

FILTERS: dict[str, ColumnElement[Any]] = {
    "id": events.c.external_id,
    "source": sources.c.name,
    "provider": series.c.provider,
    "model": series.c.model,
    "operation": series.c.operation,
    "route": series.c.route,
    "project": series.c.project,
    "key": series.c.key,
    "response_id": events.c.response_id,
    "inference_id": events.c.inference_id,
    "status": events.c.status,
    "price_grade": _PRICE_GRADE,
    "quantity_grade": events.c.quantity_grade,
    "billable": _BILLABLE,
}


_page_log = events.alias("page")
# Filters on columns of the events table: with only these, the page is selected before anything is joined.
_OWN_FILTERS = {name for name, column in FILTERS.items() if getattr(column, "table", None) is events}
_DIMENSIONS = ("provider", "model", "operation", "route", "project", "key", "tags")
# The first series of an assigned event, which has the values that its account's cap folded.
_first_series = series.alias("first_series")


def _in_period(
    log: FromClause, query: EventQuery, after: EventPosition | None, *, id_name: str = "id"
) -> list[ColumnElement[bool]]:
    limits = [log.c.account_id == query.account_id, log.c.event_time >= query.start, log.c.event_time < query.end]
    if after is not None:
        # The first condition follows from the second; the index can only be searched by the first.
        limits += (log.c.event_time >= after.event_time, tuple_(log.c.event_time, log.c[id_name]) > tuple_(*after))
    return limits


def _page(query: EventQuery, after: EventPosition | None, limit: int) -> Select[int]:
    own: list[ColumnElement[bool]] = [
        _page_log.c[FILTERS[name].key or name].in_(values) for name, values in sorted(query.filters.items())
    ]
    own.append(~is_superseded(_page_log))
    if query.account_id == UNASSIGNED_ID:
        own.append(~is_assigned(_page_log))
    ids = select(_page_log.c.id).where(*_in_period(_page_log, query, after), *own)
    return ids.order_by(_page_log.c.event_time, _page_log.c.id).limit(limit)


def events_after(connection: Connection, query: EventQuery, after: EventPosition | None, limit: int) -> list[Row[Any]]:
    """Return at most ``limit`` events ordered by (event time, ID), starting after ``after``."""
    own = list(connection.execute(_own_events(query, after, limit)))
    if query.account_id == UNASSIGNED_ID or not has_assigned(connection, query.account_id):
        return own
    assigned = list(connection.execute(_assigned_events(query, after, limit)))
    return sorted([*own, *assigned], key=lambda row: (row.event_time, row.event_id))[:limit]


def _own_events(query: EventQuery, after: EventPosition | None, limit: int) -> Select[Any]:
    limits = _in_period(events, query, after)
    if query.filters.keys() <= _OWN_FILTERS:
        limits.append(events.c.id.in_(_page(query, after, limit)))
    else:
        limits.append(~is_superseded())
        if query.account_id == UNASSIGNED_ID:
            limits.append(~is_assigned())
    dimensions = [series.c[name] for name in _DIMENSIONS]
    return _listed(query, dimensions, limit).where(*limits).order_by(events.c.event_time, events.c.id)


def _assigned_events(query: EventQuery, after: EventPosition | None, limit: int) -> Select[Any]:
    """Do the same for the events that were assigned to the account, by the index of those."""
    dimensions = [
        case((series.c[name] == OTHER, _first_series.c[name]), else_=series.c[name]).label(name) for name in _DIMENSIONS
    ]
    position = assigned_events.c.event_time, assigned_events.c.event_id
    return (
        _listed(query, dimensions, limit)
        .join(_first_series, _first_series.c.id == events.c.series_id)
        .join(
            assigned_events,
            and_(assigned_events.c.event_id == events.c.id, assigned_events.c.event_time == events.c.event_time),
        )
        .where(*_in_period(assigned_events, query, after, id_name="event_id"), assigned_events.c.counted_as == events.c.id)
        .where(~is_superseded())
        .order_by(*position)
    )


def _listed(query: EventQuery, dimensions: Sequence[ColumnElement[Any]], limit: int) -> Select[Any]:
    return (
        select(
            events.c.id.label("event_id"),
            events.c.external_id,
            sources.c.name.label("source"),
            events.c.event_time,
            _RECEIVED_AT.label("received_at"),
            *dimensions,
            events.c.status,
            events.c.quantity_grade,
            *(events.c[name] for name in (*COLUMN_KINDS, "other_quantities")),
            _PRICE_GRADE.label("price_grade"),
            _RATE_ID.label("rate_id"),
            rates.c.source.label("price_source"),
            (func.coalesce(events.c.charge_nano, 0) + _LATER_NANO).label("charge_nano"),
            _BILLABLE.label("billable"),
            _current("billing_month").label("billing_month"),
            *(events.c[name] for name in ("response_id", "inference_id", "latency_ms", "details")),
        )
        .join_from(events, _latest, _latest.c.id == _LAST_REPLACEMENT, isouter=True)
        .join(series, series.c.id == _current("series_id"))
        .join(sources, sources.c.id == events.c.source_id)
        .join(rates, rates.c.id == _RATE_ID, isouter=True)
        .where(*(FILTERS[name].in_(values) for name, values in sorted(query.filters.items())))
        .limit(limit)
    )
