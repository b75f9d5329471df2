"""The credit ledger: append-only entries, and which of them closing a month writes.

The balance of a grant is the sum of its entries and is never below zero. Closing a month burns credits over everything known at
that time, by month of usage, and writes the difference from what the ledger has already: for the month itself what was applied,
for earlier months what corrections changed. Entries that increase a balance come first: none is negative in between.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Struct

from metering.domain.credits.credits import (
    INCLUDED,
    CreditApplied,
    CreditGrant,
    DayUsage,
    MonthCredits,
    MonthUsage,
    burn_credits,
    months_through,
)
from metering.domain.instants import day_of, month_of, month_of_day, month_start, next_month

NO_DAYS: Mapping[int, CreditGrant] = MappingProxyType({})


class EntryKind(StrEnum):
    """Why a balance changed: ``grant`` and ``restore`` increase it, ``apply`` and ``void`` decrease it.

    ``expire`` removes what was not used in time; with a positive amount it gives expired credits back to late usage.
    ``used_elsewhere`` removes included credits that were spent on other Hugging Face compute, or gives them back.
    """

    GRANT = "grant"
    APPLY = "apply"
    EXPIRE = "expire"
    VOID = "void"
    RESTORE = "restore"
    USED_ELSEWHERE = "used_elsewhere"


GrantKey = tuple[int, int]
"""(id, 0) of a purchased grant; of included credits, even before they have an id, (0, month), or (-1, day) for a day's."""


class CreditEntry(Struct, frozen=True, kw_only=True):
    """One change to one grant's balance, signed nano-USD.

    ``usage_month`` is the month of the usage it pays for or of the included credits; ``billing_month`` has the statement.
    """

    grant: CreditGrant
    kind: EntryKind
    amount_nano: int
    usage_month: int
    billing_month: int
    reason: str = ""
    id: int = 0
    recorded_at: int = 0


class CreditMovement(NamedTuple):
    """An entry and the balance of its grant after it, in nano-USD."""

    entry: CreditEntry
    left_nano: int


class CreditCorrection(Struct, frozen=True):
    """How a correction to a closed month changed what a grant paid: positive paid more, negative was restored."""

    grant: CreditGrant
    usage_month: int
    amount_nano: int


class BurnInputs(Struct, frozen=True, kw_only=True):
    """What credits are burned over, by month of usage: nano-USD used, included credits, and their part spent elsewhere.

    ``grants`` are the purchased credits. ``daily`` are the included credits of single days, ``usage_by_day`` the usage they can
    pay, both by UTC day (days since 1970).
    """

    usage: Mapping[int, int]
    included: Mapping[int, CreditGrant]
    elsewhere: Mapping[int, int]
    grants: Sequence[CreditGrant]
    daily: Mapping[int, CreditGrant] = NO_DAYS
    usage_by_day: Mapping[int, int] = MappingProxyType({})

    def burn(self, first: int, last: int) -> list[MonthCredits]:
        """Burn credits from ``first`` through ``last``."""
        days: defaultdict[int, list[DayUsage]] = defaultdict(list)
        for day, grant in sorted(self.daily.items()):
            days[month_of_day(day)].append(DayUsage(day, grant.amount_nano, self.usage_by_day.get(day, 0)))
        return burn_credits(
            [
                MonthUsage(
                    month,
                    self.usage.get(month, 0),
                    self.included_nano(month),
                    self.elsewhere.get(month, 0),
                    tuple(days.get(month, ())),
                )
                for month in months_through(first, last)
            ],
            self.grants,
        )

    def included_nano(self, month: int) -> int:
        """Return a month's included credits."""
        grant = self.included.get(month)
        return 0 if grant is None else grant.amount_nano


def grant_key(grant: CreditGrant) -> GrantKey:
    """Return what identifies a grant within its account."""
    if grant.kind != INCLUDED:
        return grant.id, 0
    return (-1, day_of(grant.granted_at)) if grant.is_daily else (0, month_of(grant.granted_at))


def balances(entries: Iterable[CreditEntry]) -> dict[GrantKey, int]:
    """Return the balance of each grant after ``entries``."""
    left: defaultdict[GrantKey, int] = defaultdict(int)
    for entry in entries:
        left[grant_key(entry.grant)] += entry.amount_nano
    return dict(left)


def paid_by_grant(entries: Iterable[CreditEntry]) -> dict[tuple[GrantKey, int], int]:
    """Return what each grant has paid of each month's usage."""
    paid: defaultdict[tuple[GrantKey, int], int] = defaultdict(int)
    for entry in entries:
        if entry.kind in (EntryKind.APPLY, EntryKind.RESTORE):
            paid[grant_key(entry.grant), entry.usage_month] -= entry.amount_nano
    return dict(paid)


def closing_entries(month: int, first: int, inputs: BurnInputs, posted: Sequence[CreditEntry]) -> list[CreditEntry]:
    """Return the entries that closing ``month`` writes, in order; ``first`` is the first month with usage."""
    burned = inputs.burn(first, month)
    wanted = {
        (grant_key(_known_grant(item.grant, each.month, inputs)), each.month): item for each in burned for item in each.applied
    }
    increases, decreases = _new_included_grants(month, burned, inputs, posted), list[CreditEntry]()
    grants = {grant_key(grant): grant for grant in (*inputs.grants, *inputs.included.values(), *inputs.daily.values())}
    paid = paid_by_grant(posted)
    for key, usage_month in sorted(wanted.keys() | paid.keys(), key=lambda pair: (pair[1], grants[pair[0]].burn_order)):
        item = wanted.get((key, usage_month))
        more = (item.amount_nano if item else 0) - paid.get((key, usage_month), 0)
        kind = EntryKind.APPLY if more > 0 else EntryKind.RESTORE
        if more:
            entry = _entry(grants[key], kind, -more, usage_month, month)
            (decreases if more > 0 else increases).append(entry)
    for usage_month, grant in sorted(inputs.included.items()):
        if usage_month <= month:
            used = min(grant.amount_nano, inputs.elsewhere.get(usage_month, 0)) - _posted_elsewhere(posted, usage_month)
            if used and (used < 0 or _is_granted(grant, [*posted, *increases])):
                entry = _entry(grant, EntryKind.USED_ELSEWHERE, -used, usage_month, month)
                (decreases if used > 0 else increases).append(entry)
    return _with_expiry(month, grants, [*posted], increases, decreases)


def credits_on_statement(
    month: int, entries: Sequence[CreditEntry], usage_nano: int
) -> tuple[MonthCredits, tuple[CreditCorrection, ...]]:
    """Return the credits on ``month``'s statement: what paid its own usage, and what corrections changed for closed months.

    ``entries`` are all entries up to and including those of the statement; ``usage_nano`` is the month's own usage.
    """
    end = month_start(next_month(month))
    left = balances(entry for entry in entries if (entry.kind, entry.billing_month) != (EntryKind.EXPIRE, month))
    after = balances(entries)
    grants = {grant_key(entry.grant): entry.grant for entry in entries}
    paid = paid_by_grant(entry for entry in entries if entry.billing_month == month)
    ordered = sorted(paid.items(), key=lambda item: (item[0][1], grants[item[0][0]].burn_order))
    own = tuple(
        CreditApplied(grants[key], amount, left[key])
        for (key, usage_month), amount in ordered
        if usage_month == month and amount
    )
    corrections = tuple(
        CreditCorrection(grants[key], usage_month, amount)
        for (key, usage_month), amount in ordered
        if usage_month != month and amount
    )
    return MonthCredits(
        month=month,
        applied=own,
        included_left_nano=max(0, left.get((0, month), 0) - sum(item.amount_nano for item in own if item.grant.is_daily)),
        purchased_left_nano=sum(
            after[key] for key, grant in grants.items() if grant.kind != INCLUDED and grant.granted_at < end
        ),
        uncovered_nano=max(0, usage_nano) - sum(item.amount_nano for item in own),
    ), corrections


def _known_grant(grant: CreditGrant, month: int, inputs: BurnInputs) -> CreditGrant:
    """Return the recorded grant: burning makes a new one for a month's included credits."""
    if grant.is_daily:
        return inputs.daily[day_of(grant.granted_at)]
    return inputs.included[month] if grant.kind == INCLUDED else grant


def _new_included_grants(
    month: int, burned: Sequence[MonthCredits], inputs: BurnInputs, posted: Sequence[CreditEntry]
) -> list[CreditEntry]:
    """Return grants of included credits: the closing month's, and those that late usage of a month without a statement used."""
    granted = {grant_key(entry.grant) for entry in posted}
    entries = []
    for each in burned:
        paying = {grant_key(item.grant) for item in each.applied}
        of_month = [grant for day, grant in sorted(inputs.daily.items()) if month_of_day(day) == each.month]
        if each.month in inputs.included:
            of_month.append(inputs.included[each.month])
        for grant in of_month:
            key = grant_key(grant)
            if grant.amount_nano and (each.month == month or key in paying) and key not in granted:
                entries.append(_entry(grant, EntryKind.GRANT, grant.amount_nano, each.month, month))
    return entries


def _posted_elsewhere(posted: Sequence[CreditEntry], month: int) -> int:
    return -sum(entry.amount_nano for entry in posted if entry.kind is EntryKind.USED_ELSEWHERE and entry.usage_month == month)


def _is_granted(grant: CreditGrant, entries: Sequence[CreditEntry]) -> bool:
    key = grant_key(grant)
    return any(grant_key(entry.grant) == key for entry in entries)


def _with_expiry(
    month: int,
    grants: Mapping[GrantKey, CreditGrant],
    posted: list[CreditEntry],
    increases: list[CreditEntry],
    decreases: list[CreditEntry],
) -> list[CreditEntry]:
    """Add what expires by the end of the month, and expired credits that late usage needs back; return all entries."""
    end = month_start(next_month(month))
    expired = []
    for key, left in sorted(balances([*posted, *increases, *decreases]).items(), key=lambda item: grants[item[0]].burn_order):
        grant = grants[key]
        if left < 0:
            increases.append(_entry(grant, EntryKind.EXPIRE, -left, _last_usable_month(grant), month))
        elif left and grant.expires_at is not None and grant.expires_at <= end:
            expired.append(_entry(grant, EntryKind.EXPIRE, -left, _last_usable_month(grant), month))
    return [*increases, *decreases, *expired]


def _last_usable_month(grant: CreditGrant) -> int:
    """Return the last month with usage that an expiring grant can pay."""
    return month_of((grant.expires_at or grant.granted_at + 1) - 1)


def _entry(grant: CreditGrant, kind: EntryKind, amount_nano: int, usage_month: int, month: int) -> CreditEntry:
    return CreditEntry(grant=grant, kind=kind, amount_nano=amount_nano, usage_month=usage_month, billing_month=month)
