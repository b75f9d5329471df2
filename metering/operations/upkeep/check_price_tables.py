"""Is every price table what was recorded? What it holds has the digest that was written with it."""

from collections.abc import Iterator

from sqlalchemy import Connection

from metering.domain.violations import Violation
from metering.storage.prices.price_tables import digests_by_id, load_tables
from pricing.errors import PricingError


def tables_match_digests(connection: Connection) -> Iterator[Violation]:
    """The digest of each table's content is the one that was recorded, whether anything was charged with it or not."""
    for table_id, digest in digests_by_id(connection).items():
        try:
            (table,) = load_tables(connection, [table_id])
            found = table.digest
        except PricingError as error:
            found = f"nothing that a table can be: {error}"
        if found != digest:
            message = f"price table {table_id} does not hold what was recorded"
            yield Violation("price_table_differs", f"price table {table_id}", digest, found, message)
