"""The dated catalog of plans: fee, included credits, and whether usage beyond the credits is billed.

The figures are data (``data/plans.yaml``), each with its date and source; an entry without a date is not applied. A figure that
is not known (a fee, a credit of "less than $0.10") is None, and is shown as unknown, never as zero.
"""

from collections.abc import Iterable
from datetime import date

from msgspec import Struct

from pricing.errors import InvalidPlanError


class PlanTerms(Struct, frozen=True, kw_only=True):
    """One plan's terms from a date until its next entry.

    ``fee_cents`` is per month and seat, ``included_credit_nano`` per seat; None is unknown. ``daily_credit_nano`` is per seat
    and UTC day, and expires when the day ends. ``rank`` orders plans: a change to a lower rank is a downgrade. ``per_seat``
    plans are sold by the seat; any other plan has one seat. With ``pay_as_you_go``, usage beyond all credits is billed;
    without it, usage beyond the included credits needs purchased ones. With ``credits_pay_elsewhere``, included credits may
    also be spent on other compute, so a remainder computed from inference only is an upper bound.
    """

    plan: str
    effective_from: date
    rank: int
    per_seat: bool
    fee_cents: int | None
    included_credit_nano: int | None
    pay_as_you_go: bool
    credits_pay_elsewhere: bool
    source: str
    daily_credit_nano: int = 0

    def __post_init__(self) -> None:
        if self.fee_cents is not None and self.fee_cents < 0:
            raise InvalidPlanError(f"{self.plan}: a fee must not be negative, got {self.fee_cents} cents")
        if self.included_credit_nano is not None and self.included_credit_nano < 0:
            raise InvalidPlanError(f"{self.plan}: the included credit must not be negative, got {self.included_credit_nano}")
        if self.daily_credit_nano < 0:
            raise InvalidPlanError(f"{self.plan}: the daily credit must not be negative, got {self.daily_credit_nano}")


class PlanCatalog:
    """All terms of all plans, by date."""

    def __init__(self, terms: Iterable[PlanTerms]) -> None:
        self._terms: dict[str, list[PlanTerms]] = {}
        for entry in sorted(terms, key=lambda entry: entry.effective_from):
            self._terms.setdefault(entry.plan, []).append(entry)

    @property
    def first_daily_credit(self) -> date | None:
        """The first day on which any plan has a daily credit; None if none ever has."""
        days = (each.effective_from for terms in self._terms.values() for each in terms if each.daily_credit_nano)
        return min(days, default=None)

    @property
    def plans(self) -> tuple[str, ...]:
        """The plans' names, lowest rank first."""
        return tuple(sorted(self._terms, key=lambda plan: self._terms[plan][-1].rank))

    def rank(self, plan: str) -> int:
        """Return a plan's rank. Raises InvalidPlanError for a plan that does not exist."""
        return self._entries(plan)[-1].rank

    def check_seats(self, plan: str, seats: int) -> None:
        """Raise InvalidPlanError for several seats of a plan that is not sold by the seat, or a plan that does not exist."""
        if self._entries(plan)[-1].per_seat or seats == 1:
            return
        by_seat = [each for each in self.plans if self._terms[each][-1].per_seat]
        raise InvalidPlanError(
            f"{plan} is not sold by the seat, got {seats} seats; use 1 seat, or a plan sold by the seat:"
            f" {', '.join(by_seat) or 'none exists'}"
        )

    def terms(self, plan: str, on: date) -> PlanTerms | None:
        """Return the plan's terms on a day; None before its first dated entry.

        Raises InvalidPlanError for a plan that does not exist.
        """
        current = None
        for entry in self._entries(plan):
            if entry.effective_from > on:
                break
            current = entry
        return current

    def _entries(self, plan: str) -> list[PlanTerms]:
        entries = self._terms.get(plan)
        if not entries:
            raise InvalidPlanError(f"{plan!r} is not a plan; the plans are {', '.join(self.plans)}")
        return entries
