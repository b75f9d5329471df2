"""A source's prices in force, with which a newly fetched list is compared.

They come from the source's own tables and, below them, the bundled tables of the same source. Before the first fetch, there
are only the bundled ones.
"""

from typing import NamedTuple

from sqlalchemy import Connection

from metering.storage.prices.price_tables import load_tables, table_ids
from pricing.changes import PriceKey, prices_in_force
from pricing.rates import Price
from pricing.tables import Layer, RateKey, key_of


class CurrentPrices(NamedTuple):
    """The prices in force, and every key that the source's newest list or its bundled tables have ever priced."""

    prices: dict[PriceKey, Price]
    listed_before: frozenset[RateKey]


def current_prices(connection: Connection, source: str, route: str, instant: int) -> CurrentPrices:
    """Return the prices of a source on a route that are in force at ``instant`` (microseconds UTC).

    Snapshots before the newest are not read, because the newest withdraws whatever it does not list.
    """
    ids = [
        table_id for layer in (Layer.ROUTE, Layer.BUNDLED) for table_id in table_ids(connection, source, layer, until=instant)
    ]
    tables = [table for table in load_tables(connection, ids) if table.route in ("", route)]
    listed = frozenset(key_of(rate) for table in tables for rate in table.rates)
    return CurrentPrices(prices_in_force(tables, source, instant, route=route), listed)
