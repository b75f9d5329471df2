"""Rollups are the only counters: signed sums per series, rate, grades, billable, event day and billing month.

They are aggregated in memory per batch and added in the transaction that writes the charges.
"""

from collections import defaultdict
from typing import Any

from msgspec.structs import astuple

from metering.domain.batches import COLUMN_KINDS, BatchEvent
from metering.domain.charging import FirstCharge
from metering.operations.steps.place_events import Place
from pricing.quantities import ALL_KINDS, Quantities

RollupKey = tuple[int, ...]
"""(series, rate or 0, price grade, quantity grade, billable, event day, billing month)."""


def rollup_key(event: BatchEvent, place: Place, charge: FirstCharge, day: int, month: int) -> RollupKey:
    """Return the key under which an event's first charge is summed; ``month`` is the one it is billed in."""
    billable = +(place.billable and event.succeeded)
    return place.series_id, charge.rate_id or 0, charge.grade, event.quantity_grade, billable, day, month


_PLACES = tuple(ALL_KINDS.index(kind) for kind in COLUMN_KINDS)


class RollupDeltas:
    """What one batch adds to each rollup.

    ``common`` holds (events, COLUMN_KINDS..., nano-USD) of each entry, signed: nearly all there is. ``whole`` holds the
    quantities in the order of ALL_KINDS of entries that have others; what is in ``common`` of those is the count and the
    amount only.
    """

    def __init__(self) -> None:
        self.common: defaultdict[RollupKey, list[tuple[int, ...]]] = defaultdict(list)
        self.whole: defaultdict[RollupKey, list[tuple[int, ...]]] = defaultdict(list)

    def add(self, key: RollupKey, quantities: Quantities, amount_nano: int, *, sign: int = 1) -> None:
        """Add one entry of the ledger."""
        self.common[key].append((sign, *_NOTHING, amount_nano))
        self.whole[key].append(tuple(amount * sign for amount in astuple(quantities)))

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row a rollup: the key, then the sums, in the table's order."""
        return [self._row(key, entries) for key, entries in self.common.items()]

    def _row(self, key: RollupKey, entries: list[tuple[int, ...]]) -> tuple[Any, ...]:
        events, *common, amount_nano = map(sum, zip(*entries, strict=True))
        quantities = list(map(sum, zip(*self.whole[key], strict=True))) if key in self.whole else [0] * len(ALL_KINDS)
        for place, amount in zip(_PLACES, common, strict=True):
            quantities[place] += amount
        return (*key, events, *quantities, amount_nano)


_NOTHING = (0,) * len(COLUMN_KINDS)
