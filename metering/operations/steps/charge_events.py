"""What an event of a batch costs, and what its row tells beside it."""

from typing import Any

import msgspec

from metering.domain.batches import BatchEvent
from metering.domain.charging import EXEMPT, FirstCharge, first_charge
from metering.domain.events import QuantityGrade
from metering.domain.series import OTHER
from metering.operations.steps.place_events import Place
from pricing.book import Timeline

_UNSTATED = int(QuantityGrade.UNSTATED)


def charge_event(event: BatchEvent, timeline: Timeline) -> FirstCharge:
    """Price one event at what applies to its place. Raises pricing's ChargeTooLargeError."""
    if not event.succeeded:
        return EXEMPT
    quantities = event.quantities
    rate = None
    if event.quantity_grade != _UNSTATED:
        rate = timeline.rate_of(event.time, quantities)
    return first_charge(quantities, rate, event.reported_cost_nano)


def details_with_folded(event: BatchEvent, place: Place) -> str:
    """Return the event's details with the values that the cap folded out of the series: they stay on the event."""
    told: dict[str, Any] = msgspec.json.decode(event.details) if event.details else {}
    for name in ("project", "key", "model", "operation"):
        if getattr(place.series, name) == OTHER != getattr(place.wanted, name):
            told[name] = getattr(place.wanted, name)
    if place.wanted.tags:
        told["tags"] = {**msgspec.json.decode(place.wanted.tags), **told.get("tags", {})}
    return msgspec.json.encode(told).decode()
