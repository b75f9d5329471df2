"""The native event, as a request sends it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from metering.answers.usage.events import MODEL_EXAMPLE, QUANTITIES_EXAMPLE
from metering.domain.statements.statements import described
from metering.domain.usage.events import MAX_NAME_LENGTH, MAX_TAGS
from pricing.money import MAX_CHARGE_NANO
from pricing.quantities import ALL_KINDS, MAX_QUANTITY

RouteName = Literal["routed", "provider_key", "serverless"]

NATIVE_EXAMPLE = {
    "id": "req_01",
    "source": "gateway-1",
    "time": "2026-11-03T10:15:00.123456Z",
    "account": "acme",
    "provider": "together",
    "model": MODEL_EXAMPLE,
    "route": "routed",
    "status": 200,
    "usage": QUANTITIES_EXAMPLE,
}

_NOTES = {
    "input_tokens": "not read from a cache",
    "output_tokens": "including reasoning",
    "reasoning_tokens": "for information, included in `output_tokens`, never priced",
    "cache_write_1h_tokens": "kept for an hour",
}


def _kind(kind: str) -> str:
    note = f", {_NOTES[kind]}" if kind in _NOTES else ""
    return f"{described(kind).capitalize()}{' in milliseconds' if kind.endswith('_ms') else ''}{note}."


# One field per kind of quantity, as the domain lists them.
_FIELDS: dict[str, Any] = {
    kind: (int, Field(0, ge=0, le=MAX_QUANTITY, description=_kind(kind), examples=[QUANTITIES_EXAMPLE.get(kind, 0)]))
    for kind in ALL_KINDS
}
Usage = create_model(
    "Usage",
    __config__=ConfigDict(extra="forbid"),
    __doc__="What a request used, in disjoint buckets: no token is in two of them.",
    **_FIELDS,
)


def _name(description: str, example: str, *, required: bool = False) -> Any:
    return Field(... if required else None, max_length=MAX_NAME_LENGTH, description=description, examples=[example])


def _cost(description: str) -> Any:
    return Field(None, ge=0, le=MAX_CHARGE_NANO, description=description, examples=[860_000])


class NativeEvent(BaseModel):
    """One request that was made. Unknown fields are not kept; the answer counts them by name."""

    id: str = _name("The request's ID within its source. A record with the same ID is counted once.", "req_01", required=True)
    time: str = _name("When the request started: RFC 3339 with a zone.", "2026-11-03T10:15:00.123456Z", required=True)
    model: str = _name("The model; a suffix `:<provider>` names the provider that served it.", MODEL_EXAMPLE, required=True)
    source: str | None = _name("The source of the record. Default: the query's `source`, else `api`.", "gateway-1")
    account: str | None = _name("The account that is billed. Optional with a key that is bound to an account.", "acme")
    provider: str | None = _name("The provider that served it, in Hugging Face's spelling.", "together")
    operation: str | None = _name("The operation. Default: `chat`.", "chat")
    route: RouteName | None = Field(
        None,
        description="The billing route. Default: `serverless` for hf-inference, else the account's default route.",
        examples=["routed"],
    )
    status: int | None = Field(None, ge=100, le=599, description="The HTTP status of the response.", examples=[200])
    usage: Usage | None = Field(  # type: ignore[valid-type]
        None, description="What it used. Omit it if unknown.", examples=[QUANTITIES_EXAMPLE]
    )
    response_id: str | None = _name("The provider's response ID, which identifies copies.", "ebafdc12cee84cf29c1b")
    inference_id: str | None = _name("The `Inference-Id` header of the response.", "0-019ff423")
    project: str | None = _name("A project of yours.", "search")
    key: str | None = _name("A name for the caller's key; never the key itself.", "prod-1")
    tags: dict[str, str] | None = Field(
        None,
        max_length=MAX_TAGS,
        description="Your own tags. Spend can be grouped by the tags that the service's settings declare.",
        examples=[{"team": "core", "user": "u-17"}],
    )
    latency_ms: int | None = Field(None, ge=0, le=MAX_QUANTITY, description="The latency in milliseconds.", examples=[840])
    reported_cost_nano_usd: int | None = _cost("The cost that the serving provider reported, in nano-USD.")
    gateway_cost_nano_usd: int | None = _cost("The cost that a gateway computed, in nano-USD; for information only.")
    response_model: str | None = _name("The model's name in the response.", "llama-3.3-70b")
    estimate_reason: str | None = _name("Why the usage is an estimate, if it is one.", "stream_interrupted")
    failure: str | None = Field(
        None,
        pattern=r"^([A-Za-z0-9_.:-]{1,64})?$",
        description="A short code of an error other than by its status, such as one within a stream; never its message.",
        examples=["server_error"],
    )
