"""A spend question and its answer.

By event time, a question has any half-open range of instants; by billing month, whole months only. All amounts are integer
nano-USD, all quantities whole counts.
"""

from enum import StrEnum
from operator import add
from typing import NamedTuple

from msgspec import Struct

from metering.domain.errors import DomainError
from metering.domain.instants import (
    MICROS_PER_DAY,
    MICROS_PER_HOUR,
    day_of,
    first_day,
    format_instant,
    month_of,
    month_start,
    next_month,
)
from metering.domain.usage.events import ROUTES, PriceGrade, QuantityGrade
from pricing.quantities import Quantities

MAX_ROWS = 10_000
MAX_FILTER_VALUES = 1_000
EARLIEST_START = month_start(197001)
LATEST_END = month_start(210001)
TAG_PREFIX = "tag:"

SERIES_DIMENSIONS = ("provider", "model", "operation", "route", "project", "key")
DIMENSIONS = ("account", *SERIES_DIMENSIONS, "price_grade", "quantity_grade", "billable", "rate")

# What a value of these dimensions may be, and the number that stands for it in the database.
CODED_VALUES: dict[str, dict[str, int]] = {
    "price_grade": {grade.name.lower(): int(grade) for grade in PriceGrade},
    "quantity_grade": {grade.name.lower(): int(grade) for grade in QuantityGrade},
    "billable": {"false": 0, "true": 1},
}


class SpendQueryError(DomainError):
    """A spend question that can not be answered as it is asked."""

    code = "invalid_spend_query"


class TooManyRowsError(DomainError):
    """The answer would have more than MAX_ROWS rows."""

    code = "too_many_rows"

    def __init__(self) -> None:
        super().__init__(
            f"the answer has more than {MAX_ROWS} rows; ask for a shorter period, a coarser granularity, fewer dimensions"
            " in group_by, or filter"
        )


class Granularity(StrEnum):
    """The periods of an answer, in UTC; ``total`` is one period."""

    TOTAL = "total"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class PeriodBasis(StrEnum):
    """What puts a charge into a period: when its event happened, or the month it is billed in."""

    EVENT = "event"
    BILLING = "billing"


class SpendQuery(Struct, frozen=True):
    """What was spent from ``start`` until ``end`` (microseconds UTC, half-open) by an account, or by all (None).

    ``group_by`` names DIMENSIONS or ``tag:<name>`` of a declared tag. ``filters`` maps the same names to the values that
    count; a dimension that nobody stated has the value ``""``. Values of ``account`` are current names, of the grades their
    names in lower case, of ``billable`` ``true`` and ``false``, of ``rate`` its id (``""``: no rate).
    Raises SpendQueryError.
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
            raise SpendQueryError("a period lies between 1970 and 2100; check the unit of the times")
        if self.end <= self.start:
            raise SpendQueryError(
                f"the period must end after it starts, {format_instant(self.start)} to {format_instant(self.end)} does not"
            )
        if len(set(self.group_by)) != len(self.group_by):
            raise SpendQueryError("group_by names a dimension twice")
        for name in (*self.group_by, *self.filters):
            if name not in DIMENSIONS and not (name.startswith(TAG_PREFIX) and name != TAG_PREFIX):
                raise SpendQueryError(f"{name[:40]!r} is not a dimension; use {', '.join(DIMENSIONS)} or tag:<name>")
        for name, values in self.filters.items():
            _check_values(name, values)
        if self.period_basis is PeriodBasis.BILLING:
            self._check_billing()
        self._check_length()

    def _check_billing(self) -> None:
        if self.granularity in (Granularity.HOUR, Granularity.DAY):
            raise SpendQueryError("a charge is billed in a month: with period_basis=billing use granularity total or month")
        for name, instant in (("start", self.start), ("end", self.end)):
            if month_start(month_of(instant)) != instant:
                raise SpendQueryError(
                    f"with period_basis=billing, {name} must begin a month; {format_instant(instant)} does not"
                )

    def _check_length(self) -> None:
        # Hours are added up from every event of the period, so that a question too long to be answered is not begun.
        if self.granularity is Granularity.HOUR and (self.end - self.start) // MICROS_PER_HOUR > MAX_ROWS:
            raise TooManyRowsError


class SpendSums(NamedTuple):
    """What a group used and cost in a period; quantities are in the order of ALL_KINDS. See SpendRow."""

    events: int
    failed_events: int
    unpriced_events: int
    unpriced_tokens: int
    quantities: tuple[int, ...]
    amount_nano: int

    def plus(self, other: "SpendSums") -> "SpendSums":
        """Return the two added up."""
        return SpendSums(
            events=self.events + other.events,
            failed_events=self.failed_events + other.failed_events,
            unpriced_events=self.unpriced_events + other.unpriced_events,
            unpriced_tokens=self.unpriced_tokens + other.unpriced_tokens,
            quantities=tuple(map(add, self.quantities, other.quantities)),
            amount_nano=self.amount_nano + other.amount_nano,
        )


class SpendRow(Struct, frozen=True):
    """One row of an answer.

    ``group`` holds the values of ``group_by``, in its order. ``period_start`` is where the row's period begins by the
    calendar, also where the range cuts it; with granularity total it is the range's start. ``failed_events`` are those of
    ``events`` that cost nothing because the request failed; ``unpriced_events`` and their tokens are not in ``amount_nano``.
    """

    group: tuple[str, ...]
    period_start: int
    events: int
    failed_events: int
    unpriced_events: int
    unpriced_tokens: int
    quantities: Quantities
    amount_nano: int


def months_between(start: int, end: int) -> tuple[int, ...]:
    """Return the months (``YYYYMM``) that ``[start, end)`` touches, in order."""
    first, last = month_of(start), month_of(end - 1)
    months = (last // 100 - first // 100) * 12 + last % 100 - first % 100 + 1
    offset = first // 100 * 12 + first % 100 - 1
    return tuple((at // 12) * 100 + at % 12 + 1 for at in range(offset, offset + months))


def whole_days(start: int, end: int) -> tuple[int, int]:
    """Return the UTC days that lie wholly in ``[start, end)``, as (first day, day after the last); equal for none."""
    first = -(-start // MICROS_PER_DAY)
    return first, max(first, day_of(end))


def parts_of_days(start: int, end: int) -> list[tuple[int, int]]:
    """Return what of ``[start, end)`` is no whole UTC day: nothing, its edges, or all of it."""
    first, last = whole_days(start, end)
    parts = [(start, first * MICROS_PER_DAY), (last * MICROS_PER_DAY, end)] if first < last else [(start, end)]
    return [(part_start, part_end) for part_start, part_end in parts if part_start < part_end]


def finer_than_days(query: SpendQuery) -> list[tuple[int, int]]:
    """Return the parts of a question's time, as ``[start, end)``, that only the event log can answer: hours, parts of days."""
    if query.period_basis is PeriodBasis.BILLING:
        return []
    if query.granularity is Granularity.HOUR:
        return [(query.start, query.end)]
    return parts_of_days(query.start, query.end)


def whole_months(first: int, last: int) -> tuple[int, ...]:
    """Return the months (``YYYYMM``) of which all days lie in ``[first, last)`` (days since 1970), in order."""
    touched = months_between(first * MICROS_PER_DAY, last * MICROS_PER_DAY)
    return tuple(month for month in touched if first <= first_day(month) and first_day(next_month(month)) <= last)


def _check_values(name: str, values: tuple[str, ...]) -> None:
    if not values:
        raise SpendQueryError(f"the filter on {name[:40]} has no value")
    if len(values) > MAX_FILTER_VALUES:
        raise SpendQueryError(f"the filter on {name[:40]} has {len(values)} values, at most {MAX_FILTER_VALUES} are possible")
    known = {**CODED_VALUES, "route": dict.fromkeys(ROUTES, 0)}.get(name)
    for value in values:
        if known is not None and value not in known:
            raise SpendQueryError(f"{value[:40]!r} is not a {name}; use {', '.join(known)}")
        if name == "rate" and value and not (value.isascii() and value.isdecimal() and len(value) < 19):
            raise SpendQueryError(f"{value[:40]!r} is not the id of a rate")
