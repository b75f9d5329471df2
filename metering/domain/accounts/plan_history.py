"""Which plan an account is on, day by day, and what that makes of a month: fee and included credit.

Seats count on the 1st. An upgrade takes effect on its day and tops the included credit up to the larger grant, never both; a
downgrade, and a change of seats, count from the next month. A fee for part of a month is whole days, rounded half away from
zero to cents. An account that declared no plan is on the free one.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby

from msgspec import Struct

from metering.domain.instants import day_number, days_in, first_date, month_of_day, next_month
from pricing.money import divide_half_away
from pricing.plans import PlanCatalogue, PlanTerms

FREE = "free"


class PlanChange(Struct, frozen=True):
    """What an account said: from this day it is on this plan with this many seats."""

    effective: date
    plan: str
    seats: int = 1


class FeeLine(Struct, frozen=True):
    """The fee of one plan for some days of a month; ``amount_cents`` is None where the catalogue does not know the fee."""

    plan: str
    seats: int
    first_day: date
    days: int
    days_in_month: int
    amount_cents: int | None


class PlanMonth(Struct, frozen=True):
    """What the plans of a month come to.

    ``included_credit_nano`` is None where it is not known; ``credits_pay_elsewhere``: it may have been spent on other compute;
    ``invoiced``: usage past the credits is billed, not refused.
    """

    month: int
    plan: str
    seats: int
    fees: tuple[FeeLine, ...]
    included_credit_nano: int | None
    credits_pay_elsewhere: bool
    invoiced: bool


def plan_month(changes: Sequence[PlanChange], month: int, catalogue: PlanCatalogue) -> PlanMonth:
    """Return what the plans of ``month`` (``YYYYMM``) come to; of changes on one day the last holds.

    Raises pricing's InvalidPlanError for a plan that the catalogue does not have.
    """
    schedule = effective_changes(changes, catalogue)
    first = first_date(month)
    days = [first + timedelta(days=offset) for offset in range(days_in(month))]
    in_force = [(day, _in_force(schedule, day)) for day in days]
    fees = tuple(
        FeeLine(change.plan, change.seats, span[0], len(span), len(days), _fee_cents(change, fee_cents, len(span), len(days)))
        for (change, fee_cents), span in _spans(in_force, catalogue)
        if fee_cents != 0
    )
    best, best_terms = max(
        ((change, catalogue.terms(change.plan, day)) for day, change in in_force),
        key=lambda item: _credit(*item) or 0,
    )
    last, last_terms = in_force[-1][1], catalogue.terms(in_force[-1][1].plan, in_force[-1][0])
    return PlanMonth(
        month=month,
        plan=last.plan,
        seats=last.seats,
        fees=fees,
        included_credit_nano=_credit(best, best_terms),
        credits_pay_elsewhere=best_terms is not None and best_terms.credits_pay_elsewhere,
        invoiced=last_terms is not None and last_terms.pay_as_you_go,
    )


def unknown_plan_terms(change: PlanChange, catalogue: PlanCatalogue) -> list[str]:
    """Return what the catalogue does not know about a plan on its first day, as sentences for whoever sets it."""
    terms = catalogue.terms(change.plan, change.effective)
    remarks = []
    if terms is None or terms.fee_cents is None:
        remarks.append(f"the fee of {change.plan} is unknown; statements show it as unknown and exclude it from the total")
    if terms is None or terms.included_credit_nano is None:
        remarks.append(
            f"the included credits of {change.plan} on {change.effective} are unknown; none are applied until they are known"
        )
    return remarks


def effective_changes(changes: Sequence[PlanChange], catalogue: PlanCatalogue) -> list[PlanChange]:
    """Return the changes with the days on which they take effect, oldest first."""
    said = {change.effective: change for change in sorted(changes, key=lambda change: change.effective)}
    current = PlanChange(date.min, FREE)
    pending: PlanChange | None = None
    effective: list[PlanChange] = [current]
    for change in said.values():
        if pending is not None and pending.effective <= change.effective:
            current, pending = pending, None
            effective.append(current)
        if change.effective.day == 1 or catalogue.rank(change.plan) > catalogue.rank(current.plan):
            current, pending = change, None
            effective.append(current)
        elif (change.plan, change.seats) == (current.plan, current.seats):
            pending = None
        else:
            following = first_date(next_month(month_of_day(day_number(change.effective))))
            pending = PlanChange(following, change.plan, change.seats)
    return effective if pending is None else [*effective, pending]


def plan_on(changes: Sequence[PlanChange], day: date, catalogue: PlanCatalogue) -> tuple[str, int]:
    """Return the plan and the seats in force on a day."""
    change = _in_force(effective_changes(changes, catalogue), day)
    return change.plan, change.seats


def _in_force(schedule: list[PlanChange], day: date) -> PlanChange:
    current = schedule[0]
    for change in schedule:
        if change.effective > day:
            break
        current = change
    return current


def _spans(
    in_force: list[tuple[date, PlanChange]], catalogue: PlanCatalogue
) -> Iterator[tuple[tuple[PlanChange, int | None], list[date]]]:
    """Return runs of days with the same plan, seats and fee; a fee is None where it is not known."""

    def key(item: tuple[date, PlanChange]) -> tuple[PlanChange, int | None]:
        day, change = item
        terms = catalogue.terms(change.plan, day)
        return change, None if terms is None else terms.fee_cents

    for what, group in groupby(in_force, key):
        yield what, [day for day, _ in group]


def _fee_cents(change: PlanChange, fee_cents: int | None, days: int, days_in_month: int) -> int | None:
    return None if fee_cents is None else divide_half_away(fee_cents * change.seats * days, days_in_month)


def _credit(change: PlanChange, terms: PlanTerms | None) -> int | None:
    if terms is None or terms.included_credit_nano is None:
        return None
    return terms.included_credit_nano * change.seats
