"""Why an event costs what it costs, and the history of its charge."""

from enum import StrEnum

from msgspec import Struct

from metering.domain.prices.table_versions import TableVersion
from metering.domain.usage.events import PriceGrade
from metering.domain.usage.logged_events import LoggedEvent
from pricing.breakdown import Breakdown
from pricing.rates import Rate


class EntryType(StrEnum):
    """What a ledger entry does: the first charge, a reversal of the entry before it, or the replacement after a reversal."""

    CHARGE = "charge"
    REVERSAL = "reversal"
    REPLACEMENT = "replacement"


class ChargeHistoryEntry(Struct, frozen=True):
    """One ledger entry of an event. Times are microseconds UTC.

    ``amount_nano`` is signed nano-USD, None if unpriced. ``version`` is the price table of the rate; both are None without a
    rate. ``reason`` is empty for the first charge. ``run_id`` is the re-rating run that wrote the entry, if any.
    """

    type: EntryType
    amount_nano: int | None
    price_grade: PriceGrade
    rate_id: int | None
    version: TableVersion | None
    billing_month: int
    recorded_at: int
    reason: str
    run_id: int | None


class ChargeExplanation(Struct, frozen=True):
    """An event with the derivation of its charge. ``history`` is oldest first.

    ``rate``, ``version`` and ``breakdown`` are None unless the charge is rated. ``missing`` is why an unpriced event cannot be
    charged, empty for any other.
    """

    event: LoggedEvent
    rate: Rate | None
    version: TableVersion | None
    breakdown: Breakdown | None
    missing: str
    history: list[ChargeHistoryEntry]
