"""Spend queries and their rows: sums of charges by period and group, before credits.

By event time, a query covers any half-open range of instants; by billing month, whole months only. Amounts are integer
nano-USD.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from enum import StrEnum
from operator import add, attrgetter
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import astuple

from metering.domain.errors import DomainError
from metering.domain.instants import (
    MICROS_PER_DAY,
    day_of,
    first_day,
    format_instant,
    month_of,
    month_start,
    next_month,
)
from metering.domain.usage.events import ROUTES, PriceGrade, QuantityGrade
from pricing.possible import PossibleCost
from pricing.quantities import ALL_KINDS, TOKEN_KINDS, Quantities

MAX_ROWS = 10_000
MAX_FILTER_VALUES = 1_000
EARLIEST_START = month_start(197001)
LATEST_END = month_start(210001)
TAG_PREFIX = "tag:"

SERIES_DIMENSIONS = ("provider", "model", "operation", "route", "project", "key")
DIMENSIONS = ("account", *SERIES_DIMENSIONS, "price_grade", "quantity_grade", "billable", "rate")

# Values of these dimensions, and how the database stores them.
CODED_VALUES: dict[str, dict[str, int]] = {
    "price_grade": {grade.name.lower(): int(grade) for grade in PriceGrade},
    "quantity_grade": {grade.name.lower(): int(grade) for grade in QuantityGrade},
    "billable": {"false": 0, "true": 1},
}


class SpendQueryError(DomainError):
    """An invalid spend query."""

    code = "invalid_spend_query"


class TooManyRowsError(DomainError):
    """The result would have more than MAX_ROWS rows."""

    code = "too_many_rows"

    def __init__(self) -> None:
        super().__init__(
            f"the result has more than {MAX_ROWS:,} rows; use a shorter period, a coarser granularity, fewer dimensions in"
            " group_by, or filters"
        )


class Granularity(StrEnum):
    """The length of a row's period, in UTC; ``total`` is the whole period of the query."""

    TOTAL = "total"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class PeriodBasis(StrEnum):
    """What assigns a charge to a period: the time of its event, or its billing month."""

    EVENT = "event"
    BILLING = "billing"


class SpendSort(StrEnum):
    """The order of rows: by period and group, or the largest first."""

    PERIOD = "period"
    USD = "usd"
    REQUESTS = "requests"
    TOKENS = "tokens"


class SpendQuery(Struct, frozen=True):
    """A query for the spend of an account, or of all (None), in ``[start, end)`` (microseconds UTC).

    ``group_by`` names DIMENSIONS or ``tag:<name>`` of a declared tag. ``filters`` maps the same names to the values to include;
    the value of a dimension that a record did not state is ``""``. Values of ``account`` are current names, of grades their
    names in lower case, of ``billable`` ``true`` and ``false``, of ``rate`` its ID (``""``: no rate). Raises SpendQueryError.
    """

    start: int
    end: int
    account_id: int | None = None
    group_by: tuple[str, ...] = ()
    filters: dict[str, tuple[str, ...]] = {}
    granularity: Granularity = Granularity.TOTAL
    period_basis: PeriodBasis = PeriodBasis.EVENT

    def __post_init__(self) -> None:
        if not (self.start >= EARLIEST_START and self.end <= LATEST_END):
            raise SpendQueryError("the period must be between 1970 and 2100; check the unit of the times")
        if self.end <= self.start:
            raise SpendQueryError(
                f"the period must end after it starts, got {format_instant(self.start)} to {format_instant(self.end)}"
            )
        for name in self.group_by:
            if self.group_by.count(name) > 1:
                raise SpendQueryError(f"group_by has {name[:40]!r} twice")
        for name in (*self.group_by, *self.filters):
            if name not in DIMENSIONS and not (name.startswith(TAG_PREFIX) and name != TAG_PREFIX):
                raise SpendQueryError(f"{name[:40]!r} is not a dimension; use {', '.join(DIMENSIONS)} or tag:<name>")
        for name, values in self.filters.items():
            _check_values(name, values)
        if self.period_basis is PeriodBasis.BILLING:
            self._check_billing()

    def check_tags(self, declared: Collection[str]) -> None:
        """Raise SpendQueryError for a tag that is not declared: spend is not summed by it, so it would seem unused."""
        for name in (*self.group_by, *self.filters):
            if name.startswith(TAG_PREFIX) and name.removeprefix(TAG_PREFIX) not in declared:
                known = ", ".join(sorted(declared)) or "none"
                raise SpendQueryError(
                    f"{name[:60]!r} is not a declared tag, so spend is not summed by it; METERING_DECLARED_TAGS has: {known}"
                )

    def _check_billing(self) -> None:
        if self.granularity in (Granularity.HOUR, Granularity.DAY):
            raise SpendQueryError("period_basis=billing needs granularity total or month, because charges are billed by month")
        for name, instant in (("start", self.start), ("end", self.end)):
            if month_start(month_of(instant)) != instant:
                raise SpendQueryError(
                    f"period_basis=billing needs a {name} at the start of a month, got {format_instant(instant)}"
                )


class SpendSums(NamedTuple):
    """Sums of one group in one period; quantities are in the order of ALL_KINDS. See SpendRow."""

    events: int
    failed_events: int
    unpriced_events: int
    unpriced_tokens: int
    quantities: tuple[int, ...]
    amount_nano: int

    def plus(self, other: "SpendSums") -> "SpendSums":
        """Return the sum of both."""
        return SpendSums(
            events=self.events + other.events,
            failed_events=self.failed_events + other.failed_events,
            unpriced_events=self.unpriced_events + other.unpriced_events,
            unpriced_tokens=self.unpriced_tokens + other.unpriced_tokens,
            quantities=tuple(map(add, self.quantities, other.quantities)),
            amount_nano=self.amount_nano + other.amount_nano,
        )


class SpendRow(Struct, frozen=True, gc=False):
    """One row of a result.

    ``group`` holds the values of ``group_by``, in its order. ``period_start`` is the start of the row's hour, day or month,
    even if the query starts later; with granularity total it is the start of the query. ``failed_events`` are the ``events``
    that cost nothing because the request failed; ``unpriced_events`` and their tokens are not in ``amount_nano``. ``possible``
    is what those of them whose provider or route is unknown may have cost, by the prices of their model's partners; it is never
    part of the amount.
    """

    group: tuple[str, ...]
    period_start: int
    events: int
    failed_events: int
    unpriced_events: int
    unpriced_tokens: int
    quantities: Quantities
    amount_nano: int
    possible: PossibleCost | None = None


def ordered(rows: Sequence[SpendRow], sort: SpendSort, top: int | None = None) -> list[SpendRow]:
    """Return rows in an order, at most ``top`` of them; rows of equal size keep their order by period and group."""
    return sorted(rows, key=_SIZES[sort], reverse=True)[:top] if sort in _SIZES else list(rows[:top])


def _tokens(row: SpendRow) -> int:
    return sum(getattr(row.quantities, kind) for kind in TOKEN_KINDS)


_SIZES: dict[SpendSort, Callable[[SpendRow], int]] = {
    SpendSort.USD: attrgetter("amount_nano"),
    SpendSort.REQUESTS: attrgetter("events"),
    SpendSort.TOKENS: _tokens,
}


def total_of(rows: Iterable[SpendRow], query: SpendQuery) -> SpendRow:
    """Return the sum of all rows, without a group."""
    total = SpendSums(0, 0, 0, 0, (0,) * len(ALL_KINDS), 0)
    possible: PossibleCost | None = None
    for row in rows:
        possible = possible if row.possible is None else row.possible.plus(possible)
        total = total.plus(
            SpendSums(
                events=row.events,
                failed_events=row.failed_events,
                unpriced_events=row.unpriced_events,
                unpriced_tokens=row.unpriced_tokens,
                quantities=astuple(row.quantities),
                amount_nano=row.amount_nano,
            )
        )
    return row_of((), query.start, total, possible)


def row_of(group: tuple[str, ...], period_start: int, sums: SpendSums, possible: PossibleCost | None = None) -> SpendRow:
    """Return the row of a group and period."""
    return SpendRow(
        group=group,
        period_start=period_start,
        events=sums.events,
        failed_events=sums.failed_events,
        unpriced_events=sums.unpriced_events,
        unpriced_tokens=sums.unpriced_tokens,
        quantities=Quantities(*sums.quantities),
        amount_nano=sums.amount_nano,
        possible=possible,
    )


def months_between(start: int, end: int) -> tuple[int, ...]:
    """Return the months (``YYYYMM``) that ``[start, end)`` touches, in order."""
    first, last = month_of(start), month_of(end - 1)
    months = (last // 100 - first // 100) * 12 + last % 100 - first % 100 + 1
    offset = first // 100 * 12 + first % 100 - 1
    return tuple((at // 12) * 100 + at % 12 + 1 for at in range(offset, offset + months))


def whole_days(start: int, end: int) -> tuple[int, int]:
    """Return the whole UTC days in ``[start, end)`` as (first day, day after the last); both are equal if there are none."""
    first = -(-start // MICROS_PER_DAY)
    return first, max(first, day_of(end))


def parts_of_days(start: int, end: int) -> list[tuple[int, int]]:
    """Return the parts of ``[start, end)`` that are not whole UTC days: none, its edges, or all of it."""
    first, last = whole_days(start, end)
    parts = [(start, first * MICROS_PER_DAY), (last * MICROS_PER_DAY, end)] if first < last else [(start, end)]
    return [(part_start, part_end) for part_start, part_end in parts if part_start < part_end]


def finer_than_days(query: SpendQuery) -> list[tuple[int, int]]:
    """Return the parts of a query's period, as ``[start, end)``, that need the event log: hours and parts of days."""
    if query.period_basis is PeriodBasis.BILLING:
        return []
    if query.granularity is Granularity.HOUR:
        return [(query.start, query.end)]
    return parts_of_days(query.start, query.end)


def whole_months(first: int, last: int) -> tuple[int, ...]:
    """Return the whole months (``YYYYMM``) in ``[first, last)`` (days since 1970), in order."""
    touched = months_between(first * MICROS_PER_DAY, last * MICROS_PER_DAY)
    return tuple(month for month in touched if first <= first_day(month) and first_day(next_month(month)) <= last)


def _check_values(name: str, values: tuple[str, ...]) -> None:
    if not values:
        raise SpendQueryError(f"the filter on {name[:40]} has no value")
    if len(values) > MAX_FILTER_VALUES:
        raise SpendQueryError(f"the filter on {name[:40]} has {len(values):,} values; the limit is {MAX_FILTER_VALUES:,}")
    known = {**CODED_VALUES, "route": dict.fromkeys(ROUTES, 0)}.get(name)
    for value in values:
        if known is not None and value not in known:
            raise SpendQueryError(f"{value[:40]!r} is not a valid {name}; use {', '.join(known)}")
        if name == "rate" and value and not (value.isascii() and value.isdecimal() and len(value) < 19):
            raise SpendQueryError(f"{value[:40]!r} is not a rate ID; use a whole number, or empty for no rate")
