"""The worked examples as statements: drafts from their usage; closed and corrected ones line by line."""

from datetime import date
from typing import Any

from metering.domain.accounts.plan_history import FeeLine, PlanMonth
from metering.domain.credits.credits import MonthCredits
from metering.domain.statements.month_detail import MonthDetail
from metering.domain.statements.statements import Statement, StatementLine, StatementLineKind
from pricing.money import PICO_PER_CENT, PICO_PER_USD
from support.builders import CLOSED, day_usage, month_detail, rate

DOLLAR = PICO_PER_USD
LLAMA_3 = rate(900_000, 900_000, id=1, table_id=7, source="a test")
PRO = PlanMonth(202611, "pro", 1, (FeeLine("pro", 1, date(2026, 11, 1), 30, 30, 900),), 2_000_000_000, True, True)
ROUND = rate(1_000_000, 2_000_000, id=1, table_id=7, source="a test")


def example_1(**overrides) -> MonthDetail:
    """30 days of a million tokens at $0.90: $27.00, PRO."""
    days = [day_usage(f"2026-11-{day:02}", 900_000_000, input_tokens=1_000_000) for day in range(1, 31)]
    return month_detail(*days, rates=[LLAMA_3], **overrides)


def example_2() -> MonthDetail:
    """The same on the free plan of September 2026."""
    days = [day_usage(f"2026-09-{day:02}", 900_000_000, input_tokens=1_000_000) for day in range(1, 31)]
    return month_detail(*days, rates=[LLAMA_3], month=202609, plan="")


def example_6() -> MonthDetail:
    """PRO from 2026-11-16, no usage: 15 of 30 days, $4.50."""
    fee = FeeLine("pro", 1, date(2026, 11, 16), 15, 30, 450)
    plan = PlanMonth(202611, "pro", 1, (fee,), 2_000_000_000, True, True)
    line = StatementLine(
        kind=StatementLineKind.SUBSCRIPTION,
        description="Subscription pro, 15 of 30 days from 2026-11-16",
        amount_pico=450 * PICO_PER_CENT,
        quantity_kind="days",
        quantity=15,
    )
    return by_hand(line, plan=plan, total_cents=450)


def example_7() -> MonthDetail:
    """A million tokens of October at $0.90, ingested after October was closed: a correction on November's statement."""
    day = day_usage("2026-10-31", 900_000_000, input_tokens=1_000_000)
    late = usage_line(1_000_000, 900_000, LLAMA_3, origin_month=202610)
    return by_hand(late, days=[day], rates=[LLAMA_3], total_cents=90, **CLOSED)


def example_9() -> MonthDetail:
    """Three requests of one token at $0.0375 per million, 38 nano-dollars each; no fee."""
    cheap = rate(37_500, id=1, table_id=7, source="a test")
    return month_detail(day_usage("2026-11-03", 114, events=3, input_tokens=3), rates=[cheap], plan="")


def example_10() -> MonthDetail:
    """-$26.00 of October's usage and $1.00 of its credits restored; a fee of $9.00, and $16.00 carried forward: 0.00."""
    day = day_usage("2026-10-20", -26_000_000_000, events=-26, input_tokens=-26_000_000)
    lines = (
        usage_line(-26_000_000, 1_000_000, ROUND, origin_month=202610),
        other(StatementLineKind.SUBSCRIPTION, "Subscription pro", 9 * DOLLAR),
        other(StatementLineKind.CREDIT, "Included credit of 2026-10, restored", 1 * DOLLAR, origin_month=202610),
        other(StatementLineKind.CARRIED_FORWARD, "Carried forward to the next month", 16 * DOLLAR),
    )
    return by_hand(*lines, days=[day], rates=[ROUND], total_cents=0, **CLOSED)


def usage_line(quantity: int, price_pico: int, of_rate, **overrides) -> StatementLine:
    """Return a line of ``llama`` input tokens."""
    return StatementLine(
        kind=StatementLineKind.USAGE,
        description="llama at together, input tokens",
        amount_pico=quantity * price_pico,
        route="routed",
        provider="together",
        model="llama",
        rate=of_rate,
        quantity_kind="input_tokens",
        quantity=quantity,
        price_pico=price_pico,
        **overrides,
    )


def other(kind: StatementLineKind, description: str, amount_pico: int | None, **overrides) -> StatementLine:
    """Return a line that is not usage."""
    return StatementLine(kind=kind, description=description, amount_pico=amount_pico, **overrides)


def by_hand(
    *lines: StatementLine, days=(), rates=(), total_cents: int, plan: PlanMonth | None = None, **overrides
) -> MonthDetail:
    """Return a November of ``acme`` with exactly these lines above its residual and total."""
    exact = sum(line.amount_pico or 0 for line in lines)
    total = total_cents * PICO_PER_CENT
    whole = (
        *lines,
        other(StatementLineKind.RESIDUAL, "Rounding of the total to cents", total - exact),
        other(StatementLineKind.TOTAL, "Total payable", total),
    )
    fields: dict[str, Any] = {
        "account": "acme",
        "month": 202611,
        "status": "draft",
        "plan": plan
        or PlanMonth(202611, "pro", 1, (FeeLine("pro", 1, date(2026, 11, 1), 30, 30, 900),), 2 * 10**9, True, True),
        "lines": whole,
        "usage_nano": sum(day.amount_nano for day in days),
        "credits": MonthCredits(202611, (), 0, 0, 0),
        "subscription_cents": sum(
            (line.amount_pico or 0) // PICO_PER_CENT for line in lines if line.kind is StatementLineKind.SUBSCRIPTION
        ),
        "total_cents": total_cents,
        "residual_pico": total - exact,
    }
    return MonthDetail(Statement(**fields | overrides), days, {each.id: each for each in rates})


EXAMPLES = {
    "1": (example_1, 3_400),
    "2": (example_2, 2_690),
    "6": (example_6, 450),
    "7": (example_7, 90),
    "9": (example_9, 0),
    "10": (example_10, 0),
}
"""Each worked example with its total in cents."""
