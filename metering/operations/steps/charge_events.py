"""What an event of a batch costs, and what its row tells beside it."""

import msgspec

from metering.domain.batches import BatchEvent
from metering.domain.charging import EXEMPT, FirstCharge, first_charge
from metering.domain.events import QuantityGrade
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


def details_with_told(event: BatchEvent, place: Place) -> str:
    """Return the event's details with what its place has them tell."""
    if not event.details:
        return place.told
    own, told = msgspec.json.decode(event.details), msgspec.json.decode(place.told)
    if "tags" in told:
        told["tags"] |= own.get("tags", {})
    return msgspec.json.encode(own | told).decode()
