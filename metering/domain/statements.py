"""An account's month as a statement: what was used at which price, what credits paid, what is owed.

A usage line is quantity x price, exactly (pico-USD), one line per kind of quantity and rate; what the rounding of the requests
added up to is a line of its own per rate. The payable total is rounded to cents once, half away from zero, with the residual
as the last line before it. Usage on a partner's own key and usage of unknown route stand beside it, outside of the total.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from metering.domain.credits import MonthCredits
from metering.domain.events import PROVIDER_KEY, ROUTED, SERVERLESS, UNKNOWN, PriceGrade, QuantityGrade
from metering.domain.plan_history import PlanMonth
from pricing.money import PICO_PER_CENT, PICO_PER_NANO, round_to_cents
from pricing.quantities import ALL_KINDS, PRICED_KINDS, REQUESTS
from pricing.rates import Rate, assumed_cache_prices
from pricing.rating import line_amount_pico


class LineKind(StrEnum):
    """What a line of a statement is about, in the order in which lines stand."""

    USAGE = "usage"
    ROUNDING = "rounding"
    REPORTED = "reported"
    SUBSCRIPTION = "subscription"
    ADJUSTMENT = "adjustment"
    CREDIT = "credit"
    CARRIED_FORWARD = "carried_forward"
    RESIDUAL = "residual"
    TOTAL = "total"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSums:
    """Rollups of one billing month, summed per route, provider, model, rate and grades. ``rate_id`` 0: no rate."""

    route: str
    provider: str
    model: str
    operation: str
    rate_id: int
    price_grade: int
    quantity_grade: int
    billable: bool
    events: int
    quantities: tuple[int, ...]
    amount_nano: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """One line. ``amount_pico`` is None where it is not known; a price is ``price_pico`` per ``price_block`` units.

    ``origin_month`` (``YYYYMM``) is the closed month that the line corrects; None for what belongs to the statement's own.
    """

    kind: LineKind
    description: str
    amount_pico: int | None
    route: str = ""
    provider: str = ""
    model: str = ""
    operation: str = ""
    rate: Rate | None = None
    quantity_kind: str = ""
    quantity: int | None = None
    price_pico: int | None = None
    price_block: int = 1
    price_assumed: bool = False
    origin_month: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideUsage:
    """Usage that the total does not contain: unpriced, on a partner's key, of unknown route, or failed."""

    route: str
    provider: str
    model: str
    events: int
    quantities: tuple[int, ...]
    amount_nano: int | None

    @property
    def tokens(self) -> int:
        """All tokens, cached or not, in and out."""
        return sum(count for kind, count in zip(ALL_KINDS, self.quantities, strict=True) if kind in _TOKEN_KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A month of one account; amounts are pico-USD unless their name says otherwise.

    ``lines`` are what the total consists of. ``owed_to_partners`` are lines of usage that the partners bill. The lists after
    them are shown so that nothing is missing without a word. ``status`` is ``draft`` until the month is closed; ``closed_at``
    (microseconds UTC) and ``digest`` (SHA-256 in hex) are those of a closed one.
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

    @property
    def usage_payable_nano(self) -> int:
        """Billable usage after credits."""
        return self.usage_nano - self.credits.applied_nano


_TOKEN_KINDS = frozenset(kind for kind in ALL_KINDS if kind.endswith("_tokens") and kind != "reasoning_tokens")
_UNITS = {"images": "image", "megapixels": "megapixel", REQUESTS: "request", "characters": "character"}


def draft_statement(
    account: str, plan: PlanMonth, usage: Sequence[UsageSums], credits_of_month: MonthCredits, rates: dict[int, Rate]
) -> Statement:
    """Return the statement of an open month from its rollups; ``rates`` holds every rate that they name."""
    billed = [sums for sums in usage if sums.route in (ROUTED, SERVERLESS) and sums.billable]
    partners = [sums for sums in usage if sums.route == PROVIDER_KEY]
    lines = [*usage_lines(billed, rates), *_fee_lines(plan), *_credit_lines(credits_of_month)]
    usage_nano = sum(sums.amount_nano for sums in billed)
    exact = sum(line.amount_pico or 0 for line in lines)
    total = round_to_cents(exact)
    lines.append(StatementLine(kind=LineKind.RESIDUAL, description="Rounding of the total to cents", amount_pico=total - exact))
    lines.append(StatementLine(kind=LineKind.TOTAL, description="Total payable", amount_pico=total))
    owed = usage_lines(partners, rates)
    return Statement(
        account=account,
        month=plan.month,
        status="draft",
        plan=plan,
        lines=tuple(lines),
        usage_nano=usage_nano,
        credits=credits_of_month,
        subscription_cents=sum(fee.amount_cents or 0 for fee in plan.fees),
        total_cents=total // PICO_PER_CENT,
        residual_pico=total - exact,
        owed_to_partners=tuple(owed),
        owed_to_partners_nano=sum(sums.amount_nano for sums in partners),
        unpriced=_outside(s for s in usage if s.price_grade == PriceGrade.UNPRICED and s.route != UNKNOWN),
        route_unknown=_outside(s for s in usage if s.route == UNKNOWN and s.price_grade != PriceGrade.EXEMPT),
        failed_events=sum(sums.events for sums in usage if sums.price_grade == PriceGrade.EXEMPT),
        events=sum(sums.events for sums in usage),
        flags=_flags(plan, usage, credits_of_month, lines),
    )


def usage_lines(usage: Iterable[UsageSums], rates: dict[int, Rate]) -> list[StatementLine]:
    """Return usage and rounding lines by provider, model, rate and kind of quantity, in a fixed order.

    The amounts of one rate's lines add up to its charges, to the pico-dollar.
    """
    rated: dict[tuple[str, str, str, int], list[UsageSums]] = {}
    reported: dict[tuple[str, str, str], list[UsageSums]] = {}
    for sums in usage:
        if sums.price_grade == PriceGrade.RATED:
            rated.setdefault((sums.provider, sums.model, sums.route, sums.rate_id), []).append(sums)
        elif sums.price_grade == PriceGrade.REPORTED:
            reported.setdefault((sums.provider, sums.model, sums.route), []).append(sums)
    lines = [line for key in sorted(rated) for line in _rated_lines(rated[key], rates[key[3]])]
    return lines + [_reported_line(reported[key]) for key in sorted(reported)]


def _rated_lines(same_rate: list[UsageSums], rate: Rate) -> list[StatementLine]:
    first = same_rate[0]
    quantities = dict(zip(ALL_KINDS, map(sum, zip(*(sums.quantities for sums in same_rate), strict=True)), strict=True))
    quantities[REQUESTS] = sum(sums.events for sums in same_rate)
    amount_pico = sum(sums.amount_nano for sums in same_rate) * PICO_PER_NANO
    assumed = assumed_cache_prices(rate.prices)
    lines = []
    for kind in (*PRICED_KINDS, REQUESTS):
        price = rate.prices.get(kind) or assumed.get(kind)
        if price is None or not quantities[kind]:
            continue
        lines.append(
            StatementLine(
                kind=LineKind.USAGE,
                description=f"{first.model} at {first.provider}, {described(kind)}",
                amount_pico=line_amount_pico(kind, quantities[kind], rate),
                route=first.route,
                provider=first.provider,
                model=first.model,
                operation=rate.operation,
                rate=rate,
                quantity_kind=kind,
                quantity=quantities[kind],
                price_pico=price.pico,
                price_block=price.block,
                price_assumed=kind in assumed,
            )
        )
    rounding = amount_pico - sum(line.amount_pico or 0 for line in lines)
    if rounding:
        lines.append(
            StatementLine(
                kind=LineKind.ROUNDING,
                description=f"{first.model} at {first.provider}, rounding of each request up to nano-dollars",
                amount_pico=rounding,
                route=first.route,
                provider=first.provider,
                model=first.model,
                operation=rate.operation,
                rate=rate,
            )
        )
    return lines


def _reported_line(same_model: list[UsageSums]) -> StatementLine:
    first = same_model[0]
    return StatementLine(
        kind=LineKind.REPORTED,
        description=f"{first.model} at {first.provider}, cost as the provider reported it (no price is known)",
        amount_pico=sum(sums.amount_nano for sums in same_model) * PICO_PER_NANO,
        route=first.route,
        provider=first.provider,
        model=first.model,
        quantity_kind=REQUESTS,
        quantity=sum(sums.events for sums in same_model),
    )


def _fee_lines(plan: PlanMonth) -> list[StatementLine]:
    lines = []
    for fee in plan.fees:
        seats = f", {fee.seats} seats" if fee.seats > 1 else ""
        part = "" if fee.days == fee.days_in_month else f", {fee.days} of {fee.days_in_month} days from {fee.first_day}"
        unknown = "; the fee is not known" if fee.amount_cents is None else ""
        lines.append(
            StatementLine(
                kind=LineKind.SUBSCRIPTION,
                description=f"Subscription {fee.plan}{seats}{part}{unknown}",
                amount_pico=None if fee.amount_cents is None else fee.amount_cents * PICO_PER_CENT,
                quantity_kind="days",
                quantity=fee.days,
            )
        )
    return lines


def _credit_lines(credits_of_month: MonthCredits) -> list[StatementLine]:
    return [
        StatementLine(
            kind=LineKind.CREDIT,
            description=f"{item.grant.kind.capitalize()} credit{f' {item.grant.reference}' if item.grant.reference else ''}",
            amount_pico=-item.amount_nano * PICO_PER_NANO,
        )
        for item in credits_of_month.applied
    ]


def _outside(usage: Iterable[UsageSums]) -> tuple[OutsideUsage, ...]:
    grouped: dict[tuple[str, str, str], list[UsageSums]] = {}
    for sums in usage:
        grouped.setdefault((sums.provider, sums.model, sums.route), []).append(sums)
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
        )
        for (provider, model, route), same in sorted(grouped.items())
        if sum(sums.events for sums in same)
    )


def _flags(
    plan: PlanMonth, usage: Sequence[UsageSums], credits_of_month: MonthCredits, lines: Sequence[StatementLine]
) -> frozenset[Flag]:
    present = [sums for sums in usage if sums.events]
    found = {
        Flag.BEYOND_PLAN: credits_of_month.uncovered_nano > 0 and not plan.invoiced,
        Flag.UNPRICED_USAGE: any(s.price_grade == PriceGrade.UNPRICED and s.route != UNKNOWN for s in present),
        Flag.ROUTE_UNKNOWN: any(s.route == UNKNOWN and s.price_grade != PriceGrade.EXEMPT for s in present),
        Flag.FEE_UNKNOWN: any(fee.amount_cents is None for fee in plan.fees),
        Flag.INCLUDED_CREDIT_UNKNOWN: plan.included_credit_nano is None,
        Flag.CREDIT_IS_UPPER_BOUND: plan.credits_pay_elsewhere and bool(plan.included_credit_nano),
        Flag.CACHE_PRICE_ASSUMED: any(line.price_assumed for line in lines),
        Flag.QUANTITIES_ESTIMATED: any(s.quantity_grade == QuantityGrade.ESTIMATED for s in present),
    }
    return frozenset(flag for flag, holds in found.items() if holds)


def described(kind: str) -> str:
    """Return a kind of quantity in words: ``cache_read_tokens`` is ``cache read tokens``."""
    return kind.replace("_ms", " time").replace("_", " ")


def unit_of(kind: str) -> str:
    """Return the unit of a kind of quantity, in the singular: ``token``, ``ms``, ``image``."""
    return "token" if kind.endswith("_tokens") else "ms" if kind.endswith("_ms") else _UNITS.get(kind, kind)
