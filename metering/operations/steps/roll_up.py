"""Rollups are the only counters: signed sums per series, rate, grades, billable, event day and billing month.

They are aggregated in memory per batch and added in the transaction that writes the charges.
"""

from collections import defaultdict
from typing import Any

RollupKey = tuple[int, ...]
"""(series, rate or 0, price grade, quantity grade, billable, event day, billing month)."""


class RollupDeltas:
    """What one batch adds to each rollup. An entry is (events, quantities..., amount), all of one sign."""

    def __init__(self) -> None:
        self.entries: defaultdict[RollupKey, list[tuple[int, ...]]] = defaultdict(list)

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row a rollup: the key, then the sums, in the table's order."""
        return [(*key, *map(sum, zip(*entries, strict=True))) for key, entries in self.entries.items()]
