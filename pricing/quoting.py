"""Prices in words: per million tokens or characters, each, or per second."""

from pricing.dollars import shortest_usd
from pricing.money import PICO_PER_USD
from pricing.quantities import UNIT_OF
from pricing.rates import Price

# Units that are too small to quote the price of one; a price of anything else is per piece.
_QUOTED = {"token": (1_000_000, "per million"), "character": (1_000_000, "per million"), "ms": (1_000, "per second")}


def quoted_per(quantity: str) -> tuple[int, str]:
    """Return the number of units that prices of a kind are quoted for, in words, too: ``(1_000_000, "per million")``."""
    return _QUOTED.get(UNIT_OF[quantity], (1, "each"))


def quote(quantity: str, price: Price) -> str:
    """Return a price as ``0.88 USD per million``, rounded down to twelve decimals if its block does not divide it."""
    units, words = quoted_per(quantity)
    return f"{shortest_usd(price.pico * units // price.block, PICO_PER_USD)} USD {words}"
