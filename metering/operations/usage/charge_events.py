"""Price the events of a batch, and complete the details that are stored with them."""

from collections.abc import Sequence

import msgspec

from metering.domain.usage.batch_events import BatchEvents
from metering.domain.usage.charging import EXEMPT, GATEWAY_CACHE, FirstCharge, first_charge
from metering.domain.usage.events import PriceGrade, QuantityGrade
from metering.operations.steps.event_contexts import EventContext
from pricing.book import Timeline
from pricing.rating import text_amount

_UNSTATED, _RATED = int(QuantityGrade.UNSTATED), int(PriceGrade.RATED)


def charge_events(events: BatchEvents, timelines: Sequence[Timeline]) -> list[FirstCharge]:
    """Return the charge of each event at the rate of its timeline. Raises pricing's ChargeTooLargeError."""
    columns = zip(
        events.succeeded,
        events.quantity_grades,
        events.times,
        events.input_tokens,
        events.cache_read_tokens,
        events.output_tokens,
        events.beyond,
        timelines,
        strict=True,
    )
    charges = []
    for position, (succeeded, grade, time, fresh, cached, output, beyond, timeline) in enumerate(columns):
        if not succeeded:
            charges.append(GATEWAY_CACHE if events.gateway_cached[position] else EXEMPT)
            continue
        prompt = fresh + cached if beyond is None else beyond.prompt_tokens
        rate = None if grade == _UNSTATED else timeline.rate_at(time, prompt)
        # Most events are text at a text price and need no Quantities object.
        amount_nano = None if rate is None or beyond is not None else text_amount(rate, fresh, cached, 0, 0, output)
        if rate is not None and amount_nano is not None:
            charges.append(FirstCharge(amount_nano, rate.id, _RATED))
        else:
            charges.append(first_charge(events.quantities_at(position), rate, events.reported_costs_nano[position]))
    return charges


def merge_details(details: str, context: EventContext) -> str:
    """Return an event's details merged with those of its context, as JSON."""
    if not details:
        return context.extra_details
    own, extra = msgspec.json.decode(details), msgspec.json.decode(context.extra_details)
    if "tags" in extra:
        extra["tags"] |= own.get("tags", {})
    return msgspec.json.encode(own | extra).decode()
