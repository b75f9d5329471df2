"""A rate together with the price table that lists it."""

from msgspec import Struct

from pricing.rates import Rate
from pricing.tables import PriceTable


class ListedRate(Struct, frozen=True):
    """A rate and its price table."""

    rate: Rate
    table: PriceTable

    @property
    def sort_key(self) -> tuple[str, str, str, int, str, str, int, int]:
        """Order of rates: by provider, model, route, layer, price list, operation and context tier."""
        rate, table = self.rate, self.table
        return (
            rate.provider, rate.model, table.route, int(table.layer), table.source, rate.operation, rate.context_from, rate.id,
        )  # fmt: skip
