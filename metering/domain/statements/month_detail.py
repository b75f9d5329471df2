"""A statement with the days behind it: what each series used and cost on each day of a billing month.

The days add up to the statement's usage lines. A day outside the billing month corrects a closed month.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from msgspec import Struct, field

from metering.domain.instants import month_of_day
from metering.domain.statements.statements import Statement
from metering.domain.usage.events import BILLED_ROUTES, PROVIDER_KEY, UNKNOWN, PriceGrade
from pricing.list_prices import ListPrices
from pricing.rates import Rate


class Section(StrEnum):
    """The part of a statement that lists some usage. Only ``payable`` is in the total."""

    PAYABLE = "payable"
    OWED_TO_PARTNER = "owed_to_partner"
    UNPRICED = "unpriced"
    ROUTE_UNKNOWN = "route_unknown"
    FAILED = "failed"
    NOT_BILLABLE = "not_billable"


class DailyUsage(NamedTuple):
    """What one series used on one UTC day (days since 1970) under one rate and with one pair of grades.

    Sums are signed: reversals of a closed month's usage are negative. ``tags`` is canonical JSON; ``rate_id`` 0: no rate.
    """

    day: int
    route: str
    provider: str
    model: str
    operation: str
    project: str
    key: str
    tags: str
    rate_id: int
    price_grade: int
    quantity_grade: int
    billable: int
    events: int
    quantities: tuple[int, ...]
    amount_nano: int


class MonthDetail(Struct, frozen=True):
    """A statement, its days (an iterable to read once, one series after the other), and the rates they name.

    ``list_prices`` finds what everyone pays where the account has separate prices.
    """

    statement: Statement
    usage: Iterable[DailyUsage]
    rates: Mapping[int, Rate]
    list_prices: ListPrices = field(default_factory=ListPrices)


_PER_DAY = ("day", "events", "quantities", "amount_nano")
_series_key = attrgetter(*(name for name in DailyUsage._fields if name not in _PER_DAY))


def by_series(usage: Iterable[DailyUsage]) -> Iterator[list[DailyUsage]]:
    """Yield the days of each series under one rate."""
    for _, days in groupby(usage, key=_series_key):
        yield list(days)


def section_of(usage: DailyUsage) -> Section:
    """Return the section of the statement that lists a day's usage."""
    if usage.price_grade == PriceGrade.EXEMPT:
        return Section.FAILED
    if usage.price_grade == PriceGrade.GATEWAY_CACHE:
        return Section.NOT_BILLABLE
    if usage.route == UNKNOWN:
        return Section.ROUTE_UNKNOWN
    if usage.price_grade == PriceGrade.UNPRICED:
        return Section.UNPRICED
    if usage.route == PROVIDER_KEY:
        return Section.OWED_TO_PARTNER
    return Section.PAYABLE if usage.billable and usage.route in BILLED_ROUTES else Section.NOT_BILLABLE


def origin_month_of(usage: DailyUsage, billing_month: int) -> int | None:
    """Return the closed month that a day's usage corrects; None if it belongs to the billing month."""
    month = month_of_day(usage.day)
    return None if month == billing_month else month
