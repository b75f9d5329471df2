"""The price book of a database: its price tables and the model names of one's own."""

from typing import NamedTuple

from sqlalchemy import Connection, func, select

from metering.storage.prices.model_aliases import own_names
from metering.storage.prices.price_tables import load_tables
from metering.storage.tables import model_aliases, price_tables
from pricing.book import PriceBook
from pricing.tables import recorded_until

# Built once, because every commit of events runs it. Aliases are added and removed, never deleted: the sum only grows.
_VERSION = select(
    select(func.coalesce(func.max(price_tables.c.id), 0)).scalar_subquery(),
    select(func.count() + func.count(model_aliases.c.removed_at)).select_from(model_aliases).scalar_subquery(),
)


class BookVersion(NamedTuple):
    """What a price book was built from: the newest price table, and the number of changes to aliases."""

    newest_table: int = 0
    alias_changes: int = 0


def book_version(connection: Connection) -> BookVersion:
    """Return the version of a book that is up to date."""
    return BookVersion._make(connection.execute(_VERSION).one())


def load_book(connection: Connection, *, known_at: int | None = None) -> PriceBook:
    """Return all prices and names, or those that were recorded by an instant (microseconds UTC)."""
    return PriceBook(recorded_until(load_tables(connection), known_at), own_names=own_names(connection, known_at))
