"""Answers about logged events."""

from typing import Literal

from pydantic import Field

from metering.answers.fields import Answer, Page, amount, instant_field, nano_usd, usd
from metering.domain.instants import format_instant, format_month
from metering.domain.usage.logged_events import LoggedEvent
from pricing.quantities import ALL_KINDS

MODEL_EXAMPLE = "meta-llama/Llama-3.3-70B-Instruct"
QUANTITIES_EXAMPLE = {"input_tokens": 1200, "cache_read_tokens": 300, "output_tokens": 250, "reasoning_tokens": 100}

# Fields with the same name and value in the domain.
_SAME = (
    "id", "source", "time_derived", "provider", "model", "response_model", "operation", "route", "project", "key", "tags",
    "status", "failure", "latency_ms", "estimate_reason", "rate_id", "price_source", "cache_price_assumed", "billable",
    "response_id", "inference_id",
)  # fmt: skip


class LoggedEventAnswer(Answer):
    """An event with its current charge."""

    id: str = Field(description="Its ID within its source.", examples=["req_01"])
    source: str = Field(description="The source of the record.", examples=["gateway-1"])
    account: str = Field(description="The account that is billed.", examples=["acme"])
    time: str = instant_field("When the request started")
    time_derived: bool = Field(description="Whether `time` was computed from the end of the request.", examples=[False])
    received_at: str = instant_field("When it was stored")
    provider: str = Field(description="The provider that served it.", examples=["together"])
    model: str = Field(description="The model.", examples=[MODEL_EXAMPLE])
    response_model: str = Field(description="The model as the provider named it; empty: not stated.", examples=[""])
    operation: str = Field(description="The operation.", examples=["chat"])
    route: str = Field(description="The billing route.", examples=["routed"])
    project: str = Field(description="The project; empty: not stated.", examples=["search"])
    key: str = Field(description="The caller's key; empty: not stated.", examples=["prod-1"])
    tags: dict[str, str] = Field(description="Its tags.", examples=[{"team": "core"}])
    status: int | None = Field(description="The HTTP status of the response; null: not stated.", examples=[200])
    failure: str = Field(
        description="A short code of an error that the record states other than by its status; empty: none.", examples=[""]
    )
    latency_ms: int | None = Field(description="The latency in milliseconds; null: not stated.", examples=[840])
    quantities: dict[str, int] = Field(description="Its quantities by kind, without zeros.", examples=[QUANTITIES_EXAMPLE])
    quantity_grade: Literal["measured", "estimated", "unstated"] = Field(
        description="How the quantities are known.", examples=["measured"]
    )
    estimate_reason: str = Field(description="Why they are an estimate; empty if they are not.", examples=[""])
    charge_nano_usd: int | None = nano_usd("The charge; null while it is unpriced", 1_364_000)
    charge_usd: str | None = usd("The charge; null while it is unpriced", "0.001364000")
    price_grade: Literal["rated", "reported", "unpriced", "exempt", "gateway_cache"] = Field(
        description="How the charge is known: `rated` from a price table, `reported` by the provider, `unpriced`,"
        " `exempt` (a failed request costs nothing), or `gateway_cache` (a gateway answered from its own cache: nothing was"
        " bought).",
        examples=["rated"],
    )
    rate_id: int | None = Field(description="The rate that was applied; null: none.", examples=[17])
    price_source: str = Field(
        description="Where its price was published; empty without a rate.", examples=["genai-prices 0.2, huggingface_together"]
    )
    cache_price_assumed: bool = Field(
        description="Whether cached tokens were charged at the input price, because no cache price is published.",
        examples=[True],
    )
    billable: bool = Field(description="Whether Hugging Face bills it.", examples=[True])
    billing_month: str = Field(description="The month it is billed in.", examples=["2026-11"])
    response_id: str = Field(description="The provider's response ID; empty: not stated.", examples=["ebafdc12cee84cf2"])
    inference_id: str = Field(description="Its `Inference-Id`; empty: not stated.", examples=["0-019ff423"])
    reported_cost_nano_usd: int | None = nano_usd("The cost that the provider reported; null: none", None)
    reported_cost_usd: str | None = usd("The cost that the provider reported; null: none", None)
    gateway_cost_nano_usd: int | None = nano_usd("The cost that a gateway computed; null: none", None)
    gateway_cost_usd: str | None = usd("The cost that a gateway computed; null: none", None)


class EventPage(Page):
    """A page of an account's events, by time."""

    account: str = Field(description="The account.", examples=["acme"])
    start: str = instant_field("Start of the period", "2026-11-01T00:00:00.000000Z")
    end: str = instant_field("End of the period, exclusive", "2026-12-01T00:00:00.000000Z")
    items: list[LoggedEventAnswer] = Field(description="The events.", examples=[[]])


def logged_event_answer(event: LoggedEvent, account: str) -> LoggedEventAnswer:
    """Return an event; ``account`` is the name of its account."""
    quantities = {kind: getattr(event.quantities, kind) for kind in ALL_KINDS}
    return LoggedEventAnswer.model_validate(
        {
            **{name: getattr(event, name) for name in _SAME},
            "account": account,
            "time": format_instant(event.position.event_time),
            "received_at": format_instant(event.received_at),
            "quantities": {kind: count for kind, count in quantities.items() if count},
            "quantity_grade": event.quantity_grade.name.lower(),
            **amount("charge", event.charge_nano),
            "price_grade": event.price_grade.name.lower(),
            "billing_month": format_month(event.billing_month),
            **amount("reported_cost", event.reported_cost_nano),
            **amount("gateway_cost", event.gateway_cost_nano),
        }
    )
