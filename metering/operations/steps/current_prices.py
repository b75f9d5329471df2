"""What requests are priced with from one source now, as one snapshot: what an answer of that source is compared with.

The source's own tables count; before there are any, the bundled record of the same list.
"""

from typing import NamedTuple

from sqlalchemy import Connection

from metering.storage.price_tables import load_tables, table_ids
from pricing.rates import Rate
from pricing.tables import Layer, PriceTable, RateKey, TableKind, key_of


class CurrentPrices(NamedTuple):
    """The prices in force, and everything that the source or its bundled record has ever been known to list."""

    table: PriceTable
    listed_before: frozenset[RateKey]


def current_prices(connection: Connection, source: str, route: str, instant: int) -> CurrentPrices:
    """Return the prices of a source's route in force at ``instant`` (microseconds UTC)."""
    own = _tables(connection, source, route, Layer.ROUTE, instant)
    record = _tables(connection, source, route, Layer.BUNDLED, instant)
    listed = {key_of(rate) for table in (*own, *record) for rate in table.rates}
    withdrawn = {key for table in own for key in table.withdrawn}
    return CurrentPrices(_in_force(own or record, source, route), frozenset(listed | withdrawn))


def _tables(connection: Connection, source: str, route: str, layer: Layer, instant: int) -> list[PriceTable]:
    ids = table_ids(connection, source, layer, until=instant)
    by_id = {table.id: table for table in load_tables(connection, ids)}
    return [table for table in map(by_id.__getitem__, ids) if table.route == route]


def _in_force(tables: list[PriceTable], source: str, route: str) -> PriceTable:
    rates: dict[RateKey, list[Rate]] = {}
    withdrawn: set[RateKey] = set()
    for table in tables:
        if table.kind is TableKind.SNAPSHOT:
            rates, withdrawn = {}, set()
        listed: dict[RateKey, list[Rate]] = {}
        for rate in table.rates:
            listed.setdefault(key_of(rate), []).append(rate)
        rates.update(listed)
        withdrawn = (withdrawn | table.withdrawn) - listed.keys()
        for key in table.withdrawn:
            rates.pop(key, None)
    return PriceTable(
        source=source,
        layer=Layer.ROUTE,
        kind=TableKind.SNAPSHOT,
        effective_from=tables[-1].effective_from if tables else 0,
        rates=tuple(rate for key in sorted(rates) for rate in rates[key]),
        withdrawn=frozenset(withdrawn),
        route=route,
    )
