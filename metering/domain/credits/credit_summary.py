"""What moved a month's credits, so that what is shown adds up: what there was, what took of it, what is left.

A plan's own credit is ``included - spent elsewhere - applied = left``; of what was told to be spent elsewhere no more than is
included is taken from it. Credit that outlives the month is ``carried in + granted - taken back - applied - expiring = left``.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from metering.domain.accounts.plan_history import PlanMonth
from metering.domain.credits.credits import ANY_COMPUTE, INCLUDED, CreditGrant, MonthCredits
from metering.domain.instants import month_start, next_month


class IncludedCredit(Struct, frozen=True, kw_only=True):
    """A plan's credit of one month, nano-USD; ``included_nano`` is None where it is not known, and then none is applied.

    ``elsewhere_nano`` was spent on other compute of what is included, ``beyond_nano`` was told beyond it. ``is_upper_bound``:
    it can also be spent where this service does not see it, so that less may be left.
    """

    included_nano: int | None
    elsewhere_nano: int
    beyond_nano: int
    applied_nano: int
    left_nano: int
    is_upper_bound: bool


class GrantedCredit(Struct, frozen=True, kw_only=True):
    """Credit that was bought or given and can be used in one month, nano-USD.

    ``voided_nano`` was taken back in the month or since; ``expiring_nano`` is left and ends with the month or before.
    """

    carried_in_nano: int
    granted_nano: int
    voided_nano: int
    applied_nano: int
    expiring_nano: int
    left_nano: int
    is_upper_bound: bool


def included_credit(burned: MonthCredits, included_nano: int | None, told_elsewhere_nano: int, *, scope: str) -> IncludedCredit:
    """Return what became of a plan's credit in the month that was ``burned``."""
    elsewhere = min(included_nano or 0, told_elsewhere_nano)
    return IncludedCredit(
        included_nano=included_nano,
        elsewhere_nano=elsewhere,
        beyond_nano=told_elsewhere_nano - elsewhere,
        applied_nano=sum(item.amount_nano for item in burned.applied if item.grant.kind == INCLUDED),
        left_nano=burned.included_left_nano,
        is_upper_bound=scope == ANY_COMPUTE and bool(included_nano),
    )


def granted_credit(
    burned: Sequence[MonthCredits], grants: Sequence[CreditGrant], voided_before: Mapping[int, int]
) -> GrantedCredit:
    """Return what became of the ``grants`` that outlive a month in the last of the months that were ``burned``.

    ``voided_before`` is what was taken back of each grant, by id, before that month began.
    """
    month = burned[-1]
    start, end = month_start(month.month), month_start(next_month(month.month))
    usable = [grant for grant in grants if grant.granted_at < end and (grant.expires_at is None or grant.expires_at > start)]
    paid_before, paid = _paid(burned[:-1]), _paid(burned[-1:])
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
    return GrantedCredit(
        carried_in_nano=carried,
        granted_nano=granted,
        voided_nano=voided,
        applied_nano=sum(paid.values()),
        expiring_nano=expiring,
        left_nano=month.purchased_left_nano,
        is_upper_bound=is_upper_bound,
    )


def _paid(months: Sequence[MonthCredits]) -> dict[int, int]:
    """Return what each grant but the included ones paid in some months, by its id."""
    paid: dict[int, int] = {}
    for month in months:
        for item in month.applied:
            if item.grant.kind != INCLUDED:
                paid[item.grant.id] = paid.get(item.grant.id, 0) + item.amount_nano
    return paid


class CreditSummary(Struct, frozen=True):
    """An account's credits in a month: what was applied, what else moved them, and what is left.

    ``used_elsewhere_nano`` is what was told, also where it is more than what is included.
    """

    account: str
    plan: PlanMonth
    month: MonthCredits
    included: IncludedCredit
    lasting: GrantedCredit
    grants: list[CreditGrant]
    used_elsewhere_nano: int
