"""The lines of a statement: usage at its price, fees, adjustments, credits, amounts carried forward.

A usage line is quantity x price, exactly (pico-USD), one line per kind of quantity and rate. Each request is charged rounded up
to nano-USD; the sum of these roundings is a separate line per rate.

Descriptions are sealed in closed statements and are part of their digest. Do not reword them.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from metering.domain.accounts.plan_history import PlanMonth
from metering.domain.credits.adjustments import Adjustment
from metering.domain.credits.credit_ledger import CreditCorrection
from metering.domain.credits.credits import CreditGrant, MonthCredits
from metering.domain.instants import format_month
from metering.domain.usage.events import PriceGrade
from pricing.money import PICO_PER_CENT, PICO_PER_NANO
from pricing.quantities import ALL_KINDS, PRICED_KINDS, REQUESTS, UNIT_OF
from pricing.rates import Rate, assumed_cache_prices
from pricing.rating import line_amount_pico


class StatementLineKind(StrEnum):
    """The kinds of lines, in the order of a statement."""

    USAGE = "usage"
    ROUNDING = "rounding"
    REPORTED = "reported"
    SUBSCRIPTION = "subscription"
    ADJUSTMENT = "adjustment"
    CREDIT = "credit"
    CARRIED_FORWARD = "carried_forward"
    RESIDUAL = "residual"
    TOTAL = "total"


class UsageSums(Struct, frozen=True, kw_only=True):
    """Rollups of one billing month, summed per route, provider, model, rate and grades. ``rate_id`` 0: no rate.

    ``origin_month`` (``YYYYMM``) is the closed month of the requests; None for the billing month itself.
    """

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
    origin_month: int | None = None


class StatementLine(Struct, frozen=True, kw_only=True):
    """One line. ``amount_pico`` is None where unknown; a price is ``price_pico`` per ``price_block`` units.

    ``price_assumed``: no cache price is published, the input price is used. ``origin_month`` (``YYYYMM``) is the closed month
    that the line corrects; None for the statement's own month.
    """

    kind: StatementLineKind
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


class _LineGroup(NamedTuple):
    """What the usage of one line has in common, in sort order; ``origin`` 0 is the statement's own month."""

    origin: int
    provider: str
    model: str
    route: str
    rate_id: int = 0


def usage_lines(usage: Iterable[UsageSums], rates: dict[int, Rate]) -> list[StatementLine]:
    """Return usage and rounding lines by provider, model, rate and kind of quantity, in a fixed order.

    The lines of one rate add up to its charges, to the pico-dollar. The month's own lines come first, then the corrections of
    closed months, oldest first.
    """
    rated: dict[_LineGroup, list[UsageSums]] = {}
    reported: dict[_LineGroup, list[UsageSums]] = {}
    for sums in usage:
        origin = sums.origin_month or 0
        if sums.price_grade == PriceGrade.RATED:
            rated.setdefault(_LineGroup(origin, sums.provider, sums.model, sums.route, sums.rate_id), []).append(sums)
        elif sums.price_grade == PriceGrade.REPORTED:
            reported.setdefault(_LineGroup(origin, sums.provider, sums.model, sums.route), []).append(sums)
    lines: list[StatementLine] = []
    for origin in sorted({group.origin for group in (*rated, *reported)}):
        for group in sorted(rated):
            if group.origin == origin:
                lines += _rated_lines(rated[group], rates[group.rate_id])
        costs = [_reported_line(reported[group]) for group in sorted(reported) if group.origin == origin]
        lines += [line for line in costs if line.amount_pico or line.quantity]
    return lines


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
                kind=StatementLineKind.USAGE,
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
                origin_month=first.origin_month,
            )
        )
    rounding = amount_pico - sum(line.amount_pico or 0 for line in lines)
    if rounding:
        lines.append(
            StatementLine(
                kind=StatementLineKind.ROUNDING,
                description=f"{first.model} at {first.provider}, rounding of each request up to nano-dollars",
                amount_pico=rounding,
                route=first.route,
                provider=first.provider,
                model=first.model,
                operation=rate.operation,
                rate=rate,
                origin_month=first.origin_month,
            )
        )
    return lines


def _reported_line(same_model: list[UsageSums]) -> StatementLine:
    first = same_model[0]
    return StatementLine(
        kind=StatementLineKind.REPORTED,
        description=f"{first.model} at {first.provider}, cost as the provider reported it (no price is known)",
        amount_pico=sum(sums.amount_nano for sums in same_model) * PICO_PER_NANO,
        route=first.route,
        provider=first.provider,
        model=first.model,
        quantity_kind=REQUESTS,
        quantity=sum(sums.events for sums in same_model),
        origin_month=first.origin_month,
    )


def fee_lines(plan: PlanMonth) -> list[StatementLine]:
    """Return one line per fee."""
    lines = []
    for fee in plan.fees:
        seats = f", {fee.seats} seats" if fee.seats > 1 else ""
        part = "" if fee.days == fee.days_in_month else f", {fee.days} of {fee.days_in_month} days from {fee.first_day}"
        unknown = "; the fee is not known" if fee.amount_cents is None else ""
        lines.append(
            StatementLine(
                kind=StatementLineKind.SUBSCRIPTION,
                description=f"Subscription {fee.plan}{seats}{part}{unknown}",
                amount_pico=None if fee.amount_cents is None else fee.amount_cents * PICO_PER_CENT,
                quantity_kind="days",
                quantity=fee.days,
            )
        )
    return lines


def adjustment_lines(adjustments: Iterable[Adjustment], month: int) -> list[StatementLine]:
    """Return one line per adjustment, oldest origin month first; ``month`` is the statement's."""
    return [
        StatementLine(
            kind=StatementLineKind.ADJUSTMENT,
            description=f"Adjustment {each.reference}: {each.reason}",
            amount_pico=each.amount_nano * PICO_PER_NANO,
            origin_month=None if each.origin_month == month else each.origin_month,
        )
        for each in sorted(adjustments, key=lambda each: (each.origin_month, each.id))
    ]


def credit_lines(credits_of_month: MonthCredits, corrections: Sequence[CreditCorrection]) -> list[StatementLine]:
    """Return one line per grant that paid the month's own usage, then one per grant and corrected closed month.

    The daily credits of a month are one line.
    """
    daily = [item.amount_nano for item in credits_of_month.applied if item.grant.is_daily]
    corrected_days: dict[tuple[int, bool], int] = {}
    for each in corrections:
        if each.grant.is_daily:
            key = each.usage_month, each.amount_nano > 0
            corrected_days[key] = corrected_days.get(key, 0) + each.amount_nano
    days = "1 day" if len(daily) == 1 else f"{len(daily)} days"
    own = [_credit_line(f"Included daily credit, {days}", sum(daily))] if daily else []
    own += [
        StatementLine(
            kind=StatementLineKind.CREDIT, description=_named_credit(item.grant), amount_pico=-item.amount_nano * PICO_PER_NANO
        )
        for item in credits_of_month.applied
        if not item.grant.is_daily
    ]
    corrected = [
        _credit_line(
            f"Included daily credit {'applied to' if applied else 'restored from'} {format_month(month)}", amount_nano, month
        )
        for (month, applied), amount_nano in sorted(corrected_days.items())
    ]
    corrected += [
        StatementLine(
            kind=StatementLineKind.CREDIT,
            description=f"{_named_credit(each.grant)} {'applied to' if each.amount_nano > 0 else 'restored from'}"
            f" {format_month(each.usage_month)}",
            amount_pico=-each.amount_nano * PICO_PER_NANO,
            origin_month=each.usage_month,
        )
        for each in corrections
        if not each.grant.is_daily
    ]
    return own + corrected


def _credit_line(description: str, amount_nano: int, origin_month: int | None = None) -> StatementLine:
    return StatementLine(
        kind=StatementLineKind.CREDIT,
        description=description,
        amount_pico=-amount_nano * PICO_PER_NANO,
        origin_month=origin_month,
    )


def _named_credit(grant: CreditGrant) -> str:
    return f"{grant.kind.capitalize()} credit{f' {grant.reference}' if grant.reference else ''}"


def carried_line(description: str, cents: int) -> StatementLine:
    """Return the line for an amount carried from one statement to the next."""
    return StatementLine(kind=StatementLineKind.CARRIED_FORWARD, description=description, amount_pico=cents * PICO_PER_CENT)


def described(kind: str) -> str:
    """Write a kind of quantity in words: ``cache_read_tokens`` as ``cache read tokens``."""
    return kind.replace("_ms", " time").replace("_", " ")


def unit_of(kind: str) -> str:
    """Return the unit of a kind of quantity, singular: ``token``, ``ms``, ``image``."""
    return UNIT_OF.get(kind, kind)
