"""A statement in words, the same for everyone who reads it: the terminal, the HTML page and the PDF are drawn from it.

Usage is listed by provider and model. Usage that is excluded from the total follows the total, in sections that state so.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from metering.domain.charges.quoted_prices import format_price, format_quantity
from metering.domain.instants import days_in, first_date, format_instant, format_month
from metering.domain.statements.statements import ExcludedUsage, Flag, Statement, StatementLine, StatementLineKind, described
from pricing.dollars import display_cents, display_nano, display_pico, with_dollar_sign

UNKNOWN_AMOUNT = "unknown"
OTHER_FEES = "Other fees"
PRICE_SOURCES = "Price sources"
FOOTER = "Amounts are exact US dollars. Each request is rounded up to nano-dollars, the total to cents."

_EXCLUDED = "excluded from the total"
_MODEL_LINES = (StatementLineKind.USAGE, StatementLineKind.ROUNDING, StatementLineKind.REPORTED)
_HEADINGS = {
    StatementLineKind.SUBSCRIPTION: "Subscription",
    StatementLineKind.ADJUSTMENT: "Adjustments",
    StatementLineKind.CREDIT: "Credits",
    StatementLineKind.CARRIED_FORWARD: "Carried forward",
    StatementLineKind.RESIDUAL: "Rounding",
}


class Note(Struct, frozen=True):
    """What a flag means. ``hint`` is what to do about it, for readers who can run commands."""

    text: str
    hint: str = ""


_NOTES = {
    Flag.NOT_BEGUN: Note("The month has not begun: this is what is known of it now, such as the fee of the plan."),
    Flag.BEYOND_PLAN: Note(
        "Usage exceeds what the plan allows. Hugging Face refuses such requests (402) unless credits are bought."
    ),
    Flag.UNPRICED_USAGE: Note(
        "Some usage is not priced yet. It is listed separately and excluded from the total.",
        "See `metering prices unpriced`.",
    ),
    Flag.ROUTE_UNKNOWN: Note(
        "Some usage has an unknown billing route. It is listed separately and excluded from the total.",
        "`metering accounts set-route` sets it for future requests.",
    ),
    Flag.FEE_UNKNOWN: Note("The fee of a plan is unknown and excluded from the total."),
    Flag.INCLUDED_CREDIT_UNKNOWN: Note("The plan's included credits are unknown; none were applied."),
    Flag.CREDIT_IS_UPPER_BOUND: Note(
        "Included credits can also pay for other Hugging Face compute, so less may be left for this usage.",
        "Record such spending with `metering credits used-elsewhere`.",
    ),
    Flag.CACHE_PRICE_ASSUMED: Note("Cached tokens without a published price are charged at the input price."),
    Flag.QUANTITIES_ESTIMATED: Note("Some quantities are estimates."),
}


class PrintedLine(Struct, frozen=True):
    """A line: the item, its amount, and where they apply its quantity, price, rate and the month it corrects."""

    item: str
    amount: str
    quantity: str = ""
    price: str = ""
    rate: str = ""
    correction: str = ""


class ModelLines(Struct, frozen=True):
    """The lines of one model at one provider, and their sum."""

    provider: str
    model: str
    lines: tuple[PrintedLine, ...]
    amount: str


class PartnerSection(Struct, frozen=True):
    """Usage that providers bill on the account's own keys."""

    title: str
    subtitle: str
    models: tuple[ModelLines, ...]
    amount: str


class ExcludedRow(Struct, frozen=True):
    """One model's usage that is excluded from the total."""

    provider: str
    model: str
    route: str
    requests: str
    tokens: str
    amount: str


class ExcludedSection(Struct, frozen=True):
    """Usage that is excluded from the total for one reason."""

    title: str
    subtitle: str
    rows: tuple[ExcludedRow, ...]


class PrintedStatement(Struct, frozen=True, kw_only=True):
    """A statement in words. Amounts are dollars, those of ``summary`` and the total with a dollar sign.

    ``state`` is the status with the time of closing. ``others`` are the lines that are not usage, with their headings.
    ``owed`` is None without usage that providers bill. ``rates`` are the ids of rates with the source of their prices.
    """

    account: str
    month: str
    billing_month: str
    period: str
    status: str
    is_draft: bool
    state: str
    digest: str
    plan: str
    usage: tuple[ModelLines, ...]
    usage_amount: str
    others: tuple[tuple[str, PrintedLine], ...]
    summary: tuple[tuple[str, str], ...]
    total: str
    owed: PartnerSection | None
    excluded: tuple[ExcludedSection, ...]
    requests: str
    notes: tuple[Note, ...]
    rates: tuple[tuple[str, str], ...]


def printed_statement(statement: Statement) -> PrintedStatement:
    """Return a statement in words."""
    first = first_date(statement.month)
    seats = f", {statement.plan.seats} seats" if statement.plan.seats > 1 else ""
    usage = [line for line in statement.lines if line.kind in _MODEL_LINES]
    return PrintedStatement(
        account=statement.account,
        month=f"{first:%B} {first.year}",
        billing_month=format_month(statement.month),
        period=f"{first.isoformat()} to {first.replace(day=days_in(statement.month)).isoformat()}, UTC",
        status=statement.status,
        is_draft=not statement.digest,
        state=_state(statement),
        digest=statement.digest,
        plan=f"{statement.plan.plan}{seats}",
        usage=_by_model(usage),
        usage_amount=_sum(usage),
        others=tuple(_others(statement)),
        summary=tuple(_summary(statement, usage)),
        total=with_dollar_sign(display_cents(statement.total_cents)),
        owed=_owed(statement),
        excluded=tuple(_excluded(statement)),
        requests=_requests(statement),
        notes=tuple(note for flag, note in _NOTES.items() if flag in statement.flags),
        rates=_rates([*statement.lines, *statement.owed_to_partners]),
    )


def _state(statement: Statement) -> str:
    if statement.closed_at is None:
        return "Draft, subject to change"
    return f"Closed {format_instant(statement.closed_at)[:16].replace('T', ' ')} UTC"


def _by_model(lines: Iterable[StatementLine]) -> tuple[ModelLines, ...]:
    grouped: dict[tuple[str, str], list[StatementLine]] = {}
    for line in lines:
        grouped.setdefault((line.provider, line.model), []).append(line)
    return tuple(
        ModelLines(provider, model, tuple(map(_usage_line, same)), _sum(same))
        for (provider, model), same in sorted(grouped.items())
    )


def _usage_line(line: StatementLine) -> PrintedLine:
    kind = line.quantity_kind
    item = f"{described(kind).capitalize()}{', at the input price' if line.price_assumed else ''}"
    if line.kind is StatementLineKind.ROUNDING:
        item = "Rounding of each request up to nano-dollars"
    elif line.kind is StatementLineKind.REPORTED:
        item = "Requests, at the cost reported by the provider"
    if line.operation:
        item += f" ({line.operation})"
    return PrintedLine(
        item=item,
        amount=_amount(line),
        quantity="" if line.quantity is None else format_quantity(kind, line.quantity),
        price="" if line.price_pico is None else format_price(kind, line.price_pico, line.price_block),
        rate="" if line.rate is None else f"{line.rate.id}",
        correction=_correction(line),
    )


def _others(statement: Statement) -> Iterable[tuple[str, PrintedLine]]:
    for kind, heading in _HEADINGS.items():
        for line in statement.lines:
            if line.kind is kind and (line.amount_pico or kind is not StatementLineKind.RESIDUAL):
                yield heading, PrintedLine(line.description, _amount(line), correction=_correction(line))


def _summary(statement: Statement, usage: Sequence[StatementLine]) -> Iterable[tuple[str, str]]:
    yield "Usage", with_dollar_sign(_sum(usage))
    for kind, heading in _HEADINGS.items():
        lines = [line for line in statement.lines if line.kind is kind]
        has_unknown = any(line.amount_pico is None for line in lines)
        if any(line.amount_pico for line in lines):
            yield heading, with_dollar_sign(_sum(lines))
            if has_unknown:
                yield OTHER_FEES, UNKNOWN_AMOUNT
        elif has_unknown:
            yield heading, UNKNOWN_AMOUNT


def _owed(statement: Statement) -> PartnerSection | None:
    if not statement.owed_to_partners:
        return None
    return PartnerSection(
        title="Owed to partners",
        subtitle=f"on your own provider keys, {_EXCLUDED}",
        models=_by_model(statement.owed_to_partners),
        amount=display_nano(statement.owed_to_partners_nano),
    )


def _excluded(statement: Statement) -> Iterable[ExcludedSection]:
    for title, usage in (("Unpriced usage", statement.unpriced), ("Unknown billing route", statement.route_unknown)):
        if usage:
            yield ExcludedSection(title, _EXCLUDED, tuple(map(_excluded_row, usage)))


def _excluded_row(usage: ExcludedUsage) -> ExcludedRow:
    return ExcludedRow(
        provider=usage.provider,
        model=usage.model,
        route=usage.route,
        requests=f"{usage.events:,}",
        tokens=f"{usage.tokens:,}",
        amount=_excluded_amount(usage),
    )


def _excluded_amount(usage: ExcludedUsage) -> str:
    if usage.amount_nano is not None:
        return display_nano(usage.amount_nano)
    return UNKNOWN_AMOUNT if usage.possible is None else f"possibly {usage.possible}"


def _requests(statement: Statement) -> str:
    requests = f"{statement.events:,} request{'' if statement.events == 1 else 's'}"
    if not statement.failed_events:
        return f"{requests}."
    return f"{requests}; {statement.failed_events:,} failed and cost nothing."


def _rates(lines: Iterable[StatementLine]) -> tuple[tuple[str, str], ...]:
    sources = {line.rate.id: line.rate.source for line in lines if line.rate is not None}
    return tuple((str(rate_id), source) for rate_id, source in sorted(sources.items()))


def _correction(line: StatementLine) -> str:
    return "" if line.origin_month is None else f"correction of {format_month(line.origin_month)}"


def _sum(lines: Iterable[StatementLine]) -> str:
    return display_pico(sum(line.amount_pico or 0 for line in lines))


def _amount(line: StatementLine) -> str:
    return UNKNOWN_AMOUNT if line.amount_pico is None else display_pico(line.amount_pico)
