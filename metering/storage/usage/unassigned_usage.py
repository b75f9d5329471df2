"""Usage of accounts that nobody has declared: under which names it arrived, and the events of a name.

The name that a record gave stands in its event's details. There is no index of it: all that is unassigned is looked through,
along the index of (account, event time).
"""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, func, literal, or_, select, tuple_, union_all

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.domain.usage.assigning import AssignmentScope, UnassignedUsage
from metering.domain.usage.events import PriceGrade
from metering.domain.usage.logged_events import EventPosition
from metering.domain.usage.series import OTHER
from metering.storage.engine.sql import by_code_point, halved_sum, json_string, whole_sum
from metering.storage.tables import charges, events, series, sources
from metering.storage.tables.schema import Int64
from metering.storage.usage.assigned_events import is_assigned

_UNPRICED = int(PriceGrade.UNPRICED)


def unassigned_usage(connection: Connection, *, after: tuple[str, str] | None, limit: int | None) -> list[UnassignedUsage]:
    """Return unassigned usage by (name, source), in that order, from the first after ``after``."""
    entries = union_all(_first_charges(), _later_charges()).subquery("entries")
    found = (
        select(
            entries.c.name,
            sources.c.name.label("source"),
            func.min(entries.c.event_time),
            func.max(entries.c.event_time),
            func.sum(entries.c.events),
            func.sum(entries.c.unpriced),
            *halved_sum(entries.c.amount_nano),
        )
        .join_from(entries, sources, sources.c.id == entries.c.source_id)
        .group_by(entries.c.name, sources.c.name)
        .order_by(by_code_point(entries.c.name), by_code_point(sources.c.name))
        .limit(limit)
    )
    if after is not None:
        place = tuple_(by_code_point(entries.c.name), by_code_point(sources.c.name))
        found = found.where(place > tuple_(literal(after[0]), literal(after[1])))
    return [
        UnassignedUsage(name, source, first, last, int(count), whole_sum(high, low), int(unpriced))
        for name, source, first, last, count, unpriced, high, low in connection.execute(found)
    ]


def _name() -> ColumnElement[str]:
    """Return the name that the record gave, empty where it gave none."""
    return func.coalesce(json_string(events.c.details, "account"), "")


def _first_charges() -> Select[Any]:
    return select(
        _name().label("name"),
        events.c.source_id,
        events.c.event_time,
        literal(1, Int64).label("events"),
        case((events.c.price_grade == _UNPRICED, literal(1, Int64)), else_=literal(0, Int64)).label("unpriced"),
        func.coalesce(events.c.charge_nano, 0).label("amount_nano"),
    ).where(events.c.account_id == UNASSIGNED_ID, ~is_assigned())


def _later_charges() -> Select[Any]:
    return (
        select(
            _name().label("name"),
            events.c.source_id,
            events.c.event_time,
            charges.c.sign.label("events"),
            case((charges.c.price_grade == _UNPRICED, charges.c.sign), else_=literal(0, Int64)).label("unpriced"),
            charges.c.amount_nano,
        )
        .join_from(charges, events, events.c.id == charges.c.event_id)
        .where(events.c.account_id == UNASSIGNED_ID, ~is_assigned())
    )


def unassigned_positions(
    connection: Connection, scope: AssignmentScope, after: EventPosition | None, limit: int
) -> list[EventPosition]:
    """Return the places of the scope's events in the log, in its order, from the first after ``after``."""
    statement = (
        select(events.c.event_time, events.c.id)
        .join_from(events, series, series.c.id == events.c.series_id)
        .where(events.c.account_id == UNASSIGNED_ID, *_limits(scope), ~is_assigned())
        .order_by(events.c.event_time, events.c.id)
        .limit(limit)
    )
    if after is not None:
        # The first condition follows from the second, and is what an index can be entered by.
        statement = statement.where(
            events.c.event_time >= after.event_time, tuple_(events.c.event_time, events.c.id) > tuple_(*after)
        )
    return [EventPosition(*row) for row in connection.execute(statement)]


def _limits(scope: AssignmentScope) -> list[ColumnElement[bool]]:
    limits: list[ColumnElement[bool]] = [_name() == scope.name]
    if scope.start is not None:
        limits.append(events.c.event_time >= scope.start)
    if scope.end is not None:
        limits.append(events.c.event_time < scope.end)
    if scope.source is not None:
        limits.append(events.c.source_id == select(sources.c.id).where(sources.c.name == scope.source).scalar_subquery())
    for name, wanted in (("project", scope.project), ("key", scope.key)):
        if wanted is not None:
            folded = (series.c[name] == OTHER) & (json_string(events.c.details, name) == wanted)
            limits.append(or_(series.c[name] == wanted, folded))
    return limits
