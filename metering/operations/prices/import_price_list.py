"""Import a published price list: LiteLLM's price map, or the lists in the package genai-prices.

A published list ranks below your own prices and the router's; its reader sets the layer. A table that changes no price is not
recorded, so importing the same list every day does not add a version every day. It is compared only with earlier tables of the
same source and layer, for example not with the router's synced prices.
"""

from msgspec.structs import replace
from sqlalchemy import Engine

from metering.domain.prices.price_imports import PriceImport
from metering.operations.charges.rate_unpriced import rate_unpriced
from metering.operations.prices.expand_discounts import expand_discounts
from metering.storage.engine.database import exclusive_write
from metering.storage.prices.price_tables import ids_of_sources, load_tables, record_tables
from pricing.changes import prices_in_force, prices_of
from pricing.sources.source_report import SourceReport
from pricing.tables import Layer, PriceTable, TableKind, key_of


def import_price_list(engine: Engine, report: SourceReport, *, rate: bool, now: int) -> PriceImport:
    """Record the tables of a source, all or none; with ``rate``, charge usage that was unpriced."""
    with exclusive_write(engine) as connection:
        known = load_tables(connection, ids_of_sources(connection, {table.source for table in report.tables}))
        fresh: list[PriceTable] = []
        for table in report.tables:
            same_list = [other for other in (*known, *fresh) if _list_of(other) == _list_of(table)]
            if _changes_prices(table, same_list):
                fresh.append(replace(table, recorded_at=now))
        table_ids = record_tables(connection, fresh, now=now)
        discount_ids = expand_discounts(connection, table_ids, now=now)
    rated = rate_unpriced(engine, now=now) if rate else None
    return PriceImport(
        table_ids,
        discount_ids,
        None if rated is None else rated.rated,
        None if rated is None else rated.amount_nano,
        report.left_out,
        any(table.keys for table in report.tables),
    )


def _list_of(table: PriceTable) -> tuple[str, Layer, str, int | None]:
    return table.source, table.layer, table.route, table.account_id


def _changes_prices(table: PriceTable, known: list[PriceTable]) -> bool:
    """Whether any price at the table's instant would differ without the table."""
    in_force = prices_in_force(known, table.source, table.effective_from, route=table.route)
    listed = prices_of(table.rates)
    if any(in_force.get(key) != price for key, price in listed.items()):
        return True
    keys = {key_of(rate) for rate in table.rates}
    return any(
        (key[:3] in table.withdrawn or table.kind is TableKind.SNAPSHOT) if key[:3] not in keys else key not in listed
        for key in in_force
    )
