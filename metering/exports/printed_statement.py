"""A statement as somebody in finance reads it: what the printed forms show, in words, whatever they are printed with.

Usage stands by provider and model. What the total does not contain stands behind it and says so.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from metering.domain.charges.quoted_prices import format_price, format_quantity
from metering.domain.instants import days_in, first_date, format_instant, format_month
from metering.domain.statements.statements import Flag, OutsideUsage, Statement, StatementLine, StatementLineKind, described
from pricing.dollars import display_cents, display_nano, display_pico, with_dollar_sign

UNKNOWN_AMOUNT = "not known"
FURTHER_FEE = "Further fee"
CLOSING_WORDS = "Amounts are US dollars, exact; each request is charged rounded up to nano-dollars, the total rounded to cents."

_OF_A_MODEL = (StatementLineKind.USAGE, StatementLineKind.ROUNDING, StatementLineKind.REPORTED)
_HEADINGS = {
    StatementLineKind.SUBSCRIPTION: "Subscription",
    StatementLineKind.ADJUSTMENT: "Adjustments",
    StatementLineKind.CREDIT: "Credits",
    StatementLineKind.CARRIED_FORWARD: "Carried forward",
    StatementLineKind.RESIDUAL: "Rounding",
}
_NOTES = {
    Flag.BEYOND_PLAN: "Usage went beyond what the plan allows. Hugging Face refuses such requests unless credits are bought.",
    Flag.UNPRICED_USAGE: "Some usage has no price yet. It is listed apart and is not in the total.",
    Flag.ROUTE_UNKNOWN: "Of some usage it is not known who bills it. It is listed apart and is not in the total.",
    Flag.FEE_UNKNOWN: "The fee of a plan is not known. The total is without it.",
    Flag.INCLUDED_CREDIT_UNKNOWN: "What credit the plan includes is not known. None was applied.",
    Flag.CREDIT_IS_UPPER_BOUND: "The plan's credit can also be spent on other Hugging Face compute, so less of it may be left.",
    Flag.CACHE_PRICE_ASSUMED: "Cached tokens for which no price is published were charged at the price of input.",
    Flag.QUANTITIES_ESTIMATED: "Some quantities are estimates.",
}


class BillRow(Struct, frozen=True):
    """A line: what, how much of it, at which price, under which rate, and what it comes to."""

    what: str
    amount: str
    quantity: str = ""
    price: str = ""
    rate: str = ""
    corrects: str = ""


class ModelRows(Struct, frozen=True):
    """What one model at one provider was used for."""

    provider: str
    model: str
    rows: tuple[BillRow, ...]
    amount: str


class OutsideRow(Struct, frozen=True):
    """Usage that the total does not contain."""

    provider: str
    model: str
    requests: str
    tokens: str
    amount: str


class Bill(Struct, frozen=True):
    """A statement in words. ``others`` are what is not usage, under their headings; amounts are dollars."""

    account: str
    month: str
    period: str
    status: str
    is_draft: bool
    closed: str
    digest: str
    plan: str
    usage: tuple[ModelRows, ...]
    usage_amount: str
    others: tuple[tuple[str, tuple[BillRow, ...]], ...]
    summary: tuple[tuple[str, str], ...]
    total: str
    owed: tuple[ModelRows, ...]
    owed_amount: str
    unpriced: tuple[OutsideRow, ...]
    route_unknown: tuple[OutsideRow, ...]
    requests: str
    notes: tuple[str, ...]
    rates: tuple[tuple[str, str], ...]


def bill_of(statement: Statement) -> Bill:
    """Return a statement in words."""
    first = first_date(statement.month)
    seats = f", {statement.plan.seats} seats" if statement.plan.seats > 1 else ""
    failed = f", {statement.failed_events:,} of them failed and cost nothing" if statement.failed_events else ""
    usage = [line for line in statement.lines if line.kind in _OF_A_MODEL]
    return Bill(
        account=statement.account,
        month=f"{first:%B} {first.year}",
        period=f"{first.isoformat()} to {first.replace(day=days_in(statement.month)).isoformat()}, UTC",
        status=statement.status,
        is_draft=not statement.digest,
        closed="" if statement.closed_at is None else f"{format_instant(statement.closed_at)[:16].replace('T', ' ')} UTC",
        digest=statement.digest,
        plan=f"{statement.plan.plan}{seats}",
        usage=_by_model(usage),
        usage_amount=_sum(usage),
        others=tuple(_others(statement)),
        summary=tuple(_summary(statement, usage)),
        total=with_dollar_sign(display_cents(statement.total_cents)),
        owed=_by_model(statement.owed_to_partners),
        owed_amount=display_nano(statement.owed_to_partners_nano),
        unpriced=tuple(map(_outside, statement.unpriced)),
        route_unknown=tuple(map(_outside, statement.route_unknown)),
        requests=f"{statement.events:,} requests{failed}.",
        notes=tuple(note for flag, note in _NOTES.items() if flag in statement.flags),
        rates=_rates([*statement.lines, *statement.owed_to_partners]),
    )


def _by_model(lines: Iterable[StatementLine]) -> tuple[ModelRows, ...]:
    grouped: dict[tuple[str, str], list[StatementLine]] = {}
    for line in lines:
        grouped.setdefault((line.provider, line.model), []).append(line)
    return tuple(
        ModelRows(provider, model, tuple(map(_usage_row, same)), _sum(same))
        for (provider, model), same in sorted(grouped.items())
    )


def _usage_row(line: StatementLine) -> BillRow:
    kind = line.quantity_kind
    what = f"{described(kind).capitalize()}{', at the price of input' if line.price_assumed else ''}"
    if line.kind is StatementLineKind.ROUNDING:
        what = "Each request rounded up to nano-dollars"
    elif line.kind is StatementLineKind.REPORTED:
        what = "Requests, cost as the provider reported it"
    if line.operation:
        what += f" ({line.operation})"
    return BillRow(
        what=what,
        amount=_amount(line),
        quantity="" if line.quantity is None else format_quantity(kind, line.quantity),
        price="" if line.price_pico is None else format_price(kind, line.price_pico, line.price_block),
        rate="" if line.rate is None else f"{line.rate.id}",
        corrects=_corrects(line),
    )


def _others(statement: Statement) -> Iterable[tuple[str, tuple[BillRow, ...]]]:
    for kind, heading in _HEADINGS.items():
        lines = [
            line
            for line in statement.lines
            if line.kind is kind and (line.amount_pico or kind is not StatementLineKind.RESIDUAL)
        ]
        if lines:
            yield heading, tuple(BillRow(line.description, _amount(line), corrects=_corrects(line)) for line in lines)


def _summary(statement: Statement, usage: Sequence[StatementLine]) -> Iterable[tuple[str, str]]:
    yield "Usage", _sum(usage)
    for kind, heading in _HEADINGS.items():
        lines = [line for line in statement.lines if line.kind is kind]
        is_part_unknown = any(line.amount_pico is None for line in lines)
        if any(line.amount_pico for line in lines):
            yield heading, _sum(lines)
            if is_part_unknown:
                yield FURTHER_FEE, UNKNOWN_AMOUNT
        elif is_part_unknown:
            yield heading, UNKNOWN_AMOUNT


def _rates(lines: Iterable[StatementLine]) -> tuple[tuple[str, str], ...]:
    """Return (rate, where its prices were read) of the rates that lines name."""
    named = {line.rate.id: line.rate.source for line in lines if line.rate is not None}
    return tuple((str(number), source) for number, source in sorted(named.items()))


def _outside(usage: OutsideUsage) -> OutsideRow:
    amount = UNKNOWN_AMOUNT if usage.amount_nano is None else display_nano(usage.amount_nano)
    return OutsideRow(usage.provider, usage.model, f"{usage.events:,}", f"{usage.tokens:,}", amount)


def _corrects(line: StatementLine) -> str:
    return "" if line.origin_month is None else f"correction of {format_month(line.origin_month)}"


def _sum(lines: Iterable[StatementLine]) -> str:
    return display_pico(sum(line.amount_pico or 0 for line in lines))


def _amount(line: StatementLine) -> str:
    return UNKNOWN_AMOUNT if line.amount_pico is None else display_pico(line.amount_pico)
