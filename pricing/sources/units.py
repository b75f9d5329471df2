"""The units of prices in a price sheet: the quantities they measure, and how a price in them is represented.

Each quantity has the units in which its price is an exact integer of pico-USD: tokens and characters per million, items per
unit, time per second or per hour. The unit determines the smallest fraction of a dollar, and the block.
"""

from typing import NamedTuple

from pricing.money import PICO_PER_USD
from pricing.quantities import PRICED_KINDS, REQUESTS, UNIT_OF


class Unit(NamedTuple):
    """``names`` maps a sheet's names of quantities to kinds; a price is in whole ``1 / per_usd`` dollars per ``block``."""

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
