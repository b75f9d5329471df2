"""Credit grants, and how the usage of consecutive months burns them.

A month's included credits pay only for that month's billable usage, a day's (UTC) only for that day's; purchased credits carry
over. Burn order: soonest expiry, included before purchased, oldest, id. A grant never goes below zero. Credits never pay for
fees, for negative usage, or for usage that a provider bills on the account's own key.

A month has credits by the day and by the month only if the plan changed. The month's credits then top up what the days paid:
together they never pay more than the larger of the two.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from metering.domain.instants import MICROS_PER_DAY, month_start, next_month

INCLUDED = "included"
PURCHASED = "purchased"
PROMOTIONAL = "promotional"
MANUAL = "manual"
GRANTED_KINDS = (PURCHASED, PROMOTIONAL, MANUAL)
"""Kinds that can be granted. Included credits come from plans only."""

INFERENCE_ONLY = "inference"
ANY_COMPUTE = "any_compute"

_NEVER = 2**63


class CreditGrant(Struct, frozen=True):
    """A grant of ``amount_nano``, usable from ``granted_at`` until ``expires_at`` (exclusive; None: it never expires).

    ``scope`` ANY_COMPUTE: it can also be spent where this service does not see it. ``voided_nano`` has been voided.
    """

    id: int
    kind: str
    amount_nano: int
    granted_at: int
    expires_at: int | None = None
    reference: str = ""
    scope: str = INFERENCE_ONLY
    voided_nano: int = 0

    @property
    def burn_order(self) -> tuple[int, int, int, int]:
        """Sort key: the lowest pays first."""
        expiry = _NEVER if self.expires_at is None else self.expires_at
        # The last day of a month expires together with the month, and pays before it.
        return expiry, -1 if self.is_daily else 0 if self.kind == INCLUDED else 1, self.granted_at, self.id

    @property
    def is_daily(self) -> bool:
        """Whether these are the included credits of one day."""
        return self.kind == INCLUDED and self.expires_at == self.granted_at + MICROS_PER_DAY

    def with_voided(self, voided_nano: int) -> "CreditGrant":
        """Return the grant with another voided amount."""
        return replace(self, voided_nano=voided_nano)


class CreditApplied(Struct, frozen=True):
    """What one grant paid of a month's usage, and what it had left afterwards."""

    grant: CreditGrant
    amount_nano: int
    left_nano: int


class DayUsage(Struct, frozen=True):
    """The included credits of a UTC day (days since 1970), and the day's billable usage."""

    day: int
    credit_nano: int
    usage_nano: int


class MonthUsage(Struct, frozen=True):
    """A month's billable usage, its included credits, and how much of those was spent on other Hugging Face compute.

    ``days`` are the days with included credits for that day only.
    """

    month: int
    usage_nano: int
    included_nano: int
    used_elsewhere_nano: int = 0
    days: tuple[DayUsage, ...] = ()


class MonthCredits(Struct, frozen=True):
    """A month's credits: what each grant paid, what is left, and the usage that no credits paid.

    ``included_left_nano`` is left of the month's included credits. Nothing is left of a day's once the day is over.
    """

    month: int
    applied: tuple[CreditApplied, ...]
    included_left_nano: int
    purchased_left_nano: int
    uncovered_nano: int

    @property
    def applied_nano(self) -> int:
        """What all grants paid."""
        return sum(item.amount_nano for item in self.applied)


def burn_credits(months: Sequence[MonthUsage], grants: Sequence[CreditGrant]) -> list[MonthCredits]:
    """Burn credits through consecutive months, oldest first; ``grants`` are the purchased credits.

    A grant can pay for a month's usage if it is valid at any instant of that month.
    """
    left = {grant.id: grant.amount_nano - grant.voided_nano for grant in grants}
    return [_burn_month(month, grants, left) for month in months]


def included_grant(month: int, amount_nano: int, *, scope: str = INFERENCE_ONLY) -> CreditGrant:
    """Return a month's included credits: valid from the month's start to its end."""
    return CreditGrant(0, INCLUDED, amount_nano, month_start(month), month_start(next_month(month)), scope=scope)


def daily_grant(day: int, amount_nano: int, *, scope: str = INFERENCE_ONLY) -> CreditGrant:
    """Return the included credits of a UTC day (days since 1970): they expire when the day ends."""
    start = day * MICROS_PER_DAY
    return CreditGrant(0, INCLUDED, amount_nano, start, start + MICROS_PER_DAY, scope=scope)


def _burn_month(month: MonthUsage, grants: Sequence[CreditGrant], left: dict[int, int]) -> MonthCredits:
    start, end = month_start(month.month), month_start(next_month(month.month))
    included = included_grant(month.month, max(0, month.included_nano - month.used_elsewhere_nano))
    usage_of_day = {day.day: max(0, day.usage_nano) for day in month.days}
    days = [daily_grant(day.day, day.credit_nano) for day in month.days]
    usable = [grant for grant in grants if grant.granted_at < end and (grant.expires_at is None or grant.expires_at > start)]
    owed = max(0, month.usage_nano)
    left_of_month = included.amount_nano
    paid_by_days = 0
    applied = []
    for grant in sorted([included, *days, *usable], key=lambda grant: grant.burn_order):
        if grant.is_daily:
            available = grant.amount_nano
            paid = min(owed, available, usage_of_day[grant.granted_at // MICROS_PER_DAY])
            paid_by_days += paid
        elif grant is included:
            available = left_of_month = max(0, included.amount_nano - paid_by_days)
            paid = min(owed, available)
            left_of_month -= paid
        else:
            available = left[grant.id]
            paid = min(owed, available)
            left[grant.id] -= paid
        if paid:
            owed -= paid
            applied.append(CreditApplied(grant, paid, available - paid))
    return MonthCredits(
        month=month.month,
        applied=tuple(applied),
        included_left_nano=left_of_month,
        purchased_left_nano=sum(left[grant.id] for grant in usable if grant.expires_at is None or grant.expires_at > end),
        uncovered_nano=owed,
    )


def months_through(first: int, last: int) -> list[int]:
    """Return all months from ``first`` through ``last``."""
    months = [first]
    while months[-1] < last:
        months.append(next_month(months[-1]))
    return months
