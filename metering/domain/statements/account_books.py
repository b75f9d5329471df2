"""An account's books: everything recorded about it, from which each month's statement follows, except the usage lines.

A closed month never changes. The first open month also shows what has changed about closed months since. Drafting an open month
and closing it use the same computation, so a draft shows exactly what closing the month now would seal.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct

from metering.domain.accounts.plan_history import FREE, PlanChange, PlanMonth, plan_month
from metering.domain.credits.adjustments import OF_USAGE, Adjustment
from metering.domain.credits.credit_ledger import (
    BurnInputs,
    CreditCorrection,
    CreditEntry,
    EntryKind,
    closing_entries,
    credits_on_statement,
)
from metering.domain.credits.credits import (
    ANY_COMPUTE,
    INCLUDED,
    INFERENCE_ONLY,
    CreditGrant,
    MonthCredits,
    daily_grant,
    included_grant,
    months_through,
)
from metering.domain.instants import day_number, day_of, month_of, month_of_day, next_month
from metering.domain.statements.statement_lines import UsageSums
from pricing.money import NANO_PER_CENT, divide_half_away
from pricing.plans import PlanCatalog

NO_USAGE: Mapping[int, int] = MappingProxyType({})


class AccountBooks(Struct, frozen=True, kw_only=True):
    """Everything recorded about one account that its statements depend on.

    ``usage`` is billable nano-USD by (billing month, origin month). ``closed`` are the months that have a closed statement;
    ``carried_cents`` is what the last of them carried forward. ``elsewhere`` is included credits spent elsewhere, by month.
    ``usage_by_day`` is billable nano-USD by event day (days since 1970), for the days that may have a daily credit.
    """

    usage: Mapping[tuple[int, int], int]
    adjustments: Sequence[Adjustment]
    plan_changes: Sequence[PlanChange]
    grants: Sequence[CreditGrant]
    entries: Sequence[CreditEntry]
    elsewhere: Mapping[int, int]
    closed: frozenset[int]
    closed_through: int | None
    carried_cents: int
    usage_by_day: Mapping[int, int] = NO_USAGE

    @property
    def first_month(self) -> int | None:
        """The first month with usage, an adjustment or a paid plan."""
        months = [month for month, _ in self.usage]
        months += [adjustment.billing_month for adjustment in self.adjustments]
        months += [month_of_day(day_number(change.effective)) for change in self.plan_changes if change.plan != FREE]
        return min(months, default=None)

    @property
    def next_open(self) -> int | None:
        """The month to close next; None if there is nothing to close."""
        return self.first_month if self.closed_through is None else next_month(self.closed_through)

    def usage_by_origin(self) -> dict[int, int]:
        """Return each month's usage as known now, adjustments of usage included."""
        found: dict[int, int] = {}
        for (_, origin), amount in self.usage.items():
            found[origin] = found.get(origin, 0) + amount
        for adjustment in self._adjustments_of_usage():
            found[adjustment.origin_month] = found.get(adjustment.origin_month, 0) + adjustment.amount_nano
        return found

    def own_usage(self, month: int) -> int:
        """Return the part of a month's usage that is billed on its own statement, adjustments of usage included."""
        own = [each.amount_nano for each in self._adjustments_of_usage() if each.billing_month == each.origin_month == month]
        return self.usage.get((month, month), 0) + sum(own)

    def _adjustments_of_usage(self) -> Iterator[Adjustment]:
        return (each for each in self.adjustments if each.adjusts == OF_USAGE)

    def total_adjusted(self, month: int) -> int:
        """Return what adjustments of the total change about a month, on any statement."""
        about = (each for each in self.adjustments if each.origin_month == month)
        return sum(each.amount_nano for each in about if each.adjusts != OF_USAGE)

    def adjustments_on(self, month: int) -> tuple[Adjustment, ...]:
        """Return the adjustments on a month's statement."""
        return tuple(each for each in self.adjustments if each.billing_month == month)

    def included(self, month: int, plan: PlanMonth) -> CreditGrant | None:
        """Return a month's included credits: those it was closed with, else those of its plan."""
        for grant in self.grants:
            if grant.kind == INCLUDED and not grant.is_daily and month_of(grant.granted_at) == month:
                return grant
        if month in self.closed or not plan.included_credit_nano:
            return None
        return included_grant(
            month, plan.included_credit_nano, scope=ANY_COMPUTE if plan.credits_pay_elsewhere else INFERENCE_ONLY
        )

    def daily(self, month: int, plan: PlanMonth) -> dict[int, CreditGrant]:
        """Return a month's daily credits by day (days since 1970): those it was closed with, else those of its plan."""
        recorded = {
            day_of(grant.granted_at): grant for grant in self.grants if grant.is_daily and month_of(grant.granted_at) == month
        }
        if month in self.closed:
            return recorded
        return {
            first + offset: daily_grant(
                first + offset, credit.amount_nano, scope=ANY_COMPUTE if credit.pays_elsewhere else INFERENCE_ONLY
            )
            for credit in plan.daily_credits
            for first in (day_number(credit.first_day),)
            for offset in range(credit.days)
        } | recorded

    def burn_inputs(self, last: int, catalog: PlanCatalog) -> tuple[int, BurnInputs]:
        """Return the first month that credits are burned over, and everything known through ``last``."""
        usage = self.usage_by_origin()
        first = min([last, self.next_open or last, *usage, *self.closed])
        included = {}
        daily: dict[int, CreditGrant] = {}
        for month in months_through(first, last):
            plan = plan_month(self.plan_changes, month, catalog)
            grant = self.included(month, plan)
            if grant is not None:
                included[month] = grant
            daily |= self.daily(month, plan)
        purchased = [grant for grant in self.grants if grant.kind != INCLUDED]
        return first, BurnInputs(
            usage=usage,
            included=included,
            elsewhere=self.elsewhere,
            grants=purchased,
            daily=daily,
            usage_by_day=self.usage_by_day,
        )


class OtherItems(Struct, frozen=True):
    """Further items on a statement, besides its month's own usage, fees and credits. ``carried_in_cents`` is zero or negative.

    ``previously_listed`` is usage that an earlier statement listed as unpriced or of unknown route and that this month's
    rollups take back.
    """

    adjustments: tuple[Adjustment, ...] = ()
    corrections: tuple[CreditCorrection, ...] = ()
    carried_in_cents: int = 0
    previously_listed: tuple[UsageSums, ...] = ()


NO_OTHER_ITEMS = OtherItems()


class BookedMonth(Struct, frozen=True, kw_only=True):
    """Everything a month's statement needs except its usage lines.

    ``entries`` are the credit entries that closing the month writes; none for a closed month.
    """

    month: int
    plan: PlanMonth
    credits: MonthCredits
    other_items: OtherItems = NO_OTHER_ITEMS
    entries: tuple[CreditEntry, ...] = ()


def open_months(books: AccountBooks, last: int, catalog: PlanCatalog) -> Iterator[BookedMonth]:
    """Yield the open months through ``last``, as if each were closed now, one after the other."""
    start = books.next_open
    if books.closed_through is None:
        start = last if start is None else min(start, last)
    if start is None or start > last:
        return
    first, inputs = books.burn_inputs(last, catalog)
    entries = list(books.entries)
    carried = books.carried_cents
    for month in months_through(start, last):
        new = closing_entries(month, first, inputs, entries)
        entries += new
        paid, corrections = credits_on_statement(month, entries, books.own_usage(month))
        booked = BookedMonth(
            month=month,
            plan=plan_month(books.plan_changes, month, catalog),
            credits=paid,
            other_items=OtherItems(books.adjustments_on(month), corrections, carried),
            entries=tuple(new),
        )
        yield booked
        carried = min(0, divide_half_away(_total_nano(books, booked), NANO_PER_CENT))


def usage_payable_nano(books: AccountBooks, month: int, catalog: PlanCatalog) -> int:
    """Return what a month's statement has of usage and adjustments after credits: as closed, or as it would be closed now."""
    entries = [*books.entries, *(entry for each in open_months(books, month, catalog) for entry in each.entries)]
    paid = (each for each in entries if each.kind in (EntryKind.APPLY, EntryKind.RESTORE) and each.billing_month == month)
    usage = sum(amount for (billing_month, _), amount in books.usage.items() if billing_month == month)
    adjusted = sum(each.amount_nano for each in books.adjustments_on(month))
    return usage + adjusted + sum(each.amount_nano for each in paid)


def closed_month(books: AccountBooks, month: int, plan: PlanMonth, *, last_entry: int, carried_in_cents: int) -> BookedMonth:
    """Recompute a closed month from what is recorded.

    ``plan`` has the plan terms it was closed with; ``last_entry`` is the id of the last credit entry at that time.
    """
    then = [entry for entry in books.entries if entry.id <= last_entry]
    paid, corrections = credits_on_statement(month, then, books.own_usage(month))
    return BookedMonth(
        month=month,
        plan=plan,
        credits=paid,
        other_items=OtherItems(books.adjustments_on(month), corrections, carried_in_cents),
    )


def _total_nano(books: AccountBooks, booked: BookedMonth) -> int:
    """Return a statement's total before rounding. Usage lines add up to their charges, so the charges are summed."""
    usage = sum(amount for (month, _), amount in books.usage.items() if month == booked.month)
    paid = sum(entry.amount_nano for entry in booked.entries if entry.kind in (EntryKind.APPLY, EntryKind.RESTORE))
    fees = sum(fee.amount_cents or 0 for fee in booked.plan.fees)
    adjusted = sum(each.amount_nano for each in booked.other_items.adjustments)
    return usage + adjusted + paid + (fees + booked.other_items.carried_in_cents) * NANO_PER_CENT
