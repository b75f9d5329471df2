"""The first charge of an event, and whether Hugging Face bills it.

Unknown is not zero: without a rate, quantities or a route that says whose prices apply, the event is kept unpriced. A cost
that the serving provider reported becomes the charge only where there is no rate. Failures are counted and cost nothing.
"""

from msgspec import Struct

from metering.domain.usage.events import BILLED_ROUTES, SERVERLESS, UNKNOWN, PriceGrade, UsageEvent
from pricing.quantities import Quantities
from pricing.rates import Rate
from pricing.rating import charge

HF_INFERENCE = "hf-inference"
# What these produce is not counted in any quantity: measured input is the sign that there was an answer.
OPERATIONS_WITHOUT_OUTPUT = frozenset({"embeddings", "rerank", "feature-extraction"})


class FirstCharge(Struct, frozen=True, gc=False):
    """What an event costs as far as it is known: nano-USD, None where it is unpriced."""

    amount_nano: int | None
    rate_id: int | None
    grade: int


EXEMPT = FirstCharge(0, None, int(PriceGrade.EXEMPT))
UNPRICED = FirstCharge(None, None, int(PriceGrade.UNPRICED))
_RATED = int(PriceGrade.RATED)


def route_of(stated: str, provider: str, default_route: str) -> str:
    """Return the event's route: stated, else serverless at hf-inference, else the account's setting, else unknown."""
    if stated:
        return stated
    if provider == HF_INFERENCE:
        return SERVERLESS
    return default_route or UNKNOWN


def succeeded(event: UsageEvent) -> bool:
    """Whether the request produced an answer: status 2xx or 3xx; without a status, whether there is output."""
    if event.status is not None:
        return 200 <= event.status < 400
    quantities = event.quantities
    if quantities.output_tokens or quantities.has_output:
        return True
    return event.operation in OPERATIONS_WITHOUT_OUTPUT and quantities.prompt_tokens > 0


def is_billable(route: str) -> bool:
    """Whether Hugging Face bills answered requests of a route: never those on a partner's own key."""
    return route in BILLED_ROUTES


def first_charge(quantities: Quantities, rate: Rate | None, reported_cost_nano: int | None) -> FirstCharge:
    """Price the quantities of an answered request at the rate that was valid when it started; None: there is no rate.

    ``reported_cost_nano`` is what the serving provider said it cost. Raises pricing's ChargeTooLargeError.
    """
    priced = None if rate is None else charge(quantities, rate)
    if priced is not None:
        return FirstCharge(priced.amount_nano, priced.rate.id, _RATED)
    if reported_cost_nano is not None:
        return FirstCharge(reported_cost_nano, None, int(PriceGrade.REPORTED))
    return UNPRICED
