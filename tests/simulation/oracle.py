"""The expected statements of a scenario: a few plain rules over everything that happened, recomputed at every call.

Written from the rules of the domain and from how Hugging Face bills; shares no code with ``pricing`` or ``metering``. A
statement is what burning all credits over everything known now gives, less what the statements before it contain.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from fractions import Fraction

from msgspec import Struct, field

from simulation.expected import INCLUDED, Figures
from simulation.oracle_credits import KnownGrant, Paid, burn, end
from simulation.oracle_plans import following, month_of, months, plans_of, rounded
from simulation.oracle_usage import CountedRequest, Stay, billed_in
from simulation.scenario import Adjust, SetPlan

GRACE = timedelta(hours=72)
CENT = 10_000_000
BILLED = ("routed", "serverless")

Excluded = dict[tuple[int, str, str, str], int]
"""Requests by (origin month, provider, model, route)."""


class BilledAdjustment(Struct):
    """An adjustment and its billing month."""

    adjustment: Adjust
    billed: int


class Account(Struct):
    """Everything known about one account, and its closed statements."""

    name: str
    default_route: str = ""
    events: list[CountedRequest] = field(default_factory=list)
    adjusted: list[BilledAdjustment] = field(default_factory=list)
    plan_changes: list[SetPlan] = field(default_factory=list)
    grants: list[KnownGrant] = field(default_factory=list)
    elsewhere: Counter[int] = field(default_factory=Counter)
    closed: dict[int, Figures] = field(default_factory=dict)
    posted: Paid = field(default_factory=dict)
    first_ingest: datetime | None = None
    last_plan_or_adjustment: datetime | None = None

    @property
    def closed_through(self) -> int | None:
        """The last closed month."""
        return max(self.closed, default=None)

    @property
    def next_open(self) -> int | None:
        """The month to close next: after the last closed one, or the first with anything in it."""
        if self.closed:
            return following(max(self.closed))
        found = [stay.month for event in self.events for stay in event.stays]
        found += [each.billed for each in self.adjusted]
        found += [month_of(change.day) for change in self.plan_changes if change.plan != "free"]
        return min(found, default=None)

    def statements(self, through: int) -> Iterator[tuple[int, Figures, Paid]]:
        """Yield the open months through ``through`` as they would be closed now, with what credits have paid."""
        posted, carried = self.posted, self.closed[max(self.closed)].carried_out_cents if self.closed else 0
        for month in months(self.next_open or following(through), through):
            paid = self.paid(month)
            figures = self._figures(month, paid, posted, carried)
            yield month, figures, paid
            posted, carried = paid, figures.carried_out_cents

    def close(self, month: int) -> None:
        """Close the next month."""
        for open_month, figures, paid in self.statements(month):
            self.closed[open_month] = figures
            self.posted = paid
        for grant in self.grants:
            grant.is_over = grant.is_over or (grant.expires_at is not None and grant.expires_at <= end(month))

    def paid(self, through: int) -> Paid:
        """Return what each grant pays of each month, from everything known about the months through ``through``."""
        usage = self._usage()
        included = {month: self._included(month) for month in months(min([through, *usage]), through)}
        return burn(usage, included, self.grants, through)

    def left(self, grant: KnownGrant, at: datetime) -> int:
        """Return what can be voided of a grant: what neither the ledger nor the usage of open months has used."""
        through = max(month_of(at.date()), self.next_open or 0)
        taken = max(_of_grant(paid, grant) for paid in (self.posted, self.paid(through)))
        return grant.nano - grant.voided - taken

    def balance(self, at: datetime) -> dict[str, int]:
        """Return what is left of each valid grant at an instant after everything that happened."""
        month, usage = month_of(at.date()), self._usage()
        included = {each: self._included(each) for each in months(min([month, *usage]), month)}
        # A plan that begins later in the month has not topped up anything yet.
        plan_changes = tuple(change for change in self.plan_changes if change.day <= at.date())
        included[month] = max(0, plans_of(month, plan_changes).credit_nano - self.elsewhere[month])
        paid = burn(usage, included, self.grants, month)
        valid = [grant for grant in self.grants if grant.expires_at is None or grant.expires_at > at]
        left = {grant.reference: grant.nano - grant.voided - _of_grant(paid, grant) for grant in valid}
        left[INCLUDED] = included[month] - paid.get((INCLUDED, month), 0)
        return {reference: nano for reference, nano in left.items() if nano}

    def has_unpriced(self, month: int) -> bool:
        """Whether some usage billed in a month is unpriced."""
        return bool(self._unpriced(month))

    def due(self, at: datetime) -> bool:
        """Whether the next month is due."""
        month = self.next_open
        since = self.first_ingest or self.last_plan_or_adjustment
        return month is not None and since is not None and at >= max(end(month), since) + GRACE

    def billed_in(self, origin: int) -> int:
        """Return the month in which a charge of ``origin`` is billed now."""
        return billed_in(origin, self.closed_through)

    def _usage(self) -> dict[int, int]:
        """Return each month's usage as known now, adjustments included."""
        usage: Counter[int] = Counter()
        for event in self.events:
            usage[event.origin] += sum(nano for _, route, nano in event.billed if route in BILLED)
        for each in self.adjusted:
            usage[each.adjustment.month] += each.adjustment.nano
        return dict(usage)

    def _included(self, month: int) -> int:
        return max(0, plans_of(month, tuple(self.plan_changes)).credit_nano - self.elsewhere[month])

    def _figures(self, month: int, paid: Paid, posted: Paid, carried: int) -> Figures:
        plans = plans_of(month, tuple(self.plan_changes))
        credited = {key: paid.get(key, 0) - posted.get(key, 0) for key in {**posted, **paid}}
        adjusted = [each.adjustment for each in self.adjusted if each.billed == month]
        usage, partners = self._billed(month, BILLED), self._billed(month, ("provider_key",))
        exact = Fraction(sum(usage.values()) + sum(each.nano for each in adjusted) - sum(credited.values()), CENT)
        exact += carried + sum(cents or 0 for *_, cents in plans.fees)
        cents = rounded(exact)
        own = usage[month] + sum(each.nano for each in adjusted if each.month == month)
        uncovered = max(0, own) - sum(nano for (_, of), nano in credited.items() if of == month)
        unknown, unpriced = self._route_unknown(month), self._unpriced(month)
        flags = {
            "beyond_plan": uncovered > 0 and not plans.invoiced,
            "unpriced_usage": bool(unpriced),
            "route_unknown": bool(unknown),
            "fee_unknown": any(cents is None for *_, cents in plans.fees),
            "credit_is_upper_bound": plans.pays_elsewhere and plans.credit_nano > 0,
        }
        return Figures(
            usage={origin: nano for origin, nano in usage.items() if nano},
            adjustments={each.reference: (each.month, each.nano) for each in adjusted},
            fees=plans.fees,
            credits={key: nano for key, nano in credited.items() if nano},
            included_left=self._included(month) - paid.get((INCLUDED, month), 0),
            purchased_left=sum(
                grant.nano - grant.voided - _of_grant(paid, grant)
                for grant in self.grants
                if grant.granted_at < end(month) and (grant.expires_at is None or grant.expires_at > end(month))
            ),
            carried_in_cents=carried,
            carried_out_cents=min(0, cents),
            total_cents=max(0, cents),
            residual_pico=int((cents - exact) * CENT * 1_000),
            partners_nano=sum(partners.values()),
            unpriced=unpriced,
            route_unknown=unknown,
            failed=self._counted(month, failed=True),
            events=self._counted(month, failed=True) + self._counted(month, failed=False),
            flags={flag for flag, is_set in flags.items() if is_set},
        )

    def _billed(self, month: int, routes: Sequence[str]) -> Counter[int]:
        """Return what is billed in a month, by origin month."""
        found: Counter[int] = Counter()
        for event in self.events:
            found[event.origin] += sum(nano for billed, route, nano in event.billed if billed == month and route in routes)
        return found

    def _counted(self, month: int, *, failed: bool) -> int:
        """Return the requests that came to a month less those that left it."""
        stays = [stay for event in self.events for stay in event.stays if stay.failed == failed]
        return sum(stay.month == month for stay in stays) - sum(stay.left == month for stay in stays)

    def _unpriced(self, month: int) -> Excluded:
        """Return the requests that came to a month and were not priced in it."""
        return self._listed(month, lambda stay: stay.route != "unknown" and stay.priced != stay.month, lambda stay: stay.priced)

    def _route_unknown(self, month: int) -> Excluded:
        return self._listed(month, lambda stay: stay.route == "unknown", lambda stay: stay.left)

    def _listed(self, month: int, may_be: Callable[[Stay], bool], until: Callable[[Stay], int | None]) -> Excluded:
        """Return how many answered requests are listed in a month, by what they are listed under.

        A request that left and came back in the month is not new in it.
        """
        found: Excluded = {}
        for event in self.events:
            moved: Counter[tuple[int, str, str, str]] = Counter()
            for stay in event.stays:
                if not stay.failed and may_be(stay):
                    key = event.origin, stay.provider, stay.model, stay.route
                    moved[key] += (stay.month == month) - ((until(stay) or stay.left) == month)
            for key, count in moved.items():
                if count > 0:
                    found[key] = found.get(key, 0) + count
        return found


def _of_grant(paid: Paid, grant: KnownGrant) -> int:
    return sum(nano for (reference, _), nano in paid.items() if reference == grant.reference)
