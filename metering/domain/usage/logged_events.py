"""Reading the event log: which events to list, and an event with its current charge."""

from typing import NamedTuple

from msgspec import Struct

from metering.domain.usage.events import PriceGrade, QuantityGrade
from pricing.quantities import Quantities

# How the database stores filter values that have names.
FILTER_CODES: dict[str, dict[str, int]] = {
    "price_grade": {grade.name.lower(): int(grade) for grade in PriceGrade},
    "quantity_grade": {grade.name.lower(): int(grade) for grade in QuantityGrade},
    "billable": {"false": 0, "true": 1},
}


class EventQuery(Struct, frozen=True):
    """Which events of an account to list, from ``start`` until ``end`` (microseconds UTC, half-open).

    ``filters`` maps names of ``storage.usage.event_log.FILTERS`` to the values that match; those in FILTER_CODES are numbers.
    """

    account_id: int
    start: int
    end: int
    filters: dict[str, tuple[str | int, ...]] = {}


class EventPosition(NamedTuple):
    """An event's position in the log, which is ordered by event time, then ID."""

    event_time: int
    event_id: int


class LoggedEvent(Struct, frozen=True):
    """An event with its current charge. Times are microseconds UTC; ``charge_nano`` is None while it is unpriced.

    Values that the series cap folded are shown as the record stated them. ``price_source`` is empty without a rate.
    """

    position: EventPosition
    id: str
    source: str
    time_derived: bool
    received_at: int
    provider: str
    model: str
    operation: str
    route: str
    project: str
    key: str
    tags: dict[str, str]
    status: int | None
    failure: str
    quantities: Quantities
    quantity_grade: QuantityGrade
    estimate_reason: str
    charge_nano: int | None
    price_grade: PriceGrade
    rate_id: int | None
    price_source: str
    cache_price_assumed: bool
    billable: bool
    billing_month: int
    response_id: str
    inference_id: str
    latency_ms: int | None
    response_model: str
    reported_cost_nano: int | None
    gateway_cost_nano: int | None
