"""Rollups: signed sums per series, rate, grades, billable, event day and billing month. They are the only counters.

They are summed in memory per batch and added in the transaction that writes the charges.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import repeat

from msgspec.structs import astuple, replace

from metering.domain.charges.ledger_sums import LedgerSums, RollupKey
from metering.domain.instants import MICROS_PER_DAY
from metering.domain.usage.batch_events import COLUMN_KINDS
from metering.domain.usage.charging import is_billable
from metering.domain.usage.events import FREE_GRADES
from metering.operations.steps.charged_batch import ChargedBatch
from metering.storage.charges.charges import ChargeEntry
from pricing.quantities import ALL_KINDS, Quantities

# Ingest makes a key for every event, and the constructor takes three times as long.
_as_key = partial(tuple.__new__, RollupKey)


def rollup_keys(charged: ChargedBatch, days: Sequence[int], months: Sequence[int]) -> Iterator[RollupKey]:
    """Return the rollup key of each event's first charge; ``days`` and ``months`` are its event day and billing month."""
    events, contexts, charges = charged
    columns: Mapping[str, Sequence[int]] = {
        "series_id": [context.series_id for context in contexts],
        "rate_id": [charge.rate_id or 0 for charge in charges],
        "price_grade": [charge.grade for charge in charges],
        "quantity_grade": events.quantity_grades,
        "billable": [+(context.billable and succeeded) for context, succeeded in zip(contexts, events.succeeded, strict=True)],
        "event_day": days,
        "billing_month": months,
    }
    return map(_as_key, zip(*(columns[name] for name in RollupKey._fields), strict=True))


class RollupDeltas:
    """Sums that ledger entries add to each rollup.

    ``_common`` holds (events, COLUMN_KINDS..., nano-USD) of each entry, signed; most entries need no more. ``_others`` holds
    further signed quantities, in the order of ALL_KINDS.
    """

    def __init__(self) -> None:
        self._common: defaultdict[RollupKey, list[tuple[int, ...]]] = defaultdict(list)
        self._others: defaultdict[RollupKey, list[tuple[int, ...]]] = defaultdict(list)

    def add_entry(
        self, entry: ChargeEntry, quantities: Quantities, *, route: str, quantity_grade: int, event_time: int
    ) -> None:
        """Add one ledger entry with the quantities of its event; ``route`` is the route of the entry's series."""
        key = RollupKey(
            series_id=entry.series_id,
            rate_id=entry.rate_id or 0,
            price_grade=entry.price_grade,
            quantity_grade=quantity_grade,
            billable=+(is_billable(route) and entry.price_grade not in FREE_GRADES),
            event_day=event_time // MICROS_PER_DAY,
            billing_month=entry.billing_month,
        )
        self.add_sums(key, entry.sign, _NOTHING, entry.amount_nano)
        self.add_quantities(key, quantities, sign=entry.sign)

    def add_sums(self, key: RollupKey, events: int, used: Mapping[str, int], amount_nano: int) -> None:
        """Add signed sums of entries; ``used`` holds their COLUMN_KINDS."""
        self._common[key].append((events, *(used[kind] for kind in COLUMN_KINDS), amount_nano))

    def add_quantities(self, key: RollupKey, quantities: Quantities, *, sign: int = 1) -> None:
        """Add quantities of entries that ``add_sums`` added without them."""
        self._others[key].append(tuple(amount * sign for amount in astuple(quantities)))

    def add_first_charges(self, charged: ChargedBatch, days: Sequence[int], months: Sequence[int]) -> None:
        """Add the first charge of each event; ``days`` and ``months`` are its event day and billing month."""
        events = charged.events
        keys = list(rollup_keys(charged, days, months))
        columns = [getattr(events, kind) for kind in COLUMN_KINDS]
        amounts = [charge.amount_nano or 0 for charge in charged.charges]
        common = self._common
        for key, entry in zip(keys, zip(repeat(1), *columns, amounts, strict=False), strict=True):
            common[key].append(entry)
        for key, quantities in zip(keys, events.beyond, strict=True):
            if quantities is not None:
                self.add_quantities(key, replace(quantities, **_NOTHING))

    def sums(self) -> dict[RollupKey, LedgerSums]:
        """Return the sums by rollup key."""
        return {key: self._sums_of(key, entries) for key, entries in self._common.items()}

    def _sums_of(self, key: RollupKey, entries: list[tuple[int, ...]]) -> LedgerSums:
        events, *common, amount_nano = map(sum, zip(*entries, strict=True))
        used = dict(zip(COLUMN_KINDS, common, strict=True))
        others = map(sum, zip(*self._others[key], strict=True)) if key in self._others else repeat(0, len(ALL_KINDS))
        quantities = tuple(other + used.get(kind, 0) for kind, other in zip(ALL_KINDS, others, strict=True))
        return LedgerSums(events, quantities, amount_nano)


_NOTHING = dict.fromkeys(COLUMN_KINDS, 0)
