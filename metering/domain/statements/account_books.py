"""An account's books: its months in order, what each one's statement takes besides the lines of its usage.

A month that is closed stands as it was closed. The first open one also shows what changed about closed ones since. Computing an
open month and closing it are the same, so that a draft is what closing it now would come to.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from metering.domain.accounts.plan_history import FREE, PlanChange, PlanMonth, plan_month
from metering.domain.credits.adjustments import Adjustment
from metering.domain.credits.credit_ledger import (
    CreditCorrection,
    CreditEntry,
    EntryKind,
    KnownMonths,
    credits_on_statement,
    entries_of_close,
)
from metering.domain.credits.credits import (
    ANY_COMPUTE,
    INCLUDED,
    INFERENCE_ONLY,
    CreditGrant,
    MonthCredits,
    included_grant,
    months_through,
)
from metering.domain.instants import day_number, month_of, month_of_day, next_month
from metering.domain.statements.statement_lines import UsageSums
from pricing.money import NANO_PER_CENT, divide_half_away
from pricing.plans import PlanCatalogue


class AccountBooks(Struct, frozen=True, kw_only=True):
    """What is recorded of one account.

    ``usage`` is billable nano-USD by (billing month, month of the event). ``closed`` are the months that have a statement, and
    ``carried_cents`` is what the last of them carried forward. ``elsewhere`` is included credit spent on other compute, by
    month.
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

    @property
    def first_month(self) -> int | None:
        """The first month in which there is something: usage, an adjustment, or a plan."""
        months = [month for month, _ in self.usage]
        months += [adjustment.billing_month for adjustment in self.adjustments]
        months += [month_of_day(day_number(change.effective)) for change in self.plan_changes if change.plan != FREE]
        return min(months, default=None)

    @property
    def next_open(self) -> int | None:
        """The month that closes next; None while there is nothing to close."""
        return self.first_month if self.closed_through is None else next_month(self.closed_through)

    def usage_by_origin(self) -> dict[int, int]:
        """Return what each month's usage is known to come to, adjustments included."""
        found: dict[int, int] = {}
        for (_, origin), amount in self.usage.items():
            found[origin] = found.get(origin, 0) + amount
        for adjustment in self.adjustments:
            found[adjustment.origin_month] = found.get(adjustment.origin_month, 0) + adjustment.amount_nano
        return found

    def own_usage(self, month: int) -> int:
        """Return what a month's usage came to on its own statement."""
        own = [each.amount_nano for each in self.adjustments if each.billing_month == each.origin_month == month]
        return self.usage.get((month, month), 0) + sum(own)

    def adjustments_on(self, month: int) -> tuple[Adjustment, ...]:
        """Return what was adjusted on a month's statement."""
        return tuple(each for each in self.adjustments if each.billing_month == month)

    def included(self, month: int, plan: PlanMonth) -> CreditGrant | None:
        """Return the included credit of a month: what it was when it was closed, else what its plan makes it."""
        for grant in self.grants:
            if grant.kind == INCLUDED and month_of(grant.granted_at) == month:
                return grant
        if month in self.closed or not plan.included_credit_nano:
            return None
        return included_grant(
            month, plan.included_credit_nano, scope=ANY_COMPUTE if plan.credits_pay_elsewhere else INFERENCE_ONLY
        )

    def known_months(self, last: int, catalogue: PlanCatalogue) -> tuple[int, KnownMonths]:
        """Return the first month that credits are burned over, and all that is known through ``last``."""
        usage = self.usage_by_origin()
        first = min([last, self.next_open or last, *usage, *self.closed])
        included = {}
        for month in months_through(first, last):
            grant = self.included(month, plan_month(self.plan_changes, month, catalogue))
            if grant is not None:
                included[month] = grant
        lasting = [grant for grant in self.grants if grant.kind != INCLUDED]
        return first, KnownMonths(usage=usage, included=included, elsewhere=self.elsewhere, grants=lasting)


class OtherItems(Struct, frozen=True):
    """What stands on a statement beside its own month's usage, fees and credits. ``carried_in_cents`` is zero or less.

    ``priced_at_last`` is usage that an earlier statement called unpriced and that this one takes from what is unpriced.
    """

    adjustments: tuple[Adjustment, ...] = ()
    corrections: tuple[CreditCorrection, ...] = ()
    carried_in_cents: int = 0
    priced_at_last: tuple[UsageSums, ...] = ()


NOTHING_BESIDE = OtherItems()


class BookedMonth(Struct, frozen=True, kw_only=True):
    """What a statement takes besides the lines of its usage.

    ``entries`` are those that closing it writes, and are empty for a closed month.
    """

    month: int
    plan: PlanMonth
    credits: MonthCredits
    beside: OtherItems = NOTHING_BESIDE
    entries: tuple[CreditEntry, ...] = ()


def open_months(books: AccountBooks, last: int, catalogue: PlanCatalogue) -> Iterator[BookedMonth]:
    """Yield the open months through ``last``, as closing one after the other now would make them."""
    start = books.next_open
    if books.closed_through is None:
        start = last if start is None else min(start, last)
    if start is None or start > last:
        return
    first, known = books.known_months(last, catalogue)
    entries = list(books.entries)
    carried = books.carried_cents
    for month in months_through(start, last):
        new = entries_of_close(month, first, known, entries)
        entries += new
        paid, corrections = credits_on_statement(month, entries, books.own_usage(month))
        booked = BookedMonth(
            month=month,
            plan=plan_month(books.plan_changes, month, catalogue),
            credits=paid,
            beside=OtherItems(books.adjustments_on(month), corrections, carried),
            entries=tuple(new),
        )
        yield booked
        carried = min(0, divide_half_away(_exact_nano(books, booked), NANO_PER_CENT))


def closed_month(books: AccountBooks, month: int, plan: PlanMonth, *, last_entry: int, carried_in_cents: int) -> BookedMonth:
    """Return a closed month again from what is recorded.

    ``plan`` is what the plans came to when it was closed, ``last_entry`` the last credit entry there was by then.
    """
    then = [entry for entry in books.entries if entry.id <= last_entry]
    paid, corrections = credits_on_statement(month, then, books.own_usage(month))
    return BookedMonth(
        month=month,
        plan=plan,
        credits=paid,
        beside=OtherItems(books.adjustments_on(month), corrections, carried_in_cents),
    )


def _exact_nano(books: AccountBooks, booked: BookedMonth) -> int:
    """Return what a statement comes to before it is rounded: the lines of usage add up to their charges."""
    usage = sum(amount for (month, _), amount in books.usage.items() if month == booked.month)
    paid = sum(entry.amount_nano for entry in booked.entries if entry.kind in (EntryKind.APPLY, EntryKind.RESTORE))
    fees = sum(fee.amount_cents or 0 for fee in booked.plan.fees)
    adjusted = sum(each.amount_nano for each in booked.beside.adjustments)
    return usage + adjusted + paid + (fees + booked.beside.carried_in_cents) * NANO_PER_CENT
