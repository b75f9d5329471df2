"""The first charge of an event, and whether Hugging Face bills it.

Unknown is not zero: without a rate, quantities or a known route, the event is kept unpriced. A cost that the serving provider
reported becomes the charge only if there is no rate. Failed requests are counted and cost nothing.
"""

from msgspec import Struct

from metering.domain.usage.events import BILLED_ROUTES, SERVERLESS, UNKNOWN, PriceGrade, UsageEvent
from pricing.quantities import Quantities
from pricing.rates import Rate
from pricing.rating import charge

HF_INFERENCE = "hf-inference"
# Their output is not measured in any quantity, so measured input shows that the request was answered.
OPERATIONS_WITHOUT_OUTPUT = frozenset({"embeddings", "rerank", "feature-extraction"})


class FirstCharge(Struct, frozen=True, gc=False):
    """What an event costs when it arrives: nano-USD, None while it is unpriced."""

    amount_nano: int | None
    rate_id: int | None
    grade: int


EXEMPT = FirstCharge(0, None, int(PriceGrade.EXEMPT))
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
    """Whether the request was answered: a 2xx or 3xx status, or, without a status, any output."""
    if event.status is not None:
        return 200 <= event.status < 400
    quantities = event.quantities
    if quantities.output_tokens or quantities.has_output:
        return True
    return event.operation in OPERATIONS_WITHOUT_OUTPUT and quantities.prompt_tokens > 0


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
