"""The content of every price table matches the digest that was recorded with it."""

from collections.abc import Iterator

from sqlalchemy import Connection

from metering.domain.violations import Violation
from metering.storage.prices.price_tables import digests_by_id, load_tables
from pricing.errors import PricingError


def tables_match_digests(connection: Connection) -> Iterator[Violation]:
    """The content of each table has the digest that was recorded, even if nothing was charged with it."""
    for table_id, digest in digests_by_id(connection).items():
        try:
            (table,) = load_tables(connection, [table_id])
            found = table.digest
        except PricingError as error:
            found = f"an invalid table: {error}"
        if found != digest:
            message = f"the content of price table {table_id} was changed"
            yield Violation("price_table_differs", f"price table {table_id}", digest, found, message)
