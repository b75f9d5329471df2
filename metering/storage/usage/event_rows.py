"""Read events with the dimensions of their series and the name of their source, ordered by ID."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, func, select

from metering.domain.usage.events import PriceGrade, UsageEvent
from metering.domain.usage.identity import identity_in_account, identity_in_files
from metering.domain.usage.series import OTHER
from metering.storage.charges.event_quantities import quantities_of
from metering.storage.engine.sql import fetch_rows, is_in_list, list_parameter
from metering.storage.tables import charges, events, series, sources
from metering.storage.usage.event_keys import StoredIdentity
from metering.storage.usage.series import SourceRow

EventRow = Row[Any]
"""All columns of ``events``, then ``source``, ``source_derived``, ``provider``, ``model``, ``operation``, ``route`` and
``series_account_id``."""


def event_rows(connection: Connection, *, after: int, limit: int) -> list[EventRow]:
    """Return the events after the ID ``after``, ordered by ID."""
    return list(connection.execute(_select().where(events.c.id > after).order_by(events.c.id).limit(limit)))


def events_with_charges(connection: Connection, *, after: int, limit: int) -> list[EventRow]:
    """Return the events after the ID ``after`` that have later charges, ordered by ID."""
    charged = select(charges.c.event_id).where(charges.c.event_id > after).distinct().order_by(charges.c.event_id).limit(limit)
    return list(connection.execute(_select().where(events.c.id.in_(charged)).order_by(events.c.id)))


def events_by_id(connection: Connection, event_ids: Sequence[int]) -> list[EventRow]:
    """Return the events with these IDs that exist, ordered by ID."""
    return list(connection.execute(_select().where(events.c.id.in_(event_ids)).order_by(events.c.id)))


def ids_still_in_log(connection: Connection, event_ids: Sequence[int]) -> set[int]:
    """Return the IDs of events that are still in the log."""
    return set(connection.execute(select(events.c.id).where(events.c.id.in_(event_ids))).scalars())


def sources_of_events(connection: Connection, event_ids: Sequence[int]) -> dict[int, int]:
    """Return the source ID of those of the events that are in the log, by event ID."""
    sql = f"SELECT id, source_id FROM events WHERE id {is_in_list(connection)}"
    return dict(fetch_rows(connection, sql, (list_parameter(connection, event_ids),)))


def count_events(connection: Connection) -> int:
    """Return the number of stored events."""
    count: int = connection.execute(select(func.count()).select_from(events)).scalar_one()
    return count


def details_of(row: EventRow) -> dict[str, Any]:
    """Return the event's details: what it has no columns for."""
    return msgspec.json.decode(row.details, type=dict[str, Any]) if row.details else {}


def stated_names(row: EventRow) -> tuple[str, str, str]:
    """Return (provider, model, operation) as the record stated them; values that the cap folded come from the details."""
    if row.model != OTHER:
        return row.provider, row.model, row.operation
    details = details_of(row)
    return row.provider, details.get("model", row.model), details.get("operation", row.operation)


def source_of(row: EventRow) -> SourceRow:
    """Return the source of an event."""
    return SourceRow(row.source_id, row.source, bool(row.source_derived))


def identities_of_row(row: EventRow, account_id: int) -> list[bytes]:
    """Return the identities that an event can have in an account: of its source, or of any file if its source is one."""
    own = identity_in_account(row.source, row.external_id, account_id)
    return [identity_in_files(row.external_id, account_id), own] if row.source_derived else [own]


def holder_among(stored: Mapping[bytes, StoredIdentity], identities: Sequence[bytes], event_id: int) -> StoredIdentity | None:
    """Return the stored identity that belongs to an event, else any of those that are stored, else None."""
    found = [stored[identity] for identity in identities if identity in stored]
    return next((holder for holder in found if holder.event_id == event_id), found[0] if found else None)


def usage_event(row: EventRow, route: str) -> UsageEvent:
    """Return the fields that the content digest and success depend on, as if the record had stated ``route``."""
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
        failure=details_of(row).get("failure", ""),
        gateway_cached=row.price_grade == PriceGrade.GATEWAY_CACHE,
    )


def _select() -> Select[Any]:
    return (
        select(
            events,
            sources.c.name.label("source"),
            sources.c.derived.label("source_derived"),
            series.c.provider,
            series.c.model,
            series.c.operation,
            series.c.route,
            series.c.account_id.label("series_account_id"),
        )
        .join_from(events, series, series.c.id == events.c.series_id)
        .join(sources, sources.c.id == events.c.source_id)
    )
