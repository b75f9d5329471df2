"""Usage of undeclared accounts: the account names in its records, and the events of each.

The account name of a record is kept in its event's details and is not indexed. All unassigned events are scanned by the index
of (account, event time).
"""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, func, literal, or_, select, tuple_, union_all

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.domain.usage.assigning import AssignmentScope, UnassignedUsage
from metering.domain.usage.events import PriceGrade
from metering.domain.usage.logged_events import EventPosition
from metering.domain.usage.series import OTHER
from metering.storage.charges.superseded_events import is_superseded
from metering.storage.engine.sql import by_code_point, halved_sum, json_string, whole_sum
from metering.storage.tables import charges, events, series, sources
from metering.storage.tables.schema import Int64
from metering.storage.usage.assigned_events import is_assigned

_UNPRICED = int(PriceGrade.UNPRICED)


def unassigned_usage(connection: Connection, *, after: tuple[str, str] | None, limit: int | None) -> list[UnassignedUsage]:
    """Return unassigned usage ordered by (name, source), starting after ``after``."""
    entries = union_all(_first_charges(), _later_charges()).subquery("entries")
    statement = (
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
        position = tuple_(by_code_point(entries.c.name), by_code_point(sources.c.name))
        statement = statement.where(position > tuple_(*map(literal, after)))
    return [
        UnassignedUsage(name, source, first, last, int(count), whole_sum(high, low), int(unpriced))
        for name, source, first, last, count, unpriced, high, low in connection.execute(statement)
    ]


def _name() -> ColumnElement[str]:
    """Return the account name in the record; empty if it had none."""
    return func.coalesce(json_string(events.c.details, "account"), "")


def _first_charges() -> Select[Any]:
    return select(
        _name().label("name"),
        events.c.source_id,
        events.c.event_time,
        literal(1, Int64).label("events"),
        case((events.c.price_grade == _UNPRICED, literal(1, Int64)), else_=literal(0, Int64)).label("unpriced"),
        func.coalesce(events.c.charge_nano, 0).label("amount_nano"),
    ).where(events.c.account_id == UNASSIGNED_ID, ~is_assigned(), ~is_superseded())


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
        .where(events.c.account_id == UNASSIGNED_ID, ~is_assigned(), ~is_superseded())
    )


def unassigned_positions(
    connection: Connection, scope: AssignmentScope, after: EventPosition | None, limit: int
) -> list[EventPosition]:
    """Return the log positions of the scope's events, in log order, starting after ``after``."""
    statement = (
        select(events.c.event_time, events.c.id)
        .join_from(events, series, series.c.id == events.c.series_id)
        .where(events.c.account_id == UNASSIGNED_ID, *_limits(scope), ~is_assigned(), ~is_superseded())
        .order_by(events.c.event_time, events.c.id)
        .limit(limit)
    )
    if after is not None:
        # The first condition follows from the second; the index can only be searched by the first.
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
    for name, value in (("project", scope.project), ("key", scope.key)):
        if value is not None:
            folded = (series.c[name] == OTHER) & (json_string(events.c.details, name) == value)
            limits.append(or_(series.c[name] == value, folded))
    return limits
