"""A statement with the days behind it: what each series used and cost on each day of a billing month.

The days of a statement add up to its usage lines. Where a day's event month is not the billing month, it corrects a closed one.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from operator import itemgetter
from typing import Any, NamedTuple

from msgspec import Struct

from metering.domain.instants import month_of_day
from metering.domain.statements.statements import Statement
from metering.domain.usage.events import BILLED_ROUTES, PROVIDER_KEY, UNKNOWN, PriceGrade
from pricing.rates import Rate


class Section(StrEnum):
    """Where usage stands on a statement. Only what is ``payable`` is in the total."""

    PAYABLE = "payable"
    OWED_TO_PARTNER = "owed_to_partner"
    UNPRICED = "unpriced"
    ROUTE_UNKNOWN = "route_unknown"
    FAILED = "failed"
    NOT_BILLABLE = "not_billable"


class DailyUsage(NamedTuple):
    """What one series used on one UTC day (days since 1970) under one rate and with one pair of grades.

    Sums are signed: what is taken back from a closed month is negative. ``tags`` is canonical JSON; ``rate_id`` 0: no rate.
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
    """A statement, the days behind it (read once, as they come), and the rates that they name."""

    statement: Statement
    usage: Iterable[DailyUsage]
    rates: Mapping[int, Rate]


_SERIES_FIELDS = (
    "route", "provider", "model", "operation", "project", "key", "tags", "rate_id", "price_grade", "quantity_grade",
    "billable",
)  # fmt: skip
_of_series = itemgetter(*map(DailyUsage._fields.index, _SERIES_FIELDS))

SeriesKey = tuple[str, str, str, str, str, str, str, int, int, int, int]
"""What the days of one series under one rate have in common: from ``route`` to ``billable``."""


def series_key(usage: DailyUsage) -> SeriesKey:
    """Return what a day has in common with the other days of its series and rate, which come one after the other."""
    key: SeriesKey = _of_series(usage)
    return key


def of_series(key: SeriesKey) -> DailyUsage:
    """Return usage of nothing, with the values that the days of a series and rate share."""
    shared: dict[str, Any] = dict(zip(_SERIES_FIELDS, key, strict=True))
    return DailyUsage(day=0, **shared, events=0, quantities=(), amount_nano=0)


def section_of(usage: DailyUsage) -> Section:
    """Return where the statement shows a day's usage."""
    if usage.price_grade == PriceGrade.EXEMPT:
        return Section.FAILED
    if usage.route == UNKNOWN:
        return Section.ROUTE_UNKNOWN
    if usage.price_grade == PriceGrade.UNPRICED:
        return Section.UNPRICED
    if usage.route == PROVIDER_KEY:
        return Section.OWED_TO_PARTNER
    return Section.PAYABLE if usage.billable and usage.route in BILLED_ROUTES else Section.NOT_BILLABLE


def origin_month_of(usage: DailyUsage, billing_month: int) -> int | None:
    """Return the closed month that a day's usage corrects; None where it belongs to the billing month."""
    month = month_of_day(usage.day)
    return None if month == billing_month else month
