"""Which names there are: of the usage on record, and in the price lists. A name that nothing has finds nothing, silently."""

from msgspec import Struct
from sqlalchemy import Engine

from metering.domain.usage.series import OTHER
from metering.operations.prices.show_prices import list_tables
from metering.storage.engine.database import read_snapshot
from metering.storage.usage.series import names_in_series


class UsedNames(Struct, frozen=True):
    """Names as the records stated them; ``models`` is None where the cap folded some, because any may be among those."""

    providers: frozenset[str]
    models: frozenset[str] | None


class PriceListNames(Struct, frozen=True):
    """Names of price lists, and of the providers whose prices are in them."""

    sources: frozenset[str]
    providers: frozenset[str]


def used_names(engine: Engine) -> UsedNames:
    """Return the names of all usage on record."""
    with read_snapshot(engine) as connection:
        providers, models = names_in_series(connection, "provider"), names_in_series(connection, "model")
    return UsedNames(frozenset(providers), None if OTHER in models else frozenset(models))


def listed_names(engine: Engine) -> PriceListNames:
    """Return the names in all price lists."""
    tables = list_tables(engine)
    providers = {rate.provider for table in tables for rate in table.rates}
    return PriceListNames(frozenset(table.source for table in tables), frozenset(providers))
