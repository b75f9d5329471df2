"""The one formula: quantities x rate = charge.

Every quantity is charged exactly once. The product is exact; it is rounded up to nano-USD once, per request. A non-zero
quantity without a price leaves the whole request unpriced, because a part of a price is not the price.
"""

from operator import mul

from msgspec import Struct
from msgspec.structs import astuple

from pricing.errors import ChargeTooLargeError
from pricing.money import MAX_CHARGE_NANO
from pricing.quantities import PRICED_KINDS, Quantities
from pricing.rates import Rate, assumed_cache_prices


class Charge(Struct, frozen=True, gc=False):
    """What a request costs at a rate: nano-USD, and whether a cache price had to be assumed."""

    amount_nano: int
    rate: Rate
    cache_price_unknown: bool = False


def charge(quantities: Quantities, rate: Rate) -> Charge | None:
    """Price ``quantities`` at ``rate``; None when a non-zero quantity has no price there.

    Raises ChargeTooLargeError for 2^53 nano-USD or more.
    """
    amounts = astuple(quantities)
    vector = rate.vector
    if amounts[len(vector) : -1] != rate.zeros or (rate.gaps and any(amounts[i] for i in rate.gaps)):
        return None
    amount_nano = -(-sum(map(mul, amounts, vector), rate.per_request) // rate.denominator)
    if amount_nano > MAX_CHARGE_NANO:
        raise ChargeTooLargeError(f"{amount_nano} nano-USD for one request of {rate.model} at {rate.provider}")
    if rate.assumed and (quantities.cache_read_tokens or quantities.cache_write_tokens or quantities.cache_write_1h_tokens):
        return Charge(amount_nano, rate, any(map(amounts.__getitem__, rate.assumed)))
    return Charge(amount_nano, rate)


def kinds_without_price(quantities: Quantities, rate: Rate) -> list[str]:
    """Return the non-zero kinds that keep ``rate`` from pricing ``quantities``, in the order of PRICED_KINDS."""
    known = set(rate.prices) | set(assumed_cache_prices(rate.prices))
    return [kind for kind in PRICED_KINDS if kind not in known and getattr(quantities, kind)]


def line_amount_pico(kind: str, quantity: int, rate: Rate) -> int:
    """Return quantity x price of one kind in pico-USD, as a statement's usage line shows it.

    Exact where the price's block divides the product (always, for prices per token); otherwise rounded down, and the
    difference is part of the rate's rounding line. ``kind`` may be ``requests``.
    """
    price = rate.prices.get(kind) or assumed_cache_prices(rate.prices)[kind]
    return quantity * price.pico // price.block
