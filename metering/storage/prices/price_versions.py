"""The price tables that rates are listed in."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from metering.domain.prices.table_versions import TableVersion
from metering.storage.tables import price_tables, rates
from pricing.tables import Layer


def versions_of_rates(connection: Connection, rate_ids: Collection[int]) -> dict[int, TableVersion]:
    """Return the price table that lists each of the rates, by the rate's id."""
    columns = [price_tables.c[name] for name in TableVersion.__struct_fields__]
    statement = (
        select(rates.c.id.label("rate_id"), *columns)
        .join_from(rates, price_tables, price_tables.c.id == rates.c.table_id)
        .where(rates.c.id.in_(sorted(rate_ids)))
    )
    found = {}
    for rate_id, *row in connection.execute(statement):
        fields = dict(zip(TableVersion.__struct_fields__, row, strict=True))
        found[rate_id] = TableVersion(**fields | {"layer": Layer(fields["layer"])})
    return found
