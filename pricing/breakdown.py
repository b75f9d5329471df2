"""The breakdown of a charge: each quantity x price / block, their exact sum, and the amount that rounding up to nano-USD added.

The parts are exact fractions of pico-USD, because a block of 3,600,000 ms does not divide every product. Their sum, rounded up
once, equals the charge that ``rating.charge`` computes.
"""

from fractions import Fraction

from msgspec import Struct

from pricing.money import PICO_PER_NANO, divide_up
from pricing.quantities import PRICED_KINDS, REQUESTS, Quantities
from pricing.rates import Price, Rate, assumed_cache_prices
from pricing.rating import kinds_without_price


class ChargePart(Struct, frozen=True):
    """One product: ``quantity`` units of a kind at ``price``, which is the input price if a cache price is ``assumed``."""

    kind: str
    quantity: int
    price: Price
    assumed: bool = False

    @property
    def amount_pico(self) -> Fraction:
        """Quantity x price / block in pico-USD, exactly."""
        return Fraction(self.quantity * self.price.pico, self.price.block)


class Breakdown(Struct, frozen=True):
    """The parts of one charge, in the order of PRICED_KINDS, with the price per request last."""

    parts: tuple[ChargePart, ...]

    @property
    def sum_pico(self) -> Fraction:
        """The exact sum of the parts in pico-USD."""
        return sum((part.amount_pico for part in self.parts), Fraction(0))

    @property
    def amount_nano(self) -> int:
        """The charge: the sum rounded up to nano-USD once."""
        exact = self.sum_pico
        return divide_up(exact.numerator, exact.denominator * PICO_PER_NANO)

    @property
    def rounding_pico(self) -> Fraction:
        """The amount that rounding up added, in pico-USD; less than a nano-dollar."""
        return self.amount_nano * PICO_PER_NANO - self.sum_pico


def break_down(quantities: Quantities, rate: Rate) -> Breakdown | None:
    """Return the breakdown of the charge for ``quantities`` at ``rate``; None if the rate cannot price them."""
    if kinds_without_price(quantities, rate):
        return None
    assumed = assumed_cache_prices(rate.prices)
    prices = {**rate.prices, **assumed}
    parts = [
        ChargePart(kind, used, prices[kind], kind in assumed) for kind in PRICED_KINDS if (used := getattr(quantities, kind))
    ]
    if REQUESTS in rate.prices:
        parts.append(ChargePart(REQUESTS, 1, rate.prices[REQUESTS]))
    return Breakdown(tuple(parts))
