"""Spend sums by group and period, within a transaction. Spend queries and ``verify`` use the same sums."""

from typing import Any

from sqlalchemy import Connection

from metering.domain.charges.spend import MAX_ROWS, SpendQuery, SpendSums, TooManyRowsError
from metering.storage.charges.spend import spend_sums

Sums = dict[tuple[int, tuple[Any, ...]], SpendSums]
"""By (period, group as stored in the database)."""


def sums_by_group(connection: Connection, query: SpendQuery) -> Sums:
    """Return the sums of each group and period with usage. Raises TooManyRowsError."""
    merged: Sums = {}
    for group, period, sums in spend_sums(connection, query, limit=MAX_ROWS + 1):
        key = (period, group)
        before = merged.get(key)
        merged[key] = sums if before is None else before.plus(sums)
    if len(merged) > MAX_ROWS:
        raise TooManyRowsError
    return merged
