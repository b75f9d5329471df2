"""A statement as JSON: every line, the totals, and what the total does not contain."""

from typing import Literal

from pydantic import Field

from metering.answers.accounts.plans import PlanMonthAnswer
from metering.api.credits.credits import MonthOfCredits
from metering.api.fields import Answer, instant_field, nano_usd, next_cursor_field, usd
from metering.domain.statements.statements import Flag, Statement, StatementLineKind
from metering.exports.statement_json import statement_json, statement_summary

_ORIGIN = "The closed month that it corrects, or in which the requests were made; null for the statement's own."
_FLAGS = "What a reader must know, such as `unpriced_usage` or `beyond_plan`."


class Line(Answer):
    """A line. Its amount has twelve decimals: as an integer of that unit it would not survive every JSON reader."""

    kind: StatementLineKind = Field(description="What it is about.", examples=["usage"])
    origin_month: str | None = Field(
        description="The closed month that it corrects; null for what belongs to the statement's own.", examples=["2026-10"]
    )
    description: str = Field(description="It in words.", examples=["meta-llama/Llama-3-70b-chat-hf at together, input tokens"])
    route: str = Field(description="The route of its usage; empty where it is not about usage.", examples=["routed"])
    provider: str = Field(description="The provider; empty where it is not about usage.", examples=["together"])
    model: str = Field(description="The model; empty where it is not about usage.", examples=["meta-llama/Llama-3-70b-chat-hf"])
    operation: str = Field(description="The operation that the rate is limited to; empty: any.", examples=[""])
    quantity_kind: str = Field(description="What is counted; empty for nothing.", examples=["input_tokens"])
    quantity: int | None = Field(description="How many.", examples=[30_000_000])
    unit: str = Field(description="Of what.", examples=["token"])
    price_usd: str | None = usd("The price of `price_per` units", "0.000000900000")
    price_per: int | None = Field(description="For how many units the price is.", examples=[1])
    price_assumed: bool = Field(
        description="Whether the source publishes no cache price and the input price was taken.", examples=[False]
    )
    amount_usd: str | None = usd("What the line comes to; null where it is not known", "27.000000000000")
    rate_id: int | None = Field(description="The rate that was applied.", examples=[17])
    price_source: str = Field(description="Where the price was read.", examples=["genai-prices 0.2, huggingface_together"])


class Outside(Answer):
    """Usage that the total does not contain."""

    route: str = Field(description="The route.", examples=["unknown"])
    provider: str = Field(description="The provider.", examples=["together"])
    model: str = Field(description="The model.", examples=["some-lab/new-model"])
    events: int = Field(description="How many requests.", examples=[12])
    quantities: dict[str, int] = Field(description="What they used, by kind.", examples=[{"input_tokens": 3_400}])
    amount_nano_usd: int | None = nano_usd("What they cost; null where some of it is not priced", None)
    amount_usd: str | None = usd("What they cost; null where some of it is not priced", None)
    origin_month: str | None = Field(description=_ORIGIN, examples=[None])


class StatementSummary(Answer):
    """The totals of an account's month."""

    account: str = Field(description="The account.", examples=["acme"])
    month: str = Field(description="The billing month (UTC).", examples=["2026-11"])
    status: Literal["draft", "closed"] = Field(description="`draft` while the month is open.", examples=["draft"])
    closed_at: str | None = instant_field("When it was closed; null while it is open", None)
    digest: str = Field(
        description="SHA-256 of the closed statement's canonical form, in hex; empty while it is open.", examples=[""]
    )
    events: int = Field(description="How many requests.", examples=[30])
    usage_nano_usd: int = nano_usd("Billable usage, before credits, with what came late of closed months", 27_000_000_000)
    usage_usd: str = usd("Billable usage, before credits, with what came late of closed months", "27.000000000")
    adjustments_nano_usd: int = nano_usd("What was adjusted", 0)
    adjustments_usd: str = usd("What was adjusted", "0.000000000")
    credits_nano_usd: int = nano_usd("What credits paid, less what corrections gave back to them", 2_000_000_000)
    credits_usd: str = usd("What credits paid, less what corrections gave back to them", "2.000000000")
    usage_payable_nano_usd: int = nano_usd("Usage and adjustments after credits", 25_000_000_000)
    usage_payable_usd: str = usd("Usage and adjustments after credits", "25.000000000")
    subscription_usd: str = usd("The fees of the plan, as far as they are known", "9.00")
    owed_to_partners_nano_usd: int = nano_usd("Usage on a partner's own key, which the partner bills", 0)
    owed_to_partners_usd: str = usd("Usage on a partner's own key, which the partner bills", "0.000000000")
    carried_in_usd: str = usd("What the statement before carried forward, zero or less", "0.00")
    carried_forward_usd: str = usd("What would make the total negative, and begins the next statement", "0.00")
    total_nano_usd: int = nano_usd("What is owed, in whole cents", 34_000_000_000)
    total_usd: str = usd("What is owed, in whole cents", "34.00")
    flags: list[Flag] = Field(description=_FLAGS, examples=[["unpriced_usage"]])


class StatementPage(Answer):
    """A page of statements, by account and month."""

    items: list[StatementSummary] = Field(description="The statements, without their lines.", examples=[[]])
    next_cursor: str | None = next_cursor_field()


class StatementAnswer(StatementSummary):
    """An account's month. The amounts of `lines` but the last add up to it, exactly: it is the total."""

    schema_version: int = Field(description="Which fields there are; a later release may add some.", examples=[1])
    plan: PlanMonthAnswer = Field(description="What the plans make of the month.", examples=[{"plan": "pro"}])
    credits: MonthOfCredits = Field(description="What credits did.", examples=[{"applied_usd": "2.000000000"}])
    residual_usd: str = usd("What rounding the total to cents added", "0.000000000000")
    failed_events: int = Field(description="How many requests failed, and cost nothing.", examples=[1])
    lines: list[Line] = Field(description="Usage, fees, adjustments, credits, what is carried, residual, total.", examples=[[]])
    owed_to_partners: list[Line] = Field(description="Usage that the partners bill.", examples=[[]])
    unpriced: list[Outside] = Field(description="Usage without a price.", examples=[[]])
    route_unknown: list[Outside] = Field(description="Usage of which is not known who bills it.", examples=[[]])


def summary_answer(statement: Statement) -> StatementSummary:
    """Return a statement's totals as they are answered."""
    return StatementSummary.model_validate(statement_summary(statement))


def statement_answer(statement: Statement) -> StatementAnswer:
    """Return a statement as it is answered."""
    return StatementAnswer.model_validate(statement_json(statement))
