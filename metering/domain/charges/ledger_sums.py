"""Sums of ledger entries and their keys.

A rollup is a sum by day, a month rollup a sum by month. The fields of a key are named like the columns of the tables.
"""

from operator import add
from typing import NamedTuple

from metering.domain.instants import month_of_day
from pricing.quantities import ALL_KINDS

# The names of the sums. Quantities are always in the order of ALL_KINDS.
SUM_NAMES: tuple[str, ...] = ("events", *ALL_KINDS, "amount_nano")


class MonthRollupKey(NamedTuple):
    """The key of a month rollup. ``rate_id`` 0: no rate; months are ``YYYYMM``."""

    series_id: int
    rate_id: int
    price_grade: int
    quantity_grade: int
    billable: int
    event_month: int
    billing_month: int


class RollupKey(NamedTuple):
    """The key of a rollup. ``rate_id`` 0: no rate; ``event_day`` is a UTC day since 1970."""

    series_id: int
    rate_id: int
    price_grade: int
    quantity_grade: int
    billable: int
    event_day: int
    billing_month: int

    @property
    def month_key(self) -> MonthRollupKey:
        """The key of the month rollup that includes this rollup."""
        return MonthRollupKey(
            series_id=self.series_id,
            rate_id=self.rate_id,
            price_grade=self.price_grade,
            quantity_grade=self.quantity_grade,
            billable=self.billable,
            event_month=month_of_day(self.event_day),
            billing_month=self.billing_month,
        )


class LedgerSums(NamedTuple):
    """Signed sums: number of events, quantities in the order of ALL_KINDS, charges in nano-USD."""

    events: int
    quantities: tuple[int, ...]
    amount_nano: int

    @property
    def values(self) -> tuple[int, ...]:
        """All sums, in the order of SUM_NAMES."""
        return self.events, *self.quantities, self.amount_nano

    def plus(self, other: "LedgerSums") -> "LedgerSums":
        """Return the sum of both."""
        quantities = tuple(map(add, self.quantities, other.quantities))
        return LedgerSums(self.events + other.events, quantities, self.amount_nano + other.amount_nano)


NO_SUMS = LedgerSums(0, (0,) * len(ALL_KINDS), 0)


class EventsAndAmount(NamedTuple):
    """A number of events and the sum of their charges in nano-USD."""

    events: int
    amount_nano: int

    def plus(self, events: int, amount_nano: int) -> "EventsAndAmount":
        """Return the sum with more events and charges."""
        return EventsAndAmount(self.events + events, self.amount_nano + amount_nano)


NO_EVENTS = EventsAndAmount(0, 0)
