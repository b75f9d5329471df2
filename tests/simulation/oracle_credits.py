"""Which credits pay for which month's usage, from everything known. Written from the rules, not from the service.

Included credits pay only for their own month; purchased credits carry over and can pay for a month if they are valid at any
instant of it. Order: soonest expiry, included before others, oldest, first recorded. Never more than is left, and never for
negative usage.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from simulation.expected import INCLUDED
from simulation.oracle_plans import following, months

NEVER = datetime(9999, 1, 1, tzinfo=UTC)

Paid = dict[tuple[str, int], int]
"""Nano-USD by (grant, month whose usage it paid)."""


class KnownGrant(Struct):
    """A purchased grant. ``order`` is its position among the recorded ones; ``is_over``: a close has expired it."""

    reference: str
    kind: str
    nano: int
    granted_at: datetime
    expires_at: datetime | None
    order: int
    voided: int = 0
    is_over: bool = False


def begin(month: int) -> datetime:
    """Return the first instant of a month."""
    return datetime(month // 100, month % 100, 1, tzinfo=UTC)


def end(month: int) -> datetime:
    """Return the first instant after a month."""
    return begin(following(month))


def burn(usage: Mapping[int, int], included: Mapping[int, int], grants: Sequence[KnownGrant], last: int) -> Paid:
    """Burn credits from the first month with usage through ``last``; ``included`` are each month's usable included credits."""
    paid: Paid = {}
    left = {grant.reference: grant.nano - grant.voided for grant in grants}
    for month in months(min([last, *usage]), last):
        payers = [(end(month), 0, begin(month), 0, INCLUDED)]
        payers += [
            (grant.expires_at or NEVER, 1, grant.granted_at, grant.order, grant.reference)
            for grant in grants
            if grant.granted_at < end(month) and (grant.expires_at is None or grant.expires_at > begin(month))
        ]
        left[INCLUDED] = included[month]
        owed = max(0, usage.get(month, 0))
        for *_, reference in sorted(payers):
            share = min(owed, left[reference])
            if share:
                paid[reference, month] = share
                left[reference] -= share
                owed -= share
    return paid
