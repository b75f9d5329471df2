"""Why an event costs what it costs, and every charge it has had."""

from msgspec import Struct

from metering.domain.prices.table_versions import TableVersion
from metering.domain.usage.events import PriceGrade
from metering.domain.usage.logged_events import LoggedEvent
from pricing.breakdown import Breakdown
from pricing.rates import Rate


class ChargeHistoryEntry(Struct, frozen=True):
    """One entry of an event's history, oldest first; ``sign`` -1 takes the entry before it back.

    ``amount_nano`` is signed, None where it is not known. ``reason`` is empty for the first charge. ``version`` is the price
    list of the rate, None without one.
    """

    sign: int
    amount_nano: int | None
    price_grade: PriceGrade
    rate_id: int | None
    version: TableVersion | None
    billing_month: int
    recorded_at: int
    reason: str
    run_id: int | None
    is_first: bool = False


class ChargeExplanation(Struct, frozen=True):
    """An event with why it costs what it costs.

    ``rate``, its ``version`` and the ``breakdown`` are there where the charge is rated; ``missing`` says what keeps an unpriced
    event from being charged.
    """

    event: LoggedEvent
    rate: Rate | None
    version: TableVersion | None
    breakdown: Breakdown | None
    missing: str
    history: list[ChargeHistoryEntry]
