"""A charge taken apart: each quantity x price / block, the exact sum, and what rounding up to nano-USD added.

The parts are exact fractions of pico-USD, because a block of 3,600,000 ms does not divide every product. Their sum, rounded up
once, is what ``rating.charge`` makes of the same quantities at the same rate.
"""

from fractions import Fraction

from msgspec import Struct

from pricing.money import PICO_PER_NANO, divide_up
from pricing.quantities import PRICED_KINDS, REQUESTS, Quantities
from pricing.rates import Price, Rate, assumed_cache_prices
from pricing.rating import kinds_without_price


class ChargePart(Struct, frozen=True):
    """One multiplication: ``quantity`` units of a kind at ``price``. ``assumed``: it is the input price, for want of one."""

    kind: str
    quantity: int
    price: Price
    assumed: bool = False

    @property
    def amount_pico(self) -> Fraction:
        """Quantity x price / block in pico-USD, exactly."""
        return Fraction(self.quantity * self.price.pico, self.price.block)


class Breakdown(Struct, frozen=True):
    """The parts of one charge, in the order in which kinds are listed, the price of the request itself last."""

    parts: tuple[ChargePart, ...]

    @property
    def sum_pico(self) -> Fraction:
        """What the parts add up to in pico-USD, exactly."""
        return sum((part.amount_pico for part in self.parts), Fraction(0))

    @property
    def amount_nano(self) -> int:
        """The sum, rounded up to nano-USD once: the charge."""
        exact = self.sum_pico
        return divide_up(exact.numerator, exact.denominator * PICO_PER_NANO)

    @property
    def rounding_pico(self) -> Fraction:
        """What rounding up added, in pico-USD: less than a nano-dollar."""
        return self.amount_nano * PICO_PER_NANO - self.sum_pico


def break_down(quantities: Quantities, rate: Rate) -> Breakdown | None:
    """Take the charge for ``quantities`` at ``rate`` apart; None where the rate makes none."""
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
