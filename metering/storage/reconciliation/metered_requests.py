"""The metered side of a reconciliation: requests with their IDs and current charges, and sums of usage by day.

Requests stream by in chunks along the index of (account, event time), as plain tuples: an invoice can be about millions.
"""

import heapq
from collections.abc import Iterator, Mapping
from functools import partial
from operator import attrgetter
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, FromClause, func, literal, select

from metering.domain.charges.spend import parts_of_days, whole_days
from metering.domain.instants import MICROS_PER_HOUR
from metering.domain.usage.batch_events import COLUMN_KINDS
from metering.storage.charges.charged_events import CurrentCharge, current_replacements
from metering.storage.charges.event_quantities import decode_others
from metering.storage.charges.ledger import entries
from metering.storage.charges.sums import added_up, read_added_up
from metering.storage.engine.sql import fetch_rows, halved_sum, is_in_list, list_parameter, whole_sum
from metering.storage.tables import receipts, rollups, series
from metering.storage.tables.schema import Int64
from metering.storage.usage.assigned_events import has_assigned
from pricing.quantities import Quantities


class RequestRow(NamedTuple):
    """A request with its current charge in nano-USD (0 if unpriced) and its ids."""

    event_id: int
    event_time: int
    series_id: int
    charge_nano: int
    price_grade: int
    inference_id: str
    response_id: str
    external_id: str


_as_request_row = partial(tuple.__new__, RequestRow)
_EXPRESSIONS = {"event_id": "events.id", "charge_nano": "coalesce(events.charge_nano, 0)"}
_COLUMNS = ", ".join(_EXPRESSIONS.get(name, f"events.{name}") for name in RequestRow._fields)

_CHUNK = 20_000
_BRIEF = f"""
SELECT {_COLUMNS}
FROM events
WHERE account_id = ? AND event_time >= ? AND event_time < ? AND (event_time > ? OR id > ?)
    AND id NOT IN (SELECT event_id FROM superseded_events)
ORDER BY event_time, id
LIMIT ?
"""

# The same for events that arrived unassigned and were assigned to the account later.
_BRIEF_ASSIGNED = f"""
SELECT {_COLUMNS}
FROM assigned_events AS assigned
JOIN events ON events.id = assigned.event_id AND events.event_time = assigned.event_time
WHERE assigned.account_id = ? AND assigned.event_time >= ? AND assigned.event_time < ?
    AND (assigned.event_time > ? OR assigned.event_id > ?) AND assigned.counted_as = assigned.event_id
    AND assigned.event_id NOT IN (SELECT event_id FROM superseded_events)
ORDER BY assigned.event_time, assigned.event_id
LIMIT ?
"""

_DETAILS_PER_QUERY = 5_000
_DETAILS = f"""
SELECT events.id, events.event_time, events.series_id, coalesce(events.charge_nano, 0), events.price_grade, events.rate_id,
    events.other_quantities, {", ".join(f"events.{kind}" for kind in COLUMN_KINDS)}
FROM events
WHERE events.id {{among}} AND events.event_time BETWEEN ? AND ?
"""


class RequestDetails(NamedTuple):
    """A request with its current charge: nano-USD (0 if unpriced), and the rate's id (0: no rate)."""

    event_id: int
    event_time: int
    series_id: int
    charge_nano: int
    price_grade: int
    rate_id: int
    quantities: Quantities


class UsageRow(NamedTuple):
    """Usage of one kind on one day, added up. ``rate_id`` 0: no rate. ``tags`` are empty unless they were asked for."""

    day: int
    provider: str
    model: str
    route: str
    project: str
    rate_id: int
    price_grade: int
    requests: int
    quantities: Quantities
    amount_nano: int
    tags: str = ""


class HourRow(NamedTuple):
    """Charges of one kind in one hour (hours since 1970), added up. ``tags`` are empty unless they were asked for."""

    hour: int
    provider: str
    model: str
    route: str
    project: str
    price_grade: int
    requests: int
    amount_nano: int
    tags: str = ""


def request_rows(connection: Connection, account_id: int, start: int, end: int) -> Iterator[RequestRow]:
    """Yield the requests of an account in ``[start, end)`` by (time, id), with their current charges."""
    own = _request_rows(connection, _BRIEF, account_id, start, end)
    if not has_assigned(connection, account_id):
        return own
    assigned = _request_rows(connection, _BRIEF_ASSIGNED, account_id, start, end)
    return heapq.merge(own, assigned, key=attrgetter("event_time", "event_id"))


def _request_rows(connection: Connection, brief: str, account_id: int, start: int, end: int) -> Iterator[RequestRow]:
    time, event_id = start, 0
    while True:
        rows = list(map(_as_request_row, fetch_rows(connection, brief, (account_id, time, end, time, event_id, _CHUNK))))
        replacements = current_replacements(connection, [row.event_id for row in rows])
        yield from [_with_current_charge(row, replacements) for row in rows] if replacements else rows
        if len(rows) < _CHUNK:
            return
        time, event_id = rows[-1].event_time, rows[-1].event_id


def _with_current_charge(row: RequestRow, replacements: Mapping[int, CurrentCharge]) -> RequestRow:
    current = replacements.get(row.event_id)
    if current is None:
        return row
    return row._replace(series_id=current.series_id, charge_nano=current.amount_nano, price_grade=current.price_grade)


def request_details(connection: Connection, requests: Mapping[int, int]) -> dict[int, RequestDetails]:
    """Return what requests used; ``requests`` are times by event id, so that only their months are read."""
    found: dict[int, RequestDetails] = {}
    sql = _DETAILS.format(among=is_in_list(connection))
    ids = sorted(requests)
    for at in range(0, len(ids), _DETAILS_PER_QUERY):
        part = ids[at : at + _DETAILS_PER_QUERY]
        times = [requests[each] for each in part]
        replacements = current_replacements(connection, part)
        rows = fetch_rows(connection, sql, (list_parameter(connection, part), min(times), max(times)))
        for event_id, time, series_id, charge, grade, rate_id, others, *counts in rows:
            quantities = Quantities(**dict(zip(COLUMN_KINDS, counts, strict=True)), **decode_others(others))
            details = RequestDetails(event_id, time, series_id, charge, grade, rate_id or 0, quantities)
            current = replacements.get(event_id)
            found[event_id] = details if current is None else _at_current_charge(details, current)
    return found


def _at_current_charge(details: RequestDetails, current: CurrentCharge) -> RequestDetails:
    return details._replace(
        series_id=current.series_id,
        charge_nano=current.amount_nano,
        price_grade=current.price_grade,
        rate_id=current.rate_id or 0,
    )


def first_event_after(connection: Connection, instant: int) -> int | None:
    """Return the id of the first event that arrived after an instant; None if none did."""
    statement = select(func.min(receipts.c.first_event_id)).where(receipts.c.received_at > instant)
    first_id: int | None = connection.execute(statement).scalar_one()
    return first_id


def usage_rows(connection: Connection, account_id: int, start: int, end: int, *, by_tags: bool = False) -> list[UsageRow]:
    """Return the usage of an account in ``[start, end)`` by day: whole days from rollups, the rest from the ledger.

    ``by_tags``: usage with different declared tags is in different rows, too.
    """
    first, last = whole_days(start, end)
    found = _summed(connection, account_id, rollups, by_tags, (first, last)) if first < last else []
    for part_start, part_end in parts_of_days(start, end):
        found += _summed(connection, account_id, entries(account_id=account_id, start=part_start, end=part_end), by_tags)
    return found


def hour_rows(connection: Connection, account_id: int, start: int, end: int, *, by_tags: bool = False) -> list[HourRow]:
    """Return the charges of an account in ``[start, end)`` by hour, from the ledger; ``by_tags`` as for ``usage_rows``."""
    source = entries(account_id=account_id, start=start, end=end)
    hour = (source.c.event_time // literal(MICROS_PER_HOUR, Int64)).label("hour")
    group = (
        hour, series.c.provider, series.c.model, series.c.route, series.c.project, source.c.price_grade, *_tags(by_tags),
    )  # fmt: skip
    statement = (
        select(*group, func.sum(source.c.events), *halved_sum(source.c.amount_nano))
        .join_from(source, series, series.c.id == source.c.series_id)
        .where(series.c.account_id == account_id)
        .group_by(*group)
    )
    return [
        HourRow(hour, provider, model, route, project, grade, int(count), whole_sum(high, low), *tags)
        for hour, provider, model, route, project, grade, *tags, count, high, low in connection.execute(statement)
    ]


def _tags(by_tags: bool) -> list[ColumnElement[str]]:
    return [series.c.tags] if by_tags else []


def _summed(
    connection: Connection, account_id: int, source: FromClause, by_tags: bool, days: tuple[int, int] | None = None
) -> list[UsageRow]:
    key = (
        source.c.event_day, series.c.provider, series.c.model, series.c.route, series.c.project, source.c.rate_id,
        source.c.price_grade, *_tags(by_tags),
    )  # fmt: skip
    statement = (
        select(
            *key,
            *added_up(source),
        )
        .join_from(source, series, series.c.id == source.c.series_id)
        .where(series.c.account_id == account_id)
        .group_by(*key)
    )
    if days is not None:
        first, end = days
        statement = statement.where(source.c.event_day >= first, source.c.event_day < end)
    found = []
    width = len(key)
    for row in connection.execute(statement):
        day, provider, model, route, project, rate_id, grade, *tags = row[:width]
        sums = read_added_up(row[width:])
        found.append(
            UsageRow(
                day=day,
                provider=provider,
                model=model,
                route=route,
                project=project,
                rate_id=rate_id,
                price_grade=grade,
                requests=sums.events,
                quantities=Quantities(*sums.quantities),
                amount_nano=sums.amount_nano,
                tags=tags[0] if tags else "",
            )
        )
    return found
