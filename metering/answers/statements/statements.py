"""Answers about statements: every line, the totals, and the usage excluded from the total.

A line's amount has twelve decimals, finer than nano-dollars, and is a string only: as an integer of that unit, an amount above
9,007 dollars would not survive JSON readers that use doubles.
"""

from typing import Any, Literal

from pydantic import Field

from metering.answers.accounts.plans import PlanMonthAnswer, plan_month_answer
from metering.answers.credits.credits import MonthCreditsAnswer, month_credits_answer
from metering.answers.fields import (
    Answer,
    Page,
    PossibleCostFields,
    amount,
    instant_field,
    nano_usd,
    optional_instant,
    possible_amounts,
    usd,
)
from metering.domain.instants import format_month
from metering.domain.statements.statements import (
    ExcludedUsage,
    Flag,
    Statement,
    StatementLine,
    StatementLineKind,
    unit_of,
)
from pricing.dollars import format_cents, format_pico
from pricing.money import NANO_PER_CENT, PICO_PER_CENT
from pricing.quantities import ALL_KINDS

SCHEMA_VERSION = 1

_USAGE = "Billable usage before credits, including late or corrected usage of closed months"
_CREDITS = "What credits paid, less what corrections restored to them"
_OWED = "Usage on the account's own provider keys, billed by the providers"
_EXCLUDED_AMOUNT = "What it cost; null where some of it is not priced"
_FLAGS = (
    "What a reader must know. `beyond_plan`: usage exceeds what the plan allows. `unpriced_usage`, `route_unknown`: some usage"
    " is excluded from the total. `fee_unknown`: a plan fee is excluded from the total. `included_credit_unknown`: none were"
    " applied. `credit_is_upper_bound`: included credits can also pay for other compute. `cache_price_assumed`: cached tokens"
    " are charged at the input price. `quantities_estimated`: some quantities are estimates. `not_begun`: the month is still to"
    " come."
)


class StatementLineAnswer(Answer):
    """A line of a statement."""

    kind: StatementLineKind = Field(description="The kind of line.", examples=["usage"])
    description: str = Field(
        description="The line in words.", examples=["meta-llama/Llama-3-70b-chat-hf at together, input tokens"]
    )
    route: str = Field(description="Billing route; empty if the line is not about usage.", examples=["routed"])
    provider: str = Field(description="Provider; empty if the line is not about usage.", examples=["together"])
    model: str = Field(description="Model; empty if the line is not about usage.", examples=["meta-llama/Llama-3-70b-chat-hf"])
    operation: str = Field(description="The operation the rate is limited to; empty: any.", examples=[""])
    quantity_kind: str = Field(description="What is counted; empty: nothing.", examples=["input_tokens"])
    quantity: int | None = Field(description="How many.", examples=[30_000_000])
    unit: str = Field(description="Unit of the quantity.", examples=["token"])
    price_usd: str | None = usd("The price of `price_per` units", "0.000000900000")
    price_per: int | None = Field(description="How many units the price is for.", examples=[1])
    price_assumed: bool = Field(
        description="Whether no cache price is published and the input price is used.", examples=[False]
    )
    amount_usd: str | None = usd("The line's amount, twelve decimals; null where unknown", "27.000000000000")
    rate_id: int | None = Field(description="The rate that was applied.", examples=[17])
    price_source: str = Field(description="Where the price was published.", examples=["genai-prices 0.2, huggingface_together"])
    origin_month: str | None = Field(
        description="The closed month that the line corrects; null for the statement's own month.", examples=["2026-10"]
    )


class ExcludedUsageAnswer(PossibleCostFields):
    """Usage that is excluded from the total."""

    route: str = Field(description="Billing route.", examples=["unknown"])
    provider: str = Field(description="Provider.", examples=["together"])
    model: str = Field(description="Model.", examples=["some-lab/new-model"])
    events: int = Field(description="Number of requests.", examples=[12])
    quantities: dict[str, int] = Field(description="What was used, by kind.", examples=[{"input_tokens": 3_400}])
    amount_nano_usd: int | None = nano_usd(_EXCLUDED_AMOUNT, None)
    amount_usd: str | None = usd(_EXCLUDED_AMOUNT, None)
    origin_month: str | None = Field(
        description="The closed month of the requests; null for the statement's own month.", examples=[None]
    )


class StatementSummaryAnswer(Answer):
    """The totals of an account's month."""

    account: str = Field(description="The account; a closed statement keeps the name it was closed with.", examples=["acme"])
    month: str = Field(description="The billing month (UTC).", examples=["2026-11"])
    status: Literal["draft", "closed"] = Field(description="`draft` while the month is open.", examples=["draft"])
    closed_at: str | None = instant_field("When it was closed; null for a draft", None)
    digest: str = Field(
        description="SHA-256 of the closed statement's canonical form, in hex; empty for a draft.", examples=[""]
    )
    events: int = Field(description="Number of requests.", examples=[30])
    usage_nano_usd: int = nano_usd(_USAGE, 27_000_000_000)
    usage_usd: str = usd(_USAGE, "27.000000000")
    adjustments_nano_usd: int = nano_usd("Adjustments", 0)
    adjustments_usd: str = usd("Adjustments", "0.000000000")
    credits_nano_usd: int = nano_usd(_CREDITS, 2_000_000_000)
    credits_usd: str = usd(_CREDITS, "2.000000000")
    usage_payable_nano_usd: int = nano_usd("Usage and adjustments after credits", 25_000_000_000)
    usage_payable_usd: str = usd("Usage and adjustments after credits", "25.000000000")
    subscription_usd: str = usd("The plan fees that are known", "9.00")
    owed_to_partners_nano_usd: int = nano_usd(_OWED, 0)
    owed_to_partners_usd: str = usd(_OWED, "0.000000000")
    carried_in_usd: str = usd("Carried forward from the previous statement, zero or negative", "0.00")
    carried_forward_usd: str = usd("Carried forward to the next statement, zero or negative", "0.00")
    total_nano_usd: int = nano_usd("The total payable, in whole cents", 34_000_000_000)
    total_usd: str = usd("The total payable, in whole cents", "34.00")
    flags: list[Flag] = Field(description=_FLAGS, examples=[["unpriced_usage"]])


class StatementPage(Page):
    """A page of statements, by account and month, without their lines."""

    items: list[StatementSummaryAnswer] = Field(description="The statements.", examples=[[]])


class _Versioned(Answer):
    schema_version: int = Field(
        description="Version of these fields; it rises when one changes its meaning or is removed.", examples=[1]
    )


# Fields of the last base come first: the version is the first field of the JSON file.
class StatementAnswer(StatementSummaryAnswer, _Versioned):
    """An account's month. All `lines` before the last, which is the total, add up to it exactly."""

    plan: PlanMonthAnswer = Field(description="The month's plan, fees and included credits.", examples=[{"plan": "pro"}])
    credits: MonthCreditsAnswer = Field(
        description="What credits paid of the month's own usage, and what is left.", examples=[{"applied_usd": "2.000000000"}]
    )
    residual_usd: str = usd("What rounding the total to cents added", "0.000000000000")
    failed_events: int = Field(description="Number of failed requests, which cost nothing.", examples=[1])
    lines: list[StatementLineAnswer] = Field(
        description="Usage, fees, adjustments, credits, amounts carried forward, rounding, total.", examples=[[]]
    )
    owed_to_partners: list[StatementLineAnswer] = Field(description="Usage that providers bill.", examples=[[]])
    unpriced: list[ExcludedUsageAnswer] = Field(description="Usage that is not priced yet.", examples=[[]])
    route_unknown: list[ExcludedUsageAnswer] = Field(description="Usage with an unknown billing route.", examples=[[]])


def statement_summary_answer(statement: Statement) -> StatementSummaryAnswer:
    """Return a statement's totals."""
    return StatementSummaryAnswer.model_validate(_summary_fields(statement))


def statement_answer(statement: Statement) -> StatementAnswer:
    """Return a whole statement."""
    return StatementAnswer.model_validate(statement_fields(statement))


def statement_fields(statement: Statement) -> dict[str, Any]:
    """Return the fields of StatementAnswer, for answers that extend it."""
    return {
        "schema_version": SCHEMA_VERSION,
        **_summary_fields(statement),
        "plan": plan_month_answer(statement.plan),
        "credits": month_credits_answer(statement.credits),
        "residual_usd": format_pico(statement.residual_pico),
        "failed_events": statement.failed_events,
        "lines": [_line(line) for line in statement.lines],
        "owed_to_partners": [_line(line) for line in statement.owed_to_partners],
        "unpriced": [_excluded(usage) for usage in statement.unpriced],
        "route_unknown": [_excluded(usage) for usage in statement.route_unknown],
    }


def _summary_fields(statement: Statement) -> dict[str, Any]:
    return {
        "account": statement.account,
        "month": format_month(statement.month),
        "status": statement.status,
        "closed_at": optional_instant(statement.closed_at),
        "digest": statement.digest,
        "events": statement.events,
        **amount("usage", statement.usage_nano),
        **amount("adjustments", statement.adjustments_nano),
        **amount("credits", statement.credits_nano),
        **amount("usage_payable", statement.usage_payable_nano),
        "subscription_usd": _cents(statement.subscription_cents),
        **amount("owed_to_partners", statement.owed_to_partners_nano),
        "carried_in_usd": _cents(statement.carried_in_cents),
        "carried_forward_usd": _cents(statement.carried_out_cents),
        "total_nano_usd": statement.total_cents * NANO_PER_CENT,
        "total_usd": _cents(statement.total_cents),
        "flags": sorted(statement.flags),
    }


def _line(line: StatementLine) -> StatementLineAnswer:
    return StatementLineAnswer(
        kind=line.kind,
        description=line.description,
        route=line.route,
        provider=line.provider,
        model=line.model,
        operation=line.operation,
        quantity_kind=line.quantity_kind,
        quantity=line.quantity,
        unit=unit_of(line.quantity_kind) if line.quantity_kind else "",
        price_usd=_optional_pico(line.price_pico),
        price_per=None if line.price_pico is None else line.price_block,
        price_assumed=line.price_assumed,
        amount_usd=_optional_pico(line.amount_pico),
        rate_id=None if line.rate is None else line.rate.id,
        price_source="" if line.rate is None else line.rate.source,
        origin_month=_optional_month(line.origin_month),
    )


def _excluded(usage: ExcludedUsage) -> ExcludedUsageAnswer:
    return ExcludedUsageAnswer(
        route=usage.route,
        provider=usage.provider,
        model=usage.model,
        events=usage.events,
        quantities={kind: count for kind, count in zip(ALL_KINDS, usage.quantities, strict=True) if count},
        **amount("amount", usage.amount_nano),
        **possible_amounts(usage.possible),
        origin_month=_optional_month(usage.origin_month),
    )


def _cents(cents: int) -> str:
    return format_cents(cents * PICO_PER_CENT)


def _optional_pico(amount_pico: int | None) -> str | None:
    return None if amount_pico is None else format_pico(amount_pico)


def _optional_month(month: int | None) -> str | None:
    return None if month is None else format_month(month)
