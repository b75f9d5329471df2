"""A metered request as an invoice sees it: whether the biller should bill it, and for how much."""

from enum import IntEnum

from msgspec import Struct

from metering.domain.instants import MICROS_PER_HOUR
from metering.domain.usage.events import FREE_GRADES, UNKNOWN, PriceGrade
from pricing.quantities import Quantities
from pricing.rates import Rate

SEARCH_MARGIN_MICROS = 48 * MICROS_PER_HOUR
"""How far outside of an invoice's period requests are searched for that its lines may be about."""

PENDING_MICROS = MICROS_PER_HOUR // 2
"""How long Hugging Face waits for the cost of a request before it gives up charging it."""


class Billability(IntEnum):
    """Whether an invoice should bill a request, and if not, why."""

    BILLED = 0
    OTHER_ROUTE = 1
    FAILED = 2
    UNPRICED = 3
    UNKNOWN_ROUTE = 4


def billability_of(route: str, price_grade: int, routes: tuple[str, ...]) -> Billability:
    """Return whether an invoice about ``routes`` should bill a request."""
    if price_grade in FREE_GRADES:  # to the provider, an answer from a gateway's cache is no request at all
        return Billability.FAILED
    if route == UNKNOWN:
        return Billability.UNKNOWN_ROUTE
    if route not in routes:
        return Billability.OTHER_ROUTE
    return Billability.UNPRICED if price_grade == PriceGrade.UNPRICED else Billability.BILLED


class MeteredRequest(Struct, frozen=True, gc=False, kw_only=True):
    """One request. ``amount_nano`` is its charge; ``rate`` is None if its cost was reported or no rate is known."""

    event_id: int
    time: int
    provider: str
    model: str
    billability: int
    amount_nano: int
    quantities: Quantities
    rate: Rate | None = None
