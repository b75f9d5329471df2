"""The units that a price sheet writes prices in: what they measure, and how a price in them is counted.

Every quantity has exactly the units in which its price is an exact integer of pico-USD: tokens and characters per million,
things per unit, time per second or per hour. The smallest share of a dollar and the block follow from the unit.
"""

from typing import NamedTuple

from pricing.money import PICO_PER_USD
from pricing.quantities import PRICED_KINDS, REQUESTS, UNIT_OF


class Unit(NamedTuple):
    """``names`` maps what a sheet calls a quantity to its kind; a price is counted in ``1 / per_usd`` dollars per ``block``."""

    names: dict[str, str]
    per_usd: int
    block: int


# A price per million tokens with six decimals is a whole number of pico-USD per token.
_PER_MILLION = {kind: kind for kind in PRICED_KINDS if UNIT_OF[kind] in ("token", "character")}
_TIMED = {kind.removesuffix("_ms"): kind for kind in PRICED_KINDS if UNIT_OF[kind] == "ms"}
_PER_UNIT = {kind: kind for kind in (*PRICED_KINDS, REQUESTS) if kind not in (*_PER_MILLION, *_TIMED.values())}

UNITS: dict[str, Unit] = {
    "million": Unit(_PER_MILLION, PICO_PER_USD // 1_000_000, 1),
    "unit": Unit(_PER_UNIT, PICO_PER_USD, 1),
    "second": Unit(_TIMED, PICO_PER_USD, 1_000),
    "hour": Unit(_TIMED, PICO_PER_USD, 3_600_000),
}
