"""Amounts and quantities of a FOCUS file: exact decimals whose products are exact.

The specification requires ListUnitPrice x PricingQuantity = ListCost. A price per hour gives a quantity of hours that may have
no finite decimal form; it is written with twelve decimals, and the cost is the product of the written numbers. Costs are
therefore in units of 1e-24 dollars: twelve decimals of the price times twelve of the quantity.
"""

from functools import lru_cache
from typing import NamedTuple

from metering.domain.statements.statements import unit_of
from pricing.dollars import shortest_usd
from pricing.money import PICO_PER_USD, divide_half_away
from pricing.rates import Price

DECIMALS = 12
EXACT_PER_PICO = 10**DECIMALS
_EXACT_PER_USD = PICO_PER_USD * EXACT_PER_PICO

_MS_PER_SECOND = 1_000
_TIMES = {1_000: "Seconds", 60_000: "Minutes", 3_600_000: "Hours"}


class UnitPrice(NamedTuple):
    """A price as the specification writes it: pico-USD for one PricingUnit of ``block`` units of the kind."""

    unit: str
    block: int
    pico: int


def unit_price(kind: str, price: Price) -> UnitPrice:
    """Return a price per PricingUnit. The specification has no milliseconds: a price per 7 ms is one per 7 seconds."""
    if is_time(kind) and price.block % _MS_PER_SECOND:
        block = price.block * _MS_PER_SECOND
        return UnitPrice(_unit_name(kind, block), block, price.pico * _MS_PER_SECOND)
    return UnitPrice(_unit_name(kind, price.block), price.block, price.pico)


def price_per(price: Price, block: int) -> int:
    """Return a price in pico-USD for ``block`` units, rounded half away from zero if it is not a whole number."""
    return divide_half_away(price.pico * block, price.block)


@lru_cache(maxsize=1024)
def consumed_unit(kind: str) -> str:
    """Return the unit in which a kind of quantity is measured: ``Tokens``, ``Seconds``."""
    return _unit_name(kind, _MS_PER_SECOND if is_time(kind) else 1)


def consumed_quantity(quantity: int, *, in_ms: bool) -> str:
    """Write a measured quantity in its ConsumedUnit: milliseconds as seconds with at most three decimals."""
    return shortest_usd(quantity, _MS_PER_SECOND) if in_ms else str(quantity)


def is_time(kind: str) -> bool:
    """Whether a kind of quantity is measured in milliseconds."""
    return unit_of(kind) == "ms"


def _unit_name(kind: str, block: int) -> str:
    """Return ``block`` units of a kind of quantity as the specification writes them: ``Tokens``, ``1000 Characters``."""
    if is_time(kind):
        return _TIMES.get(block) or f"{block // _MS_PER_SECOND} Seconds"
    plural = f"{unit_of(kind).capitalize()}s"
    return plural if block == 1 else f"{block} {plural}"


def pricing_quantity(quantity: int, block: int) -> tuple[str, int]:
    """Return (PricingQuantity as written, its value in units of 1e-12)."""
    if block == 1:
        return str(quantity), quantity * EXACT_PER_PICO
    written = divide_half_away(quantity * EXACT_PER_PICO, block)
    return shortest_usd(written, EXACT_PER_PICO), written


def exact_usd(cost: int) -> str:
    """Write a cost in units of 1e-24 dollars without trailing zeros: ``0.88``."""
    return shortest_usd(cost, _EXACT_PER_USD)


def pico_usd(amount_pico: int) -> str:
    """Write pico-USD as dollars without trailing zeros."""
    return shortest_usd(amount_pico, PICO_PER_USD)
