"""A rate together with the price table that lists it."""

from msgspec import Struct

from pricing.rates import Rate
from pricing.tables import PriceTable


class ListedRate(Struct, frozen=True):
    """A rate and its price table."""

    rate: Rate
    table: PriceTable
