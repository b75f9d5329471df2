"""Let the discounts follow what others pay, in the transaction that records other base prices: never one without the other.

What is written is effective from where the base changed; what was written before stays as it is.
"""

from collections.abc import Collection

from sqlalchemy import Connection

from metering.storage.prices.price_discounts import load_discounts
from metering.storage.prices.price_tables import load_tables, record_tables
from pricing.discounts import BasePrices, changed_since, expand
from pricing.tables import Layer


def expand_discounts(connection: Connection, table_ids: Collection[int], *, now: int) -> list[int]:
    """Record what every discount comes to once the tables with ``table_ids`` are recorded; return the ids of what was new."""
    given = load_discounts(connection) if table_ids else {}
    if not given:
        return []
    recorded = load_tables(connection)
    fresh = [table for table in recorded if table.id in table_ids and table.layer is not Layer.ACCOUNT]
    if not fresh:
        return []
    base = BasePrices(recorded)
    since = changed_since(fresh, [table for table in recorded if table.id not in table_ids])
    found: list[int] = []
    for account_id, discounts in sorted(given.items()):
        mine = [table for table in recorded if table.account_id == account_id]
        found += record_tables(connection, expand(base, mine, discounts, since=since).tables, now=now)
    return found
