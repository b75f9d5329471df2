"""Reading events back, with the dimensions of their series and the name of their source, in the order of their ids."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, func, select

from metering.domain.usage.events import UsageEvent
from metering.domain.usage.series import OTHER
from metering.storage.charges.event_quantities import quantities_of
from metering.storage.tables import charges, events, series, sources

EventRow = Row[Any]
"""All columns of ``events``, then ``source``, ``provider``, ``model``, ``operation``, ``route`` and ``series_account_id``."""


def event_rows(connection: Connection, *, after: int, limit: int) -> list[EventRow]:
    """Return the events after the id ``after``, oldest id first."""
    return list(connection.execute(_select().where(events.c.id > after).order_by(events.c.id).limit(limit)))


def events_with_charges(connection: Connection, *, after: int, limit: int) -> list[EventRow]:
    """Return the events after the id ``after`` that have later charges, oldest id first."""
    charged = select(charges.c.event_id).where(charges.c.event_id > after).distinct().order_by(charges.c.event_id).limit(limit)
    return list(connection.execute(_select().where(events.c.id.in_(charged)).order_by(events.c.id)))


def events_by_id(connection: Connection, event_ids: Sequence[int]) -> list[EventRow]:
    """Return those of the events that exist, oldest id first."""
    return list(connection.execute(_select().where(events.c.id.in_(event_ids)).order_by(events.c.id)))


def ids_still_in_log(connection: Connection, event_ids: Sequence[int]) -> set[int]:
    """Return those of the ids that events have which have not left the log."""
    return set(connection.execute(select(events.c.id).where(events.c.id.in_(event_ids))).scalars())


def count_events(connection: Connection) -> int:
    """Return how many events are stored."""
    count: int = connection.execute(select(func.count()).select_from(events)).scalar_one()
    return count


def details_of(row: EventRow) -> dict[str, Any]:
    """Return what the event tells beside its columns."""
    return msgspec.json.decode(row.details, type=dict[str, Any]) if row.details else {}


def stated_names(row: EventRow) -> tuple[str, str, str]:
    """Return (provider, model, operation) as the record stated them: where the cap folded the series, from the details."""
    if row.model != OTHER:
        return row.provider, row.model, row.operation
    details = details_of(row)
    return row.provider, details.get("model", row.model), details.get("operation", row.operation)


def usage_event(row: EventRow, route: str) -> UsageEvent:
    """Return the event as far as its content digest and its success depend on it, had its record stated ``route``."""
    provider, model, operation = stated_names(row)
    return UsageEvent(
        id=row.external_id,
        source=row.source,
        time=row.event_time,
        model=model,
        provider=provider,
        operation=operation,
        route=route,
        status=row.status,
        quantities=quantities_of(row),
        quantity_grade=row.quantity_grade,
    )


def _select() -> Select[Any]:
    return (
        select(
            events,
            sources.c.name.label("source"),
            series.c.provider,
            series.c.model,
            series.c.operation,
            series.c.route,
            series.c.account_id.label("series_account_id"),
        )
        .join_from(events, series, series.c.id == events.c.series_id)
        .join(sources, sources.c.id == events.c.source_id)
    )
