"""What the events of a batch cost, and what their rows tell beside it."""

from collections.abc import Sequence

import msgspec

from metering.domain.batch_events import BatchEvents
from metering.domain.charging import EXEMPT, FirstCharge, first_charge
from metering.domain.events import QuantityGrade
from metering.operations.steps.place_events import Place
from pricing.book import Timeline

_UNSTATED = int(QuantityGrade.UNSTATED)


def charge_events(events: BatchEvents, timelines: Sequence[Timeline]) -> list[FirstCharge]:
    """Price each event at what applies to its place. Raises pricing's ChargeTooLargeError."""
    charges = []
    for succeeded, grade, time, quantities, reported_cost_nano, timeline in zip(
        events.succeeded,
        events.quantity_grades,
        events.times,
        events.quantities(),
        events.reported_costs_nano,
        timelines,
        strict=True,
    ):
        if not succeeded:
            charges.append(EXEMPT)
            continue
        rate = timeline.rate_of(time, quantities) if grade != _UNSTATED else None
        charges.append(first_charge(quantities, rate, reported_cost_nano))
    return charges


def details_with_told(details: str, place: Place) -> str:
    """Return an event's details with what its place has them tell."""
    if not details:
        return place.told
    own, told = msgspec.json.decode(details), msgspec.json.decode(place.told)
    if "tags" in told:
        told["tags"] |= own.get("tags", {})
    return msgspec.json.encode(own | told).decode()
