"""An account's month as a statement: what was used at which price, what credits paid, what is owed.

A usage line is quantity x price, exactly (pico-USD), one line per kind of quantity and rate; what the rounding of the requests
added up to is a line of its own per rate. The payable total is rounded to cents once, half away from zero, with the residual
as the last line before it. Usage on a partner's own key and usage of unknown route stand beside it, outside of the total.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct, field

from metering.domain.accounts.plan_history import PlanMonth
from metering.domain.credits.credits import MonthCredits
from metering.domain.statements.account_books import NOTHING_BESIDE, OtherItems
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
from metering.domain.usage.events import PROVIDER_KEY, ROUTED, SERVERLESS, UNKNOWN, PriceGrade, QuantityGrade
from pricing.money import PICO_PER_CENT, round_to_cents
from pricing.quantities import ALL_KINDS, TOKEN_KINDS
from pricing.rates import Rate

__all__ = [
    "CLOSED",
    "DRAFT",
    "Flag",
    "OutsideUsage",
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


class OutsideUsage(Struct, frozen=True, kw_only=True):
    """Usage that the total does not contain: unpriced, on a partner's key, of unknown route, or failed.

    ``origin_month`` as of a line.
    """

    route: str
    provider: str
    model: str
    events: int
    quantities: tuple[int, ...]
    amount_nano: int | None
    origin_month: int | None = None

    @property
    def tokens(self) -> int:
        """All tokens, cached or not, in and out."""
        return sum(count for kind, count in zip(ALL_KINDS, self.quantities, strict=True) if kind in TOKEN_KINDS)


class Statement(Struct, frozen=True, kw_only=True):
    """A month of one account; amounts are pico-USD unless their name says otherwise.

    ``lines`` are what the total consists of. ``owed_to_partners`` are lines of usage that the partners bill. The lists after
    them are shown so that nothing is missing without a word. ``status`` is ``draft`` until the month is closed; ``closed_at``
    (microseconds UTC) and ``digest`` (SHA-256 in hex) are those of a closed one.

    ``usage_nano`` is all billed usage, that of closed months included which came late or was corrected; ``adjustments_nano`` is
    what was decided beside it. ``credits`` are those of the month's own usage, ``credits_corrected_nano`` is what corrections
    changed for closed ones. What was carried in is zero or less, and so is what is carried on to the next statement.
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
    unpriced: tuple[OutsideUsage, ...] = ()
    route_unknown: tuple[OutsideUsage, ...] = ()
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
        """What credits paid, less what corrections gave back to them."""
        return self.credits.applied_nano + self.credits_corrected_nano

    @property
    def usage_payable_nano(self) -> int:
        """Billable usage and adjustments after credits."""
        return self.usage_nano + self.adjustments_nano - self.credits_nano


def draft_statement(
    account: str,
    plan: PlanMonth,
    usage: Sequence[UsageSums],
    credits_of_month: MonthCredits,
    rates: dict[int, Rate],
    beside: OtherItems = NOTHING_BESIDE,
) -> Statement:
    """Return the statement of a month from its rollups; ``rates`` holds every rate that they name."""
    billed = [sums for sums in usage if sums.route in (ROUTED, SERVERLESS) and sums.billable]
    partners = [sums for sums in usage if sums.route == PROVIDER_KEY]
    lines = [*usage_lines(billed, rates), *fee_lines(plan), *adjustment_lines(beside.adjustments, plan.month)]
    lines += credit_lines(credits_of_month, beside.corrections)
    if beside.carried_in_cents:
        lines.append(carried_line("Carried forward from the statement before", beside.carried_in_cents))
    exact = sum(line.amount_pico or 0 for line in lines)
    rounded = round_to_cents(exact)
    carried_out = min(0, rounded // PICO_PER_CENT)
    if carried_out:
        lines.append(carried_line("Carried forward to the next statement", -carried_out))
    total = max(0, rounded)
    unpriced = unpriced_usage(usage, beside.priced_at_last)
    route_unknown = _outside(s for s in usage if s.route == UNKNOWN and s.price_grade != PriceGrade.EXEMPT)
    lines.append(
        StatementLine(
            kind=StatementLineKind.RESIDUAL, description="Rounding of the total to cents", amount_pico=rounded - exact
        )
    )
    lines.append(StatementLine(kind=StatementLineKind.TOTAL, description="Total payable", amount_pico=total))
    return Statement(
        account=account,
        month=plan.month,
        status=DRAFT,
        plan=plan,
        lines=tuple(lines),
        usage_nano=sum(sums.amount_nano for sums in billed),
        credits=credits_of_month,
        subscription_cents=sum(fee.amount_cents or 0 for fee in plan.fees),
        total_cents=total // PICO_PER_CENT,
        residual_pico=rounded - exact,
        owed_to_partners=tuple(usage_lines(partners, rates)),
        owed_to_partners_nano=sum(sums.amount_nano for sums in partners),
        unpriced=unpriced,
        route_unknown=route_unknown,
        failed_events=sum(sums.events for sums in usage if sums.price_grade == PriceGrade.EXEMPT),
        events=sum(sums.events for sums in usage),
        flags=_flags(plan, usage, credits_of_month, lines)
        | {flag for flag, found in ((Flag.UNPRICED_USAGE, unpriced), (Flag.ROUTE_UNKNOWN, route_unknown)) if found},
        adjustments_nano=sum(each.amount_nano for each in beside.adjustments),
        credits_corrected_nano=sum(each.amount_nano for each in beside.corrections),
        carried_in_cents=beside.carried_in_cents,
        carried_out_cents=carried_out,
    )


def unpriced_usage(usage: Sequence[UsageSums], priced_at_last: Sequence[UsageSums] = ()) -> tuple[OutsideUsage, ...]:
    """Return what waits for a price. What earlier statements called unpriced must not hide what has come late since."""
    waiting = (*(sums for sums in usage if sums.price_grade == PriceGrade.UNPRICED), *priced_at_last)
    return _outside(sums for sums in waiting if sums.route != UNKNOWN)


def _outside(usage: Iterable[UsageSums]) -> tuple[OutsideUsage, ...]:
    grouped: dict[tuple[str, str, str, int], list[UsageSums]] = {}
    for sums in usage:
        grouped.setdefault((sums.provider, sums.model, sums.route, sums.origin_month or 0), []).append(sums)
    return tuple(
        OutsideUsage(
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
        # What has been priced, or priced again, since its month was closed is taken back here and put in place: no usage.
        if sum(sums.events for sums in same) > 0
    )


def _flags(
    plan: PlanMonth, usage: Sequence[UsageSums], credits_of_month: MonthCredits, lines: Sequence[StatementLine]
) -> frozenset[Flag]:
    present = [sums for sums in usage if sums.events > 0]
    found = {
        Flag.BEYOND_PLAN: credits_of_month.uncovered_nano > 0 and not plan.invoiced,
        Flag.FEE_UNKNOWN: any(fee.amount_cents is None for fee in plan.fees),
        Flag.INCLUDED_CREDIT_UNKNOWN: plan.included_credit_nano is None,
        Flag.CREDIT_IS_UPPER_BOUND: plan.credits_pay_elsewhere and bool(plan.included_credit_nano),
        Flag.CACHE_PRICE_ASSUMED: any(line.price_assumed for line in lines),
        Flag.QUANTITIES_ESTIMATED: any(s.quantity_grade == QuantityGrade.ESTIMATED for s in present),
    }
    return frozenset(flag for flag, holds in found.items() if holds)
