"""An account's month as a statement: what was used at which price, what credits paid, what is owed.

Each usage line is quantity x price, exactly (pico-USD), one line per kind of quantity and rate; the rounding of the requests is
a separate line per rate. The total payable is rounded to cents once, half away from zero, and the rounding difference is the
last line before it. Usage on the account's own provider keys and usage with an unknown billing route are listed separately,
excluded from the total.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct, field
from msgspec.structs import replace

from metering.domain.accounts.plan_history import PlanMonth
from metering.domain.credits.credits import MonthCredits
from metering.domain.instants import month_of
from metering.domain.statements.account_books import NO_OTHER_ITEMS, OtherItems
from metering.domain.statements.statement_lines import (
    StatementLine,
    StatementLineKind,
    UsageSums,
    adjustment_lines,
    carried_line,
    credit_lines,
    described,
    fee_lines,
    unit_of,
    usage_lines,
)
from metering.domain.usage.events import FREE_GRADES, PROVIDER_KEY, ROUTED, SERVERLESS, UNKNOWN, PriceGrade, QuantityGrade
from pricing.money import PICO_PER_CENT, round_to_cents
from pricing.possible import PossibleCost
from pricing.quantities import ALL_KINDS, TOKEN_KINDS
from pricing.rates import Rate

__all__ = [
    "CLOSED",
    "DRAFT",
    "ExcludedUsage",
    "Flag",
    "Statement",
    "StatementLine",
    "StatementLineKind",
    "UsageSums",
    "described",
    "draft_statement",
    "unit_of",
    "usage_lines",
]

DRAFT = "draft"
CLOSED = "closed"


class Flag(StrEnum):
    """What a reader of a statement must know."""

    BEYOND_PLAN = "beyond_plan"
    UNPRICED_USAGE = "unpriced_usage"
    ROUTE_UNKNOWN = "route_unknown"
    FEE_UNKNOWN = "fee_unknown"
    INCLUDED_CREDIT_UNKNOWN = "included_credit_unknown"
    CREDIT_IS_UPPER_BOUND = "credit_is_upper_bound"
    CACHE_PRICE_ASSUMED = "cache_price_assumed"
    QUANTITIES_ESTIMATED = "quantities_estimated"
    NOT_BEGUN = "not_begun"


class ExcludedUsage(Struct, frozen=True, kw_only=True):
    """Usage that is excluded from the total because it is unpriced or its billing route is unknown.

    ``amount_nano`` is None where some of it is unpriced. ``origin_month`` is as on a line. ``possible`` is what unpriced usage
    without a provider or a route may have cost; only a draft has it, and it is never sealed.
    """

    route: str
    provider: str
    model: str
    events: int
    quantities: tuple[int, ...]
    amount_nano: int | None
    origin_month: int | None = None
    possible: PossibleCost | None = None

    @property
    def tokens(self) -> int:
        """All tokens: input, cached and output."""
        return sum(count for kind, count in zip(ALL_KINDS, self.quantities, strict=True) if kind in TOKEN_KINDS)


class Statement(Struct, frozen=True, kw_only=True):
    """A month of one account; amounts are pico-USD unless their name has another unit.

    ``lines`` add up to the total, which is the last of them. ``owed_to_partners`` are lines of usage that providers bill on the
    account's own keys. ``status`` is ``draft`` until the month is closed; ``closed_at`` (microseconds UTC) and ``digest``
    (SHA-256 in hex) belong to a closed statement.

    ``usage_nano`` is all billed usage, including late or corrected usage of closed months; ``adjustments_nano`` comes on top.
    ``credits`` paid the month's own usage; ``credits_corrected_nano`` is what corrections changed for closed months.
    ``carried_in_cents`` and ``carried_out_cents`` (to the next statement) are zero or negative.
    """

    account: str
    month: int
    status: str
    plan: PlanMonth
    lines: tuple[StatementLine, ...]
    usage_nano: int
    credits: MonthCredits
    subscription_cents: int
    total_cents: int
    residual_pico: int
    owed_to_partners: tuple[StatementLine, ...] = ()
    owed_to_partners_nano: int = 0
    unpriced: tuple[ExcludedUsage, ...] = ()
    route_unknown: tuple[ExcludedUsage, ...] = ()
    failed_events: int = 0
    events: int = 0
    flags: frozenset[Flag] = field(default_factory=frozenset)
    closed_at: int | None = None
    digest: str = ""
    adjustments_nano: int = 0
    credits_corrected_nano: int = 0
    carried_in_cents: int = 0
    carried_out_cents: int = 0

    @property
    def credits_nano(self) -> int:
        """What credits paid, less what corrections restored to them."""
        return self.credits.applied_nano + self.credits_corrected_nano

    @property
    def usage_payable_nano(self) -> int:
        """Billable usage and adjustments after credits."""
        return self.usage_nano + self.adjustments_nano - self.credits_nano


class _Total(Struct, frozen=True):
    """A total rounded to cents, and the lines from the rounding on that lead to it."""

    lines: tuple[StatementLine, ...]
    cents: int
    residual_pico: int
    carried_out_cents: int


def draft_statement(
    account: str,
    plan: PlanMonth,
    usage: Sequence[UsageSums],
    credits_of_month: MonthCredits,
    rates: dict[int, Rate],
    other: OtherItems = NO_OTHER_ITEMS,
) -> Statement:
    """Return a month's statement from its rollups; ``rates`` has every rate that they name."""
    billed = [sums for sums in usage if sums.route in (ROUTED, SERVERLESS) and sums.billable]
    partners = [sums for sums in usage if sums.route == PROVIDER_KEY]
    lines = [*usage_lines(billed, rates), *fee_lines(plan), *adjustment_lines(other.adjustments, plan.month)]
    lines += credit_lines(credits_of_month, other.corrections)
    if other.carried_in_cents:
        lines.append(carried_line("Carried forward from the statement before", other.carried_in_cents))
    total = _total(lines)
    unpriced = unpriced_usage(usage, other.previously_listed)
    of_unknown_route = (s for s in (*usage, *other.previously_listed) if s.route == UNKNOWN)
    route_unknown = _excluded(s for s in of_unknown_route if s.price_grade not in FREE_GRADES)
    listed = {Flag.UNPRICED_USAGE: unpriced, Flag.ROUTE_UNKNOWN: route_unknown}
    return Statement(
        account=account,
        month=plan.month,
        status=DRAFT,
        plan=plan,
        lines=(*lines, *total.lines),
        usage_nano=sum(sums.amount_nano for sums in billed),
        credits=credits_of_month,
        subscription_cents=sum(fee.amount_cents or 0 for fee in plan.fees),
        total_cents=total.cents,
        residual_pico=total.residual_pico,
        owed_to_partners=tuple(usage_lines(partners, rates)),
        owed_to_partners_nano=sum(sums.amount_nano for sums in partners),
        unpriced=unpriced,
        route_unknown=route_unknown,
        failed_events=sum(sums.events for sums in usage if sums.price_grade == PriceGrade.EXEMPT),
        events=sum(sums.events for sums in usage),
        flags=_flags(plan, usage, credits_of_month, lines) | {flag for flag, items in listed.items() if items},
        adjustments_nano=sum(each.amount_nano for each in other.adjustments),
        credits_corrected_nano=sum(each.amount_nano for each in other.corrections),
        carried_in_cents=other.carried_in_cents,
        carried_out_cents=total.carried_out_cents,
    )


def as_of(statement: Statement, now: int) -> Statement:
    """Return a statement with the flag NOT_BEGUN if its month is still to come at ``now`` (microseconds UTC)."""
    return replace(statement, flags=statement.flags | {Flag.NOT_BEGUN}) if statement.month > month_of(now) else statement


def unpriced_usage(usage: Sequence[UsageSums], previously_listed: Sequence[UsageSums] = ()) -> tuple[ExcludedUsage, ...]:
    """Return the usage that is not priced yet.

    ``previously_listed`` is what earlier statements listed and this month's rollups take back: without it, the negative sums
    would hide late usage that is unpriced.
    """
    waiting = (sums for sums in (*usage, *previously_listed) if sums.price_grade == PriceGrade.UNPRICED)
    return _excluded(sums for sums in waiting if sums.route != UNKNOWN)


def _total(lines: Sequence[StatementLine]) -> _Total:
    """Round the sum of ``lines`` to cents. A total that would be negative is 0.00, and the rest is carried forward."""
    exact = sum(line.amount_pico or 0 for line in lines)
    rounded = round_to_cents(exact)
    carried_out = min(0, rounded // PICO_PER_CENT)
    total = max(0, rounded)
    closing = [
        StatementLine(
            kind=StatementLineKind.RESIDUAL, description="Rounding of the total to cents", amount_pico=rounded - exact
        ),
        StatementLine(kind=StatementLineKind.TOTAL, description="Total payable", amount_pico=total),
    ]
    if carried_out:
        closing.insert(0, carried_line("Carried forward to the next statement", -carried_out))
    return _Total(tuple(closing), total // PICO_PER_CENT, rounded - exact, carried_out)


def _excluded(usage: Iterable[UsageSums]) -> tuple[ExcludedUsage, ...]:
    grouped: dict[tuple[str, str, str, int], list[UsageSums]] = {}
    for sums in usage:
        grouped.setdefault((sums.provider, sums.model, sums.route, sums.origin_month or 0), []).append(sums)
    return tuple(
        ExcludedUsage(
            route=route,
            provider=provider,
            model=model,
            events=sum(sums.events for sums in same),
            quantities=tuple(map(sum, zip(*(sums.quantities for sums in same), strict=True))),
            amount_nano=None
            if any(sums.price_grade == PriceGrade.UNPRICED for sums in same)
            else sum(sums.amount_nano for sums in same),
            origin_month=origin or None,
        )
        for (provider, model, route, origin), same in sorted(grouped.items())
        # Usage priced or re-rated after its month was closed appears as a reversal and a replacement: no usage of this month.
        if sum(sums.events for sums in same) > 0
    )


def _flags(
    plan: PlanMonth, usage: Sequence[UsageSums], credits_of_month: MonthCredits, lines: Sequence[StatementLine]
) -> frozenset[Flag]:
    present = [sums for sums in usage if sums.events > 0]
    is_set = {
        Flag.BEYOND_PLAN: credits_of_month.uncovered_nano > 0 and not plan.invoiced,
        Flag.FEE_UNKNOWN: any(fee.amount_cents is None for fee in plan.fees),
        Flag.INCLUDED_CREDIT_UNKNOWN: plan.included_credit_nano is None,
        Flag.CREDIT_IS_UPPER_BOUND: (plan.credits_pay_elsewhere and bool(plan.included_credit_nano))
        or any(each.pays_elsewhere for each in plan.daily_credits),
        Flag.CACHE_PRICE_ASSUMED: any(line.price_assumed for line in lines),
        Flag.QUANTITIES_ESTIMATED: any(s.quantity_grade == QuantityGrade.ESTIMATED for s in present),
    }
    return frozenset(flag for flag, on in is_set.items() if on)
