"""Events as they travel: what is sent, what became of each, and what is looked up again."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from metering.api.fields import Answer, instant_field, nano_usd, next_cursor_field, usd
from metering.domain.statements.statements import described
from metering.domain.usage.events import MAX_NAME_LENGTH, MAX_TAGS
from metering.domain.usage.outcomes import Outcome
from pricing.money import MAX_CHARGE_NANO
from pricing.quantities import ALL_KINDS, MAX_QUANTITY

RouteName = Literal["routed", "provider_key", "serverless"]

_MODEL = "meta-llama/Llama-3.3-70B-Instruct"
_USAGE = {"input_tokens": 1200, "cache_read_tokens": 300, "output_tokens": 250, "reasoning_tokens": 100}
NATIVE_EXAMPLE = {
    "id": "req_01",
    "source": "gateway-1",
    "time": "2026-11-03T10:15:00.123456Z",
    "account": "acme",
    "provider": "together",
    "model": _MODEL,
    "route": "routed",
    "status": 200,
    "usage": _USAGE,
}

_NOTES = {
    "input_tokens": "not read from a cache",
    "output_tokens": "reasoning inside",
    "reasoning_tokens": "a memo inside `output_tokens`, never priced",
    "cache_write_1h_tokens": "kept for an hour",
}


def _kind(kind: str) -> str:
    note = f", {_NOTES[kind]}" if kind in _NOTES else ""
    return f"{described(kind).capitalize()}{' in milliseconds' if kind.endswith('_ms') else ''}{note}."


# One field a kind of quantity, as the domain lists them.
_FIELDS: dict[str, Any] = {
    kind: (int, Field(0, ge=0, le=MAX_QUANTITY, description=_kind(kind), examples=[_USAGE.get(kind, 0)])) for kind in ALL_KINDS
}
Usage = create_model(
    "Usage",
    __config__=ConfigDict(extra="forbid"),
    __doc__="What a request used, in disjoint buckets: nothing is counted in two of them.",
    **_FIELDS,
)


def _named(description: str, example: str, *, required: bool = False) -> Any:
    return Field(... if required else None, max_length=MAX_NAME_LENGTH, description=description, examples=[example])


def _cost(description: str) -> Any:
    return Field(None, ge=0, le=MAX_CHARGE_NANO, description=description, examples=[860_000])


class NativeEvent(BaseModel):
    """One request that was made. Fields that nobody knows are not kept; the answer counts them by name."""

    id: str = _named("Names the request within its source: the same again is counted once.", "req_01", required=True)
    time: str = _named("When the request started: RFC 3339 with a zone.", "2026-11-03T10:15:00.123456Z", required=True)
    model: str = _named("The model; a suffix `:<provider>` says who served it.", _MODEL, required=True)
    source: str | None = _named("Who recorded it. Left out: the query's, else `api`.", "gateway-1")
    account: str | None = _named("Who is billed. A key that is bound to an account may leave it out.", "acme")
    provider: str | None = _named("Who served it, in Hugging Face's spelling.", "together")
    operation: str | None = _named("What was asked for. Left out: `chat`.", "chat")
    route: RouteName | None = Field(
        None, description="Who bills it. Left out: told from the provider, else the account's setting.", examples=["routed"]
    )
    status: int | None = Field(None, ge=100, le=599, description="The HTTP status of the answer.", examples=[200])
    usage: Usage | None = Field(  # type: ignore[valid-type]
        None, description="What it used; left out where nothing is known of it.", examples=[_USAGE]
    )
    response_id: str | None = _named("The provider's id of the answer, which ties copies together.", "ebafdc12cee84cf29c1b")
    inference_id: str | None = _named("The `Inference-Id` header of the answer.", "0-019ff423")
    project: str | None = _named("A project of yours.", "search")
    key: str | None = _named("A name for the caller's key; never the key itself.", "prod-1")
    tags: dict[str, str] | None = Field(
        None,
        max_length=MAX_TAGS,
        description="Your own tags. Spend can be grouped by those that the service declares.",
        examples=[{"team": "core", "user": "u-17"}],
    )
    latency_ms: int | None = Field(None, ge=0, le=MAX_QUANTITY, description="How long it took.", examples=[840])
    reported_cost_nano_usd: int | None = _cost("What the serving provider said it cost, in nano-USD.")
    gateway_cost_nano_usd: int | None = _cost("What a gateway computed, in nano-USD: a memo.")
    response_model: str | None = _named("The model's name as the provider answered it.", "llama-3.3-70b")
    estimate_reason: str | None = _named("Why the usage is an estimate, if it is one.", "stream_interrupted")


class ItemAnswer(Answer):
    """One record that was not simply accepted."""

    index: int | None = Field(description="Its place in the array, from 0; null for lines.", examples=[3])
    line: int | None = Field(description="Its line, from 1; null for arrays.", examples=[None])
    outcome: Outcome = Field(description="What became of it.", examples=["rejected"])
    code: str = Field(description="Why, stable.", examples=["naive_time"])
    reason: str = Field(description="Why, in words.", examples=["time: '2026-11-03T10:15:00' has no time zone"])
    id: str = Field(description="Its id; empty where it could not be read.", examples=["req_01"])
    field: str | None = Field(description="The field that was wrong; null for the whole record.", examples=["time"])


class IngestAnswer(Answer):
    """What became of the records: each is counted in exactly one of accepted, duplicate, copy, conflict and rejected."""

    received: int = Field(description="How many records were sent.", examples=[2])
    accepted: int = Field(description="Stored and counted.", examples=[1])
    duplicate: int = Field(description="Stored before with the same content.", examples=[0])
    copy_: int = Field(
        serialization_alias="copy", description="Another source's record of an event that is counted.", examples=[0]
    )
    conflict: int = Field(description="Stored before with other content; the first stands.", examples=[0])
    rejected: int = Field(description="Not events, and why is in `items`.", examples=[1])
    unpriced: int = Field(description="Accepted, but no price is known yet.", examples=[0])
    unassigned: int = Field(description="Accepted, but nobody declared the account.", examples=[0])
    route_unknown: int = Field(description="Accepted, but it is not known who bills them.", examples=[0])
    series_capped: int = Field(description="Accepted, but the account has too many series for their details.", examples=[0])
    items: list[ItemAnswer] = Field(
        description="Every record that was not accepted, in the order of the request.",
        examples=[
            [
                {
                    "index": 1,
                    "line": None,
                    "outcome": "rejected",
                    "code": "naive_time",
                    "reason": "time: '2026-11-03T10:15:00' has no time zone",
                    "id": "req_02",
                    "field": "time",
                }
            ]
        ],
    )
    unread_fields: dict[str, int] = Field(
        description="Fields that records carried and no event keeps, with how often.", examples=[{"prompt": 1}]
    )


class LoggedEventAnswer(Answer):
    """An event with what it costs by now."""

    id: str = Field(description="Its id within its source.", examples=["req_01"])
    source: str = Field(description="Who recorded it.", examples=["gateway-1"])
    account: str = Field(description="Who is billed.", examples=["acme"])
    time: str = instant_field("When the request started")
    time_derived: bool = Field(description="Whether that was computed from its end.", examples=[False])
    received_at: str = instant_field("When it was stored")
    provider: str = Field(description="Who served it.", examples=["together"])
    model: str = Field(description="The model.", examples=[_MODEL])
    response_model: str = Field(description="The model as the provider named it; empty: not stated.", examples=[""])
    operation: str = Field(description="What was asked for.", examples=["chat"])
    route: str = Field(description="Who bills it.", examples=["routed"])
    project: str = Field(description="The project; empty: not stated.", examples=["search"])
    key: str = Field(description="The caller's key; empty: not stated.", examples=["prod-1"])
    tags: dict[str, str] = Field(description="Its tags.", examples=[{"team": "core"}])
    status: int | None = Field(description="The HTTP status; null: not stated.", examples=[200])
    latency_ms: int | None = Field(description="How long it took; null: not stated.", examples=[840])
    quantities: dict[str, int] = Field(description="What it used, by kind; what is zero is left out.", examples=[_USAGE])
    quantity_grade: Literal["measured", "estimated", "unstated"] = Field(
        description="How the quantities are known.", examples=["measured"]
    )
    estimate_reason: str = Field(description="Why they are an estimate; empty: they are none.", examples=[""])
    charge_nano_usd: int | None = nano_usd("What it costs; null while it is unpriced", 1_364_000)
    charge_usd: str | None = usd("What it costs; null while it is unpriced", "0.001364000")
    price_grade: Literal["rated", "reported", "unpriced", "exempt"] = Field(
        description="How the amount is known: from a price table, from the provider, not at all, or zero because it failed.",
        examples=["rated"],
    )
    rate_id: int | None = Field(description="The rate that was applied.", examples=[17])
    price_source: str = Field(description="Where that price was read.", examples=["genai-prices 0.2, huggingface_together"])
    cache_price_assumed: bool = Field(
        description="Whether the source publishes no cache price and the input price was taken.", examples=[True]
    )
    billable: bool = Field(description="Whether Hugging Face bills it.", examples=[True])
    billing_month: str = Field(description="The month it is billed in.", examples=["2026-11"])
    response_id: str = Field(description="The provider's id of the answer; empty: not stated.", examples=["ebafdc12cee84cf2"])
    inference_id: str = Field(description="Its `Inference-Id`; empty: not stated.", examples=["0-019ff423"])
    reported_cost_nano_usd: int | None = nano_usd("What the provider said it cost; null: nothing", None)
    gateway_cost_nano_usd: int | None = nano_usd("What a gateway computed; null: nothing", None)


class EventPage(Answer):
    """A page of an account's events, by time."""

    account: str = Field(description="The account.", examples=["acme"])
    start: str = instant_field("Where the period begins", "2026-11-01T00:00:00.000000Z")
    end: str = instant_field("Where the period ends, exclusively", "2026-12-01T00:00:00.000000Z")
    items: list[LoggedEventAnswer] = Field(description="The events.", examples=[[]])
    next_cursor: str | None = next_cursor_field()
