"""The ledger of credits: append-only entries, and which ones a closing month writes.

What is left of a grant is the sum of its entries, and at no moment less than zero. A closing month burns credits over all that
is known by then, month by month of the usage, and writes the difference to what the ledger says already: for its own usage that
is what was applied, for earlier months it is what corrections changed. The order of entries is fixed: what gives comes first.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from metering.domain.credits.credits import (
    INCLUDED,
    CreditApplied,
    CreditGrant,
    MonthCredits,
    MonthUsage,
    burn_credits,
    months_through,
)
from metering.domain.instants import month_of, month_start, next_month


class EntryKind(StrEnum):
    """What moves: ``grant`` and ``restore`` give, ``apply`` and ``void`` take.

    ``expire`` takes what nobody used in time, or, above zero, gives it back because usage of that time came late.
    ``used_elsewhere`` takes included credit that was spent on other Hugging Face compute, or gives it back.
    """

    GRANT = "grant"
    APPLY = "apply"
    EXPIRE = "expire"
    VOID = "void"
    RESTORE = "restore"
    USED_ELSEWHERE = "used_elsewhere"


GrantKey = tuple[int, int]
"""(id, 0) of what was granted; (0, month) of what a plan includes in a month, also before it has an id."""


class CreditEntry(Struct, frozen=True, kw_only=True):
    """One movement of one grant, signed nano-USD.

    ``usage_month`` is the month whose usage it pays or whose credit it is, ``billing_month`` the statement that shows it.
    """

    grant: CreditGrant
    kind: EntryKind
    amount_nano: int
    usage_month: int
    billing_month: int
    reason: str = ""
    id: int = 0
    recorded_at: int = 0


class CreditCorrection(Struct, frozen=True):
    """What a correction to a closed month changed about who paid it: above zero paid more, below zero given back."""

    grant: CreditGrant
    usage_month: int
    amount_nano: int


class KnownMonths(Struct, frozen=True, kw_only=True):
    """What credits are burned over, by month of the usage: nano-USD used, included, and of that spent elsewhere.

    ``grants`` are those that outlive a month.
    """

    usage: Mapping[int, int]
    included: Mapping[int, CreditGrant]
    elsewhere: Mapping[int, int]
    grants: Sequence[CreditGrant]

    def burn(self, first: int, last: int) -> list[MonthCredits]:
        """Burn credits from one month through another."""
        return burn_credits(
            [
                MonthUsage(month, self.usage.get(month, 0), self.included_nano(month), self.elsewhere.get(month, 0))
                for month in months_through(first, last)
            ],
            self.grants,
        )

    def included_nano(self, month: int) -> int:
        """Return the included credit of a month."""
        grant = self.included.get(month)
        return 0 if grant is None else grant.amount_nano


def grant_key(grant: CreditGrant) -> GrantKey:
    """Return what tells a grant from the others of its account."""
    return (0, month_of(grant.granted_at)) if grant.kind == INCLUDED else (grant.id, 0)


def balances(entries: Iterable[CreditEntry]) -> dict[GrantKey, int]:
    """Return what is left of each grant."""
    left: defaultdict[GrantKey, int] = defaultdict(int)
    for entry in entries:
        left[grant_key(entry.grant)] += entry.amount_nano
    return dict(left)


def applied(entries: Iterable[CreditEntry]) -> dict[tuple[GrantKey, int], int]:
    """Return what each grant has paid of each month's usage."""
    paid: defaultdict[tuple[GrantKey, int], int] = defaultdict(int)
    for entry in entries:
        if entry.kind in (EntryKind.APPLY, EntryKind.RESTORE):
            paid[grant_key(entry.grant), entry.usage_month] -= entry.amount_nano
    return dict(paid)


def entries_of_close(month: int, first: int, known: KnownMonths, posted: Sequence[CreditEntry]) -> list[CreditEntry]:
    """Return the entries that closing ``month`` writes, in their order; ``first`` is the first month there is usage of."""
    burned = known.burn(first, month)
    wanted = {(grant_key(_of(item.grant, each.month, known)), each.month): item for each in burned for item in each.applied}
    giving, taking = _new_included(month, burned, known, posted), list[CreditEntry]()
    grants = {grant_key(grant): grant for grant in (*known.grants, *known.included.values())}
    paid = applied(posted)
    for key, usage_month in sorted(wanted.keys() | paid.keys(), key=lambda pair: (pair[1], grants[pair[0]].burn_order)):
        item = wanted.get((key, usage_month))
        more = (item.amount_nano if item else 0) - paid.get((key, usage_month), 0)
        kind = EntryKind.APPLY if more > 0 else EntryKind.RESTORE
        if more:
            entry = _entry(grants[key], kind, -more, usage_month, month)
            (taking if more > 0 else giving).append(entry)
    for usage_month, grant in sorted(known.included.items()):
        if usage_month <= month:
            used = min(grant.amount_nano, known.elsewhere.get(usage_month, 0)) - _posted_elsewhere(posted, usage_month)
            if used and (used < 0 or _is_there(grant, [*posted, *giving])):
                entry = _entry(grant, EntryKind.USED_ELSEWHERE, -used, usage_month, month)
                (taking if used > 0 else giving).append(entry)
    return _with_expiry(month, grants, [*posted], giving, taking)


def credits_on_statement(
    month: int, entries: Sequence[CreditEntry], usage_nano: int
) -> tuple[MonthCredits, tuple[CreditCorrection, ...]]:
    """Return what the ledger says of ``month``'s statement: what its own usage was paid with, and what corrections changed.

    ``entries`` are all up to and with those of the statement; ``usage_nano`` is the month's own usage.
    """
    end = month_start(next_month(month))
    left = balances(entry for entry in entries if (entry.kind, entry.billing_month) != (EntryKind.EXPIRE, month))
    after = balances(entries)
    grants = {grant_key(entry.grant): entry.grant for entry in entries}
    paid = applied(entry for entry in entries if entry.billing_month == month)
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
        included_left_nano=left.get((0, month), 0),
        purchased_left_nano=sum(
            after[key] for key, grant in grants.items() if grant.kind != INCLUDED and grant.granted_at < end
        ),
        uncovered_nano=max(0, usage_nano) - sum(item.amount_nano for item in own),
    ), corrections


def _of(grant: CreditGrant, month: int, known: KnownMonths) -> CreditGrant:
    """Return the grant as it is known: burning makes up the included one of a month."""
    return known.included[month] if grant.kind == INCLUDED else grant


def _new_included(
    month: int, burned: Sequence[MonthCredits], known: KnownMonths, posted: Sequence[CreditEntry]
) -> list[CreditEntry]:
    """Return grants of included credit: the closing month's, and what late usage of a month without a statement took."""
    there = {grant_key(entry.grant) for entry in posted}
    entries = []
    for each in burned:
        grant = known.included.get(each.month)
        used = each.month == month or any(item.grant.kind == INCLUDED for item in each.applied)
        if grant is not None and grant.amount_nano and used and (0, each.month) not in there:
            entries.append(_entry(grant, EntryKind.GRANT, grant.amount_nano, each.month, month))
    return entries


def _posted_elsewhere(posted: Sequence[CreditEntry], month: int) -> int:
    return -sum(entry.amount_nano for entry in posted if entry.kind is EntryKind.USED_ELSEWHERE and entry.usage_month == month)


def _is_there(grant: CreditGrant, entries: Sequence[CreditEntry]) -> bool:
    key = grant_key(grant)
    return any(grant_key(entry.grant) == key for entry in entries)


def _with_expiry(
    month: int,
    grants: Mapping[GrantKey, CreditGrant],
    posted: list[CreditEntry],
    giving: list[CreditEntry],
    taking: list[CreditEntry],
) -> list[CreditEntry]:
    """Return the entries with what expires by the end of the month, and what had expired and is needed after all."""
    end = month_start(next_month(month))
    expired = []
    for key, left in sorted(balances([*posted, *giving, *taking]).items(), key=lambda item: grants[item[0]].burn_order):
        grant = grants[key]
        if left < 0:
            giving.append(_entry(grant, EntryKind.EXPIRE, -left, _last_month(grant), month))
        elif left and grant.expires_at is not None and grant.expires_at <= end:
            expired.append(_entry(grant, EntryKind.EXPIRE, -left, _last_month(grant), month))
    return [*giving, *taking, *expired]


def _last_month(grant: CreditGrant) -> int:
    """Return the month whose usage a grant that ends could pay last."""
    return month_of((grant.expires_at or grant.granted_at + 1) - 1)


def _entry(grant: CreditGrant, kind: EntryKind, amount_nano: int, usage_month: int, month: int) -> CreditEntry:
    return CreditEntry(grant=grant, kind=kind, amount_nano=amount_nano, usage_month=usage_month, billing_month=month)


class CreditMovement(NamedTuple):
    """A movement, and what it left of its grant, in nano-USD."""

    entry: CreditEntry
    left_nano: int
