"""The fees and included credits of a month, found by walking through its days. Written from the rules, not from the service.

Seats count from the 1st. An upgrade counts from its day and tops up the included credits to the larger amount, never both; any
other change counts from the next 1st. A fee for part of a month is whole days, rounded half away from zero to cents.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from fractions import Fraction
from functools import lru_cache
from itertools import groupby

from msgspec import Struct

from simulation.expected import Fee
from simulation.scenario import CATALOG, PlanRow, SetPlan

PlanSeats = tuple[str, int]
"""(plan, seats)."""

FREE: PlanSeats = ("free", 1)


class OraclePlanMonth(Struct, frozen=True):
    """A month's fees and included credits; ``pays_elsewhere`` is about the credits, ``invoiced`` about the last day."""

    fees: list[Fee]
    credit_nano: int
    pays_elsewhere: bool
    invoiced: bool


def month_of(day: date) -> int:
    """Return a day's month as YYYYMM."""
    return day.year * 100 + day.month


def following(month: int) -> int:
    """Return the month after."""
    return month + 1 if month % 100 < 12 else (month // 100 + 1) * 100 + 1


def months(first: int, last: int) -> Iterator[int]:
    """Yield the months from ``first`` through ``last``."""
    while first <= last:
        yield first
        first = following(first)


def rounded(amount: Fraction) -> int:
    """Round half away from zero."""
    return int(amount + Fraction(1, 2)) if amount >= 0 else -int(-amount + Fraction(1, 2))


def terms(plan: str, day: date) -> PlanRow:
    """Return the terms of a plan on a day."""
    return max((row for row in CATALOG if row.plan == plan and row.since <= day), key=lambda row: row.since)


@lru_cache(4_096)
def plans_of(month: int, plan_changes: tuple[SetPlan, ...]) -> OraclePlanMonth:
    """Return a month's fees and included credits from an account's plan changes, in the order they were recorded."""
    days = list(_days(month, plan_changes))
    fees: list[Fee] = []
    for (plan, seats), group in groupby(days, key=lambda pair: pair[1]):
        span = [day for day, _ in group]
        fee = terms(plan, span[0]).fee_cents
        if fee != 0:
            cents = None if fee is None else rounded(Fraction(fee * seats * len(span), len(days)))
            fees.append((plan, seats, span[0], len(span), cents))
    credit, where = max(
        ((terms(plan, day).credit_nano * seats, (plan, day)) for day, (plan, seats) in days), key=lambda x: x[0]
    )
    last_day, (last_plan, _) = days[-1]
    return OraclePlanMonth(fees, credit, terms(*where).pays_elsewhere, terms(last_plan, last_day).invoiced)


def _days(month: int, plan_changes: Sequence[SetPlan]) -> Iterator[tuple[date, PlanSeats]]:
    """Yield the days of a month with the plan and seats in force."""
    by_day = {change.day: (change.plan, change.seats) for change in plan_changes}
    day = min([date(month // 100, month % 100, 1), *by_day]).replace(day=1)
    current, from_next_month = FREE, None
    while month_of(day) <= month:
        if day.day == 1 and from_next_month is not None:
            current, from_next_month = from_next_month, None
        if day in by_day:
            wanted = by_day[day]
            if day.day == 1 or terms(wanted[0], day).rank > terms(current[0], day).rank:
                current, from_next_month = wanted, None
            else:
                from_next_month = wanted
        if month_of(day) == month:
            yield day, current
        day += timedelta(days=1)
