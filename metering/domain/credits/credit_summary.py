"""An account's credits in a month, with the parts that add up to what is left.

Included credits: ``included - used elsewhere - applied = left``. No more than is included can be used elsewhere; what is
recorded beyond that is shown separately. Purchased credits: ``carried in + granted - voided - applied - expiring = left``.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from metering.domain.accounts.plan_history import PlanMonth
from metering.domain.credits.credits import ANY_COMPUTE, INCLUDED, CreditGrant, MonthCredits
from metering.domain.instants import month_start, next_month


class IncludedCredits(Struct, frozen=True, kw_only=True):
    """A month's included credits in nano-USD. ``included_nano`` is None where unknown; none are applied then.

    ``daily_nano`` is what credits for single days were in all, ``daily_applied_nano`` what they paid; the rest expired with its
    day. ``topped_nano`` of the month's credits is not left because the days before paid as much (see ``credits``).

    ``elsewhere_nano`` of them was spent on other compute; ``beyond_nano`` was recorded as spent elsewhere beyond what is
    included. ``is_upper_bound``: they can also be spent where this service does not see it, so less may be left.
    """

    included_nano: int | None
    elsewhere_nano: int
    beyond_nano: int
    applied_nano: int
    left_nano: int
    is_upper_bound: bool
    daily_nano: int = 0
    daily_applied_nano: int = 0
    topped_nano: int = 0


class PurchasedCredits(Struct, frozen=True, kw_only=True):
    """Purchased and granted credits that an account can use in a month, in nano-USD.

    ``voided_nano`` was voided in the month or later; ``expiring_nano`` is unused and ends with the month or during it.
    """

    carried_in_nano: int
    granted_nano: int
    voided_nano: int
    applied_nano: int
    expiring_nano: int
    left_nano: int
    is_upper_bound: bool


class CreditSummary(Struct, frozen=True):
    """An account's credits in a month. ``grants`` are all its grants of purchased credits, oldest first.

    ``used_elsewhere_nano`` is what was recorded as spent elsewhere, even if that is more than is included.
    """

    account: str
    plan: PlanMonth
    month: MonthCredits
    included: IncludedCredits
    purchased: PurchasedCredits
    grants: list[CreditGrant]
    used_elsewhere_nano: int


def included_credits(
    burned: MonthCredits,
    included_nano: int | None,
    recorded_elsewhere_nano: int,
    *,
    scope: str,
    daily: Sequence[CreditGrant] = (),
) -> IncludedCredits:
    """Return the included credits of the ``burned`` month; ``recorded_elsewhere_nano`` may be more than is included.

    ``daily`` are its credits for single days.
    """
    elsewhere = min(included_nano or 0, recorded_elsewhere_nano)
    by_days = sum(item.amount_nano for item in burned.applied if item.grant.is_daily)
    included = [item for item in burned.applied if item.grant.kind == INCLUDED and not item.grant.is_daily]
    return IncludedCredits(
        included_nano=included_nano,
        elsewhere_nano=elsewhere,
        beyond_nano=recorded_elsewhere_nano - elsewhere,
        applied_nano=sum(item.amount_nano for item in included),
        left_nano=burned.included_left_nano,
        is_upper_bound=scope == ANY_COMPUTE and bool(included_nano),
        daily_nano=sum(grant.amount_nano for grant in daily),
        daily_applied_nano=by_days,
        topped_nano=min((included_nano or 0) - elsewhere, by_days),
    )


def purchased_credits(
    burned: Sequence[MonthCredits], grants: Sequence[CreditGrant], voided_before: Mapping[int, int]
) -> PurchasedCredits:
    """Return the purchased credits of the last of the ``burned`` months.

    ``voided_before`` is what had been voided of each grant, by grant id, when that month began.
    """
    month = burned[-1]
    start, end = month_start(month.month), month_start(next_month(month.month))
    usable = [grant for grant in grants if grant.granted_at < end and (grant.expires_at is None or grant.expires_at > start)]
    paid_before, paid = _paid_by_grant(burned[:-1]), _paid_by_grant(burned[-1:])
    carried = granted = voided = expiring = 0
    is_upper_bound = False
    for grant in usable:
        if grant.granted_at < start:
            gone = voided_before.get(grant.id, 0)
            carried += grant.amount_nano - gone - paid_before.get(grant.id, 0)
            voided += grant.voided_nano - gone
        else:
            granted += grant.amount_nano
            voided += grant.voided_nano
        left = grant.amount_nano - grant.voided_nano - paid_before.get(grant.id, 0) - paid.get(grant.id, 0)
        if grant.expires_at is not None and grant.expires_at <= end:
            expiring += left
        elif left and grant.scope == ANY_COMPUTE:
            is_upper_bound = True
    return PurchasedCredits(
        carried_in_nano=carried,
        granted_nano=granted,
        voided_nano=voided,
        applied_nano=sum(paid.values()),
        expiring_nano=expiring,
        left_nano=month.purchased_left_nano,
        is_upper_bound=is_upper_bound,
    )


def _paid_by_grant(months: Sequence[MonthCredits]) -> dict[int, int]:
    """Return what each purchased grant paid in some months, by grant id."""
    paid: dict[int, int] = {}
    for month in months:
        for item in month.applied:
            if item.grant.kind != INCLUDED:
                paid[item.grant.id] = paid.get(item.grant.id, 0) + item.amount_nano
    return paid
