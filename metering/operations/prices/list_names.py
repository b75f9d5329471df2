"""List the names in recorded usage and in price lists, to warn about a filter by a name that does not exist."""

from msgspec import Struct
from sqlalchemy import Engine

from metering.domain.usage.series import OTHER
from metering.operations.prices.show_prices import list_tables
from metering.storage.engine.database import read_snapshot
from metering.storage.usage.series import names_in_series


class UsedNames(Struct, frozen=True):
    """Names as the records stated them. ``models`` is None if the cap on series folded some, which could be any name."""

    providers: frozenset[str]
    models: frozenset[str] | None


class PriceListNames(Struct, frozen=True):
    """Names of the price lists, and of the providers in them."""

    sources: frozenset[str]
    providers: frozenset[str]


def used_names(engine: Engine) -> UsedNames:
    """Return the names in all recorded usage."""
    with read_snapshot(engine) as connection:
        providers, models = names_in_series(connection, "provider"), names_in_series(connection, "model")
    return UsedNames(frozenset(providers), None if OTHER in models else frozenset(models))


def listed_names(engine: Engine) -> PriceListNames:
    """Return the names in all price lists."""
    tables = list_tables(engine)
    providers = {rate.provider for table in tables for rate in table.rates}
    return PriceListNames(frozenset(table.source for table in tables), frozenset(providers))
