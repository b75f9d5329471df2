"""What a spend question comes to by group and period, within a transaction: the same sums are answered and verified."""

from typing import Any

from sqlalchemy import Connection

from metering.domain.charges.spend import MAX_ROWS, SpendQuery, SpendSums, TooManyRowsError
from metering.storage.charges.spend import spend_sums

Sums = dict[tuple[int, tuple[Any, ...]], SpendSums]
"""By (period, group as the database keeps it)."""


def sums_by_group(connection: Connection, query: SpendQuery) -> Sums:
    """Return the sums of each group and period that has any. Raises TooManyRowsError."""
    merged: Sums = {}
    for group, period, sums in spend_sums(connection, query, limit=MAX_ROWS + 1):
        key = (period, group)
        before = merged.get(key)
        merged[key] = sums if before is None else before.plus(sums)
    if len(merged) > MAX_ROWS:
        raise TooManyRowsError
    return merged
