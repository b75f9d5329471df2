"""``/v1/prices/explain``: why a request has the price it has, or none."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from metering.api.fields import AccountParameter, Answer, instant_field
from metering.api.openapi import problems
from metering.api.prices.price_answers import (
    LAYER,
    KnownAtParameter,
    LayerName,
    RouteName,
    Tier,
    known_at_field,
    shown_instant,
    tier_answers,
)
from metering.domain.prices.price_explanations import PriceExplanation, StatedRequest
from metering.domain.usage.events import MAX_NAME_LENGTH, UNKNOWN
from metering.operations.prices.explain_price import explain_price
from metering.web import query
from metering.web.principal import Reader, ServiceNow
from pricing.precedence import ListQuote
from pricing.quantities import MAX_QUANTITY
from pricing.rates import assumed_cache_prices

router = APIRouter(prefix="/v1/prices", tags=["prices"])

StatedRoute = Literal["routed", "provider_key", "serverless", "unknown"]
RouteFrom = Literal["stated", "provider", "account", "assumed", "unknown"]
Match = Literal["exact", "alias", "case", "ambiguous", "none"]
StandingName = Literal["wins", "outranked", "older", "withdrawn", "withdrawn_above", "not_yet", "ambiguous", "not_listed"]
ReasonName = Literal[
    "priced", "ambiguous", "withdrawn", "not_yet", "below_lowest_tier", "other_route", "other_operation", "other_provider",
    "not_listed",
]  # fmt: skip


class SourceWord(Answer):
    """What one price list says of the request, and what that counts for."""

    layer: LayerName = Field(description=LAYER, examples=["bundled"])
    source: str = Field(description="The list.", examples=["hf_router"])
    known_as: str | None = Field(
        description="The name by which the list knows the model; null: it does not, or the name is ambiguous.",
        examples=["meta-llama/Llama-3.3-70B-Instruct"],
    )
    match: Match = Field(
        description="How that is known: `exact`, by a recorded `alias`, the same but for letter `case`; `ambiguous` names are"
        " never guessed.",
        examples=["alias"],
    )
    alias_source: str | None = Field(
        description="Where the alias was read.", examples=["huggingface.js, TOGETHER_SUPPORTED_MODEL_IDS"]
    )
    candidates: list[str] = Field(description="What an ambiguous name fits.", examples=[[]])
    standing: StandingName = Field(
        description="`wins`: this word counts. `outranked`: a layer before it has a price. `older`: another list of the layer"
        " has one that became valid later. `withdrawn`: no price since then. `withdrawn_above`: the same list withdrew the"
        " model in a layer before. `not_yet`: only later. `ambiguous`, `not_listed`.",
        examples=["wins"],
    )
    table_id: int | None = Field(description="The table that says so; null where it says nothing.", examples=[11])
    route: RouteName | None = Field(description="The route that the table is limited to; empty: any.", examples=["routed"])
    effective_from: str | None = instant_field("Since when it says so", "2026-10-19T00:00:00.000000Z")
    recorded_at: str | None = instant_field("When that was recorded here")
    next_from: str | None = instant_field("When the list says something again", None)
    tiers: list[Tier] = Field(description="The prices, smallest prompt first; empty where it has none.", examples=[[]])


class PriceExplanationAnswer(Answer):
    """Which rate applies to a request, and why; or why none does."""

    model: str = Field(
        description="The model as stated, without the suffix.", examples=["meta-llama/Llama-3.3-70B-Instruct-Turbo"]
    )
    suffix: str = Field(description="What was taken off the name: a policy or a provider.", examples=[":fastest"])
    provider: str = Field(description="Who served it, `unknown` where nothing says so.", examples=["together"])
    operation: str = Field(description="The operation.", examples=["chat"])
    route: str = Field(description="The route.", examples=["routed"])
    route_from: RouteFrom = Field(
        description="How the route is known: `stated`, by the `provider`, by the `account`'s setting; `unknown` where that is"
        " silent, `assumed` (routed) where no account is named.",
        examples=["assumed"],
    )
    account: str | None = Field(description="Whose request it is; null: of nobody with prices of their own.", examples=["acme"])
    context_tokens: int = Field(description="The size of the prompt.", examples=[0])
    at: str = instant_field("When the request started", "2026-11-03T00:00:00.000000Z")
    known_at: str | None = known_at_field()
    reason: ReasonName = Field(
        description="`priced`, or what kept a price away. `other_route`, `other_operation`, `other_provider`: `elsewhere` says"
        " where there is one.",
        examples=["priced"],
    )
    elsewhere: list[str] = Field(description="Routes, operations or providers that have a price.", examples=[[]])
    rate_id: int | None = Field(description="The rate that applies; null: none.", examples=[332])
    table_id: int | None = Field(description="The table that holds the rate.", examples=[11])
    tiers: list[Tier] = Field(description="All tiers of the price that counts, smallest prompt first.", examples=[[]])
    assumed_cache_prices: list[str] = Field(
        description="Kinds of quantity that have no published price and are charged at the input price, marked.",
        examples=[["cache_read_tokens"]],
    )
    sources: list[SourceWord] = Field(
        description="The lists in the order in which they are asked, without those that know nothing of the provider.",
        examples=[[]],
    )


@router.get(
    "/explain",
    operation_id="explain_price",
    summary="Explain a price",
    responses=problems("not_found", "invalid_time", "naive_time"),
)
def get_explanation(
    *,
    principal: Reader,
    service: ServiceNow,
    model: Annotated[
        str,
        Query(
            min_length=1,
            max_length=MAX_NAME_LENGTH,
            description="The model as a record states it.",
            examples=["meta-llama/Llama-3.3-70B-Instruct-Turbo:fastest"],
        ),
    ],
    provider: Annotated[
        str,
        Query(
            max_length=MAX_NAME_LENGTH,
            description="Who served it; a suffix of the model's name may say so too.",
            examples=["together"],
        ),
    ] = UNKNOWN,
    at: Annotated[
        str | None,
        Query(
            max_length=40,
            description="When the request started: RFC 3339, or a date (midnight UTC). Left out: now.",
            examples=["2026-11-03T00:00:00Z"],
        ),
    ] = None,
    known_at: KnownAtParameter = None,
    route: Annotated[
        StatedRoute | None,
        Query(description="How it was billed. Left out: what the account's setting says.", examples=["routed"]),
    ] = None,
    account: AccountParameter = None,
    operation: Annotated[str, Query(max_length=MAX_NAME_LENGTH, description="What was asked for.", examples=["chat"])] = "chat",
    context_tokens: Annotated[
        int, Query(ge=0, le=MAX_QUANTITY, description="The size of the prompt, cached tokens included.", examples=[0])
    ] = 0,
) -> PriceExplanationAnswer:
    """Say which rate applies to a request and why: the name as stated, the lists that are asked in their order, the name by
    which each knows the model, what each says at the instant, whose word counts, and the tier; or what keeps a price away.
    """
    row = principal.account_or_all(service, account)
    found = explain_price(
        service.engine,
        StatedRequest(
            model=model,
            provider=provider,
            at=service.clock() if at is None else query.instant("query.at", at),
            known_at=None if known_at is None else query.instant("query.known_at", known_at),
            route=route or "",
            account=None if row is None else row.name,
            operation=operation,
            context_tokens=context_tokens,
        ),
    )
    return _answer(found)


def _answer(found: PriceExplanation) -> PriceExplanationAnswer:
    explanation = found.explanation
    question, rate, winner = explanation.question, explanation.rate, explanation.winner
    return PriceExplanationAnswer.model_validate(
        {
            "model": question.model,
            "suffix": found.suffix,
            "provider": question.provider,
            "operation": question.operation,
            "route": question.route,
            "route_from": found.route_from,
            "account": None if found.account is None else found.account.name,
            "context_tokens": question.context_tokens,
            "at": shown_instant(question.instant),
            "known_at": shown_instant(found.request.known_at),
            "reason": explanation.reason.value,
            "elsewhere": list(explanation.elsewhere),
            "rate_id": None if rate is None else rate.id,
            "table_id": None if rate is None or winner is None or winner.step is None else winner.step.table.id,
            "tiers": tier_answers(explanation.tiers),
            "assumed_cache_prices": [] if rate is None else list(assumed_cache_prices(rate.prices)),
            "sources": [_word(word, question.instant) for word in explanation.words],
        }
    )


def _word(word: ListQuote, instant: int) -> dict[str, object]:
    source, name, step = word.asked.source, word.asked.name, word.step
    return {
        "layer": source.layer.name.lower(),
        "source": source.source,
        "known_as": name.model,
        "match": name.match.value,
        "alias_source": None if name.alias is None else name.alias.source,
        "candidates": list(name.candidates),
        "standing": word.standing.value,
        "table_id": None if step is None else step.table.id,
        "route": None if step is None else step.table.route,
        "effective_from": None if step is None else shown_instant(step.effective_from),
        "recorded_at": None if step is None else shown_instant(step.table.recorded_at),
        "next_from": shown_instant(word.asked.next_start(instant)),
        "tiers": [] if step is None else tier_answers(reversed(step.tiers)),
    }
