"""Keep discounts in step with base prices, in the transaction that records the base prices.

New tables take effect when the base prices changed. Earlier tables stay as they are.
"""

from collections.abc import Collection

from sqlalchemy import Connection

from metering.storage.prices.price_discounts import load_discounts
from metering.storage.prices.price_tables import load_tables, record_tables
from pricing.discounts import BasePrices, changed_since, expand
from pricing.tables import Layer


def expand_discounts(connection: Connection, table_ids: Collection[int], *, now: int) -> list[int]:
    """Record what the newly recorded tables ``table_ids`` change about every discount; return the ids of the tables added."""
    by_account = load_discounts(connection) if table_ids else {}
    if not by_account:
        return []
    tables = load_tables(connection)
    fresh = [table for table in tables if table.id in table_ids and table.layer is not Layer.ACCOUNT]
    if not fresh:
        return []
    base = BasePrices(tables)
    since = changed_since(fresh, [table for table in tables if table.id not in table_ids])
    added: list[int] = []
    for account_id, discounts in sorted(by_account.items()):
        own = [table for table in tables if table.account_id == account_id]
        added += record_tables(connection, expand(base, own, discounts, since=since).tables, now=now)
    return added
