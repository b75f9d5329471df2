"""Rollups are the only counters: signed sums per series, rate, grades, billable, event day and billing month.

They are aggregated in memory per batch and added in the transaction that writes the charges.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any

from msgspec.structs import astuple, replace

from metering.domain.usage.batch_events import COLUMN_KINDS
from metering.operations.steps.charged_batch import ChargedBatch
from pricing.quantities import ALL_KINDS, Quantities

RollupKey = tuple[int, ...]
"""(series, rate or 0, price grade, quantity grade, billable, event day, billing month)."""


def rollup_keys(charged: ChargedBatch, days: Sequence[int], months: Sequence[int]) -> Iterator[RollupKey]:
    """Return the key under which each event's first charge is summed; ``months`` are those in which they are billed."""
    events, places, charges = charged
    return zip(
        [place.series_id for place in places],
        [charge.rate_id or 0 for charge in charges],
        [charge.grade for charge in charges],
        events.quantity_grades,
        [+(place.billable and succeeded) for place, succeeded in zip(places, events.succeeded, strict=True)],
        days,
        months,
        strict=True,
    )


_PLACES = tuple(ALL_KINDS.index(kind) for kind in COLUMN_KINDS)


class RollupDeltas:
    """What entries of the ledger add to each rollup.

    ``common`` holds (events, COLUMN_KINDS..., nano-USD) of each entry, signed: nearly all there is. ``others`` holds
    quantities in the order of ALL_KINDS that are not in ``common``.
    """

    def __init__(self) -> None:
        self.common: defaultdict[RollupKey, list[tuple[int, ...]]] = defaultdict(list)
        self.others: defaultdict[RollupKey, list[tuple[int, ...]]] = defaultdict(list)

    def add(self, key: RollupKey, quantities: Quantities, amount_nano: int, *, sign: int = 1) -> None:
        """Add one entry of the ledger."""
        self.common[key].append((sign, *_NOTHING, amount_nano))
        self.others[key].append(tuple(amount * sign for amount in astuple(quantities)))

    def add_first_charges(self, charged: ChargedBatch, days: Sequence[int], months: Sequence[int]) -> None:
        """Add the first charge of each event; ``months`` are those in which they are billed."""
        events = charged.events
        keys = list(rollup_keys(charged, days, months))
        columns = [getattr(events, kind) for kind in COLUMN_KINDS]
        amounts = [charge.amount_nano or 0 for charge in charged.charges]
        common = self.common
        for key, entry in zip(keys, zip(repeat(1), *columns, amounts, strict=False), strict=True):
            common[key].append(entry)
        for key, quantities in zip(keys, events.beyond, strict=True):
            if quantities is not None:
                self.others[key].append(astuple(replace(quantities, **_IN_COMMON)))

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row a rollup: the key, then the sums, in the table's order."""
        return [self._row(key, entries) for key, entries in self.common.items()]

    def _row(self, key: RollupKey, entries: list[tuple[int, ...]]) -> tuple[Any, ...]:
        events, *common, amount_nano = map(sum, zip(*entries, strict=True))
        quantities = list(map(sum, zip(*self.others[key], strict=True))) if key in self.others else [0] * len(ALL_KINDS)
        for place, amount in zip(_PLACES, common, strict=True):
            quantities[place] += amount
        return (*key, events, *quantities, amount_nano)


_NOTHING = (0,) * len(COLUMN_KINDS)
_IN_COMMON = dict.fromkeys(COLUMN_KINDS, 0)
