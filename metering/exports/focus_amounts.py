"""Amounts and quantities of a FOCUS file: exact decimals whose products are exact.

The specification requires ListUnitPrice x PricingQuantity = ListCost. A price per hour gives a quantity of hours that may have
no finite decimal form; it is written with twelve decimals, and the cost is the product of the written numbers. Costs are
therefore in units of 1e-24 dollars: twelve decimals of the price times twelve of the quantity.
"""

from functools import lru_cache

from metering.domain.statements.statements import unit_of
from pricing.dollars import shortest_usd
from pricing.money import PICO_PER_USD, divide_half_away

DECIMALS = 12
EXACT_PER_PICO = 10**DECIMALS
_EXACT_PER_USD = PICO_PER_USD * EXACT_PER_PICO

_TIMES = {1: "Milliseconds", 1_000: "Seconds", 60_000: "Minutes", 3_600_000: "Hours"}


@lru_cache(maxsize=1024)
def unit_name(kind: str, block: int = 1) -> str:
    """Return ``block`` units of a kind of quantity as the specification writes them: ``Tokens``, ``1000 Characters``."""
    if kind.endswith("_ms") and block in _TIMES:
        return _TIMES[block]
    plural = "Milliseconds" if kind.endswith("_ms") else f"{unit_of(kind).capitalize()}s"
    return plural if block == 1 else f"{block} {plural}"


def pricing_quantity_and_cost(quantity: int, price_pico: int, block: int) -> tuple[str, int]:
    """Return (PricingQuantity as written, cost in units of 1e-24 dollars)."""
    if block == 1:
        return str(quantity), quantity * price_pico * EXACT_PER_PICO
    written = divide_half_away(quantity * EXACT_PER_PICO, block)
    return shortest_usd(written, EXACT_PER_PICO), written * price_pico


def exact_usd(cost: int) -> str:
    """Write a cost in units of 1e-24 dollars without trailing zeros: ``0.88``."""
    return shortest_usd(cost, _EXACT_PER_USD)


def pico_usd(amount_pico: int) -> str:
    """Write pico-USD as dollars without trailing zeros."""
    return shortest_usd(amount_pico, PICO_PER_USD)
