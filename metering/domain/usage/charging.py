"""The first charge of an event, and whether Hugging Face bills it.

Unknown is not zero: without a rate, quantities or a known route, the event is kept unpriced. A cost that the serving provider
reported becomes the charge only if there is no rate. Failed requests, and those that a gateway answered from its own cache, are
counted and cost nothing.
"""

from msgspec import Struct

from metering.domain.usage.events import BILLED_ROUTES, SERVERLESS, UNKNOWN, PriceGrade, QuantityGrade, UsageEvent
from pricing.quantities import Quantities
from pricing.rates import Rate
from pricing.rating import charge

HF_INFERENCE = "hf-inference"


class FirstCharge(Struct, frozen=True, gc=False):
    """What an event costs when it arrives: nano-USD, None while it is unpriced."""

    amount_nano: int | None
    rate_id: int | None
    grade: int


EXEMPT = FirstCharge(0, None, int(PriceGrade.EXEMPT))
GATEWAY_CACHE = FirstCharge(0, None, int(PriceGrade.GATEWAY_CACHE))
UNPRICED = FirstCharge(None, None, int(PriceGrade.UNPRICED))
_RATED = int(PriceGrade.RATED)


def route_of(stated: str, provider: str, default_route: str) -> str:
    """Return an event's route: as stated, else serverless for hf-inference, else the account's default, else unknown."""
    if stated:
        return stated
    if provider == HF_INFERENCE:
        return SERVERLESS
    return default_route or UNKNOWN


def succeeded(event: UsageEvent) -> bool:
    """Whether the provider answered the request. It did unless the record states an error, or a gateway's own cache answered.

    A status outside of 2xx and 3xx is an error. An error that is stated otherwise counts if there is no status, or if the
    answer used nothing: what a 2xx response states to have used is billed, even if its last words are an error.
    """
    status = event.status
    if event.gateway_cached or not (status is None or 200 <= status < 400):
        return False
    return not event.failure or (status is not None and event.quantity_grade != QuantityGrade.UNSTATED)


def is_billable(route: str) -> bool:
    """Whether Hugging Face bills answered requests of a route. Requests on a partner's own key are never billable."""
    return route in BILLED_ROUTES


def first_charge(quantities: Quantities, rate: Rate | None, reported_cost_nano: int | None) -> FirstCharge:
    """Price the quantities of an answered request at the rate in effect when it started; None means there is no rate.

    ``reported_cost_nano`` is the cost that the serving provider reported. Raises pricing's ChargeTooLargeError.
    """
    priced = None if rate is None else charge(quantities, rate)
    if priced is not None:
        return FirstCharge(priced.amount_nano, priced.rate.id, _RATED)
    if reported_cost_nano is not None:
        return FirstCharge(reported_cost_nano, None, int(PriceGrade.REPORTED))
    return UNPRICED
