"""The plan an account is on each day, and the resulting fees and included credits of a month.

Seats count on the 1st. An upgrade takes effect on its day and tops the included credits up to the larger grant, never the sum
of both. A downgrade or a change of seats takes effect in the next month. A fee for part of a month is prorated by whole days
and rounded half away from zero to cents. An account without a plan is on the free plan.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby

from msgspec import Struct

from metering.domain.instants import day_number, days_in, first_date, month_of_day, next_month
from pricing.money import divide_half_away
from pricing.plans import PlanCatalog, PlanTerms

FREE = "free"


class PlanChange(Struct, frozen=True):
    """A plan with a number of seats, from a day on."""

    effective: date
    plan: str
    seats: int = 1


class FeeLine(Struct, frozen=True):
    """The fee of one plan for some days of a month; ``amount_cents`` is None if the catalog does not have the fee."""

    plan: str
    seats: int
    first_day: date
    days: int
    days_in_month: int
    amount_cents: int | None


class DailyCredit(Struct, frozen=True):
    """The included credit of each of some consecutive days, for all seats; it expires when its day ends."""

    first_day: date
    days: int
    amount_nano: int
    pays_elsewhere: bool = False


class PlanMonth(Struct, frozen=True):
    """The plans of a month, with fees and included credits.

    ``included_credit_nano`` is for the month, and None if unknown; ``daily_credits`` are for single days.
    ``credits_pay_elsewhere``: they may have been spent on other compute; ``invoiced``: usage beyond the credits is billed, not
    refused.
    """

    month: int
    plan: str
    seats: int
    fees: tuple[FeeLine, ...]
    included_credit_nano: int | None
    credits_pay_elsewhere: bool
    invoiced: bool
    daily_credits: tuple[DailyCredit, ...] = ()


def plan_month(changes: Sequence[PlanChange], month: int, catalog: PlanCatalog) -> PlanMonth:
    """Return the plans of ``month`` (``YYYYMM``). Of several changes for one day, the last applies.

    Raises pricing's InvalidPlanError for a plan that the catalog does not have.
    """
    schedule = effective_changes(changes, catalog)
    first = first_date(month)
    days = [first + timedelta(days=offset) for offset in range(days_in(month))]
    in_effect = [(day, _in_effect(schedule, day)) for day in days]
    fees = tuple(
        FeeLine(change.plan, change.seats, span[0], len(span), len(days), _fee_cents(change, fee_cents, len(span), len(days)))
        for (change, fee_cents), span in _spans(in_effect, catalog)
        if fee_cents != 0
    )
    best, best_terms = max(
        ((change, catalog.terms(change.plan, day)) for day, change in in_effect),
        key=lambda item: _credit(*item) or 0,
    )
    last, last_terms = in_effect[-1][1], catalog.terms(in_effect[-1][1].plan, in_effect[-1][0])
    return PlanMonth(
        month=month,
        plan=last.plan,
        seats=last.seats,
        fees=fees,
        included_credit_nano=_credit(best, best_terms),
        credits_pay_elsewhere=best_terms is not None and best_terms.credits_pay_elsewhere,
        invoiced=last_terms is not None and last_terms.pay_as_you_go,
        daily_credits=_daily_credits(in_effect, catalog),
    )


def unknown_plan_terms(change: PlanChange, catalog: PlanCatalog) -> list[str]:
    """Return, as sentences, what the catalog does not have about a plan on its first day."""
    terms = catalog.terms(change.plan, change.effective)
    remarks = []
    if terms is None or terms.fee_cents is None:
        remarks.append(f"the fee of {change.plan} is unknown; statements show it as unknown and exclude it from the total")
    if terms is None or terms.included_credit_nano is None:
        remarks.append(
            f"the included credits of {change.plan} on {change.effective} are unknown; none are applied until they are known"
        )
    return remarks


def effective_changes(changes: Sequence[PlanChange], catalog: PlanCatalog) -> list[PlanChange]:
    """Return the changes with the days on which they take effect, oldest first."""
    last_of_day = {change.effective: change for change in sorted(changes, key=lambda change: change.effective)}
    current = PlanChange(date.min, FREE)
    pending: PlanChange | None = None
    effective: list[PlanChange] = [current]
    for change in last_of_day.values():
        if pending is not None and pending.effective <= change.effective:
            current, pending = pending, None
            effective.append(current)
        if change.effective.day == 1 or catalog.rank(change.plan) > catalog.rank(current.plan):
            current, pending = change, None
            effective.append(current)
        elif (change.plan, change.seats) == (current.plan, current.seats):
            pending = None
        else:
            following = first_date(next_month(month_of_day(day_number(change.effective))))
            pending = PlanChange(following, change.plan, change.seats)
    return effective if pending is None else [*effective, pending]


def plan_on(changes: Sequence[PlanChange], day: date, catalog: PlanCatalog) -> tuple[str, int]:
    """Return the plan and the seats in effect on a day."""
    change = _in_effect(effective_changes(changes, catalog), day)
    return change.plan, change.seats


def _in_effect(schedule: list[PlanChange], day: date) -> PlanChange:
    current = schedule[0]
    for change in schedule:
        if change.effective > day:
            break
        current = change
    return current


def _spans(
    in_effect: list[tuple[date, PlanChange]], catalog: PlanCatalog
) -> Iterator[tuple[tuple[PlanChange, int | None], list[date]]]:
    """Yield runs of days with the same plan, seats and fee; a fee is None if unknown."""

    def key(item: tuple[date, PlanChange]) -> tuple[PlanChange, int | None]:
        day, change = item
        terms = catalog.terms(change.plan, day)
        return change, None if terms is None else terms.fee_cents

    for plan_and_fee, group in groupby(in_effect, key):
        yield plan_and_fee, [day for day, _ in group]


def _daily_credits(in_effect: list[tuple[date, PlanChange]], catalog: PlanCatalog) -> tuple[DailyCredit, ...]:
    def key(item: tuple[date, PlanChange]) -> tuple[int, bool]:
        day, change = item
        terms = catalog.terms(change.plan, day)
        return (0, False) if terms is None else (terms.daily_credit_nano * change.seats, terms.credits_pay_elsewhere)

    spans = ((credit, [day for day, _ in group]) for credit, group in groupby(in_effect, key))
    return tuple(DailyCredit(days[0], len(days), amount, elsewhere) for (amount, elsewhere), days in spans if amount)


def _fee_cents(change: PlanChange, fee_cents: int | None, days: int, days_in_month: int) -> int | None:
    return None if fee_cents is None else divide_half_away(fee_cents * change.seats * days, days_in_month)


def _credit(change: PlanChange, terms: PlanTerms | None) -> int | None:
    if terms is None or terms.included_credit_nano is None:
        return None
    return terms.included_credit_nano * change.seats
