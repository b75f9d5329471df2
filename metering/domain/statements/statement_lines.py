"""The lines of a statement: usage at its price, fees, adjustments, credits, what is carried forward.

A usage line is quantity x price, exactly (pico-USD), one line per kind of quantity and rate; what the rounding of the requests
added up to is a line of its own per rate.
"""

from collections.abc import Iterable
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


class UsageSums(Struct, frozen=True, kw_only=True):
    """Rollups of one billing month, summed per route, provider, model, rate and grades. ``rate_id`` 0: no rate.

    ``origin_month`` (``YYYYMM``) is the closed month in which the requests were made; None for the billing month itself.
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
    """One line. ``amount_pico`` is None where it is not known; a price is ``price_pico`` per ``price_block`` units.

    ``origin_month`` (``YYYYMM``) is the closed month that the line corrects; None for what belongs to the statement's own.
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


class _LineKey(NamedTuple):
    """What the usage of one group of lines shares, in the order of the lines; ``origin_month`` 0: the billing month."""

    origin_month: int
    provider: str
    model: str
    route: str
    rate_id: int


def usage_lines(usage: Iterable[UsageSums], rates: dict[int, Rate]) -> list[StatementLine]:
    """Return usage and rounding lines by provider, model, rate and kind of quantity, in a fixed order.

    The amounts of one rate's lines add up to its charges, to the pico-dollar. The month's own come first, then those of the
    closed months that they correct, oldest first.
    """
    rated: dict[_LineKey, list[UsageSums]] = {}
    reported: dict[_LineKey, list[UsageSums]] = {}
    for sums in usage:
        key = _LineKey(sums.origin_month or 0, sums.provider, sums.model, sums.route, sums.rate_id)
        if sums.price_grade == PriceGrade.RATED:
            rated.setdefault(key, []).append(sums)
        elif sums.price_grade == PriceGrade.REPORTED:
            reported.setdefault(key._replace(rate_id=0), []).append(sums)
    lines: list[StatementLine] = []
    for origin in sorted({key.origin_month for key in (*rated, *reported)}):
        of_origin = [key for key in sorted(rated) if key.origin_month == origin]
        lines += [line for key in of_origin for line in _rated_lines(rated[key], rates[key.rate_id])]
        found = [_reported_line(reported[key]) for key in sorted(reported) if key.origin_month == origin]
        lines += [line for line in found if line.amount_pico or line.quantity]
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
    """Return one line a fee."""
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
    """Return one line an adjustment, oldest origin first; ``month`` is the statement's."""
    return [
        StatementLine(
            kind=StatementLineKind.ADJUSTMENT,
            description=f"Adjustment {each.reference}: {each.reason}",
            amount_pico=each.amount_nano * PICO_PER_NANO,
            origin_month=None if each.origin_month == month else each.origin_month,
        )
        for each in sorted(adjustments, key=lambda each: (each.origin_month, each.id))
    ]


def credit_lines(credits_of_month: MonthCredits, corrections: Iterable[CreditCorrection]) -> list[StatementLine]:
    """Return one line a grant that paid the month's own usage, then one a grant and closed month that was corrected."""
    own = [
        StatementLine(
            kind=StatementLineKind.CREDIT, description=_named_credit(item.grant), amount_pico=-item.amount_nano * PICO_PER_NANO
        )
        for item in credits_of_month.applied
    ]
    corrected = [
        StatementLine(
            kind=StatementLineKind.CREDIT,
            description=f"{_named_credit(each.grant)} {'applied to' if each.amount_nano > 0 else 'restored from'}"
            f" {format_month(each.usage_month)}",
            amount_pico=-each.amount_nano * PICO_PER_NANO,
            origin_month=each.usage_month,
        )
        for each in corrections
    ]
    return own + corrected


def _named_credit(grant: CreditGrant) -> str:
    return f"{grant.kind.capitalize()} credit{f' {grant.reference}' if grant.reference else ''}"


def carried_line(description: str, cents: int) -> StatementLine:
    """Return the line of what is carried from one statement to the next."""
    return StatementLine(kind=StatementLineKind.CARRIED_FORWARD, description=description, amount_pico=cents * PICO_PER_CENT)


def described(kind: str) -> str:
    """Return a kind of quantity in words: ``cache_read_tokens`` is ``cache read tokens``."""
    return kind.replace("_ms", " time").replace("_", " ")


def unit_of(kind: str) -> str:
    """Return the unit of a kind of quantity, in the singular: ``token``, ``ms``, ``image``."""
    return UNIT_OF.get(kind, kind)
