"""List the events of an account page by page, each with its current charge."""

from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row

from metering.domain.usage.events import PriceGrade, QuantityGrade
from metering.domain.usage.logged_events import EventPosition, EventQuery, LoggedEvent
from metering.domain.usage.series import OTHER
from metering.operations.steps.require_events import require_events
from metering.storage.charges.event_quantities import quantities_of
from metering.storage.engine.database import read_snapshot
from metering.storage.prices.price_tables import load_rates
from metering.storage.usage.event_log import events_after
from pricing.rates import Rate
from pricing.rating import assumes_cache_price


def list_events(engine: Engine, query: EventQuery, *, after: EventPosition | None = None, limit: int) -> list[LoggedEvent]:
    """Return at most ``limit`` events, ordered by event time, then arrival. Raises EventsRetiredError."""
    with read_snapshot(engine) as connection:
        require_events(connection, query.start, query.end, "listing events")
        return logged_events(connection, query, after=after, limit=limit)


def logged_events(connection: Connection, query: EventQuery, *, after: EventPosition | None, limit: int) -> list[LoggedEvent]:
    """Do the same within a transaction, without checking for retired events."""
    rows = events_after(connection, query, after, limit)
    rates = load_rates(connection, {row.rate_id for row in rows if row.rate_id is not None})
    return [_logged(row, rates) for row in rows]


def _logged(row: Row[Any], rates: dict[int, Rate]) -> LoggedEvent:
    details: dict[str, Any] = msgspec.json.decode(row.details) if row.details else {}
    series_tags = msgspec.json.decode(row.tags) if row.tags not in ("", OTHER) else {}

    def stated(name: str) -> str:
        value: str = getattr(row, name)
        return details.get(name, value) if value == OTHER else value

    grade, quantities = PriceGrade(row.price_grade), quantities_of(row)
    return LoggedEvent(
        position=EventPosition(row.event_time, row.event_id),
        id=row.external_id,
        source=row.source,
        time_derived=details.get("time_derived", False),
        received_at=row.received_at,
        provider=row.provider,
        model=stated("model"),
        operation=stated("operation"),
        route=row.route,
        project=stated("project"),
        key=stated("key"),
        tags={**series_tags, **details.get("tags", {})},
        status=row.status,
        failure=details.get("failure", ""),
        quantities=quantities,
        quantity_grade=QuantityGrade(row.quantity_grade),
        estimate_reason=details.get("estimate_reason", ""),
        charge_nano=None if grade is PriceGrade.UNPRICED else row.charge_nano,
        price_grade=grade,
        rate_id=row.rate_id,
        price_source=row.price_source or "",
        cache_price_assumed=row.rate_id is not None and assumes_cache_price(quantities, rates[row.rate_id]),
        billable=bool(row.billable),
        billing_month=row.billing_month,
        response_id=row.response_id,
        inference_id=row.inference_id,
        latency_ms=row.latency_ms,
        response_model=details.get("response_model", ""),
        reported_cost_nano=details.get("reported_cost_nano"),
        gateway_cost_nano=details.get("gateway_cost_nano"),
    )
