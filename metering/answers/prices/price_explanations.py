"""Answers about why a request has its price."""

from typing import Literal

from pydantic import Field

from metering.answers.fields import Answer, instant_field, optional_instant
from metering.answers.prices.rates import (
    LAYER,
    LIMITED,
    LayerName,
    PriceTierAnswer,
    RouteName,
    known_at_field,
    tier_answers,
)
from metering.domain.instants import format_instant
from metering.domain.prices.price_explanations import PriceExplanation
from pricing.precedence import ListQuote
from pricing.rates import assumed_cache_prices

RouteFrom = Literal["stated", "provider", "account", "assumed", "unknown"]
MatchName = Literal["exact", "alias", "case", "ambiguous", "none"]
QuoteOutcomeName = Literal["wins", "outranked", "older", "withdrawn", "withdrawn_above", "not_yet", "ambiguous", "not_listed"]
RateReasonName = Literal[
    "priced", "ambiguous", "withdrawn", "not_yet", "below_lowest_tier", "other_route", "other_operation", "other_provider",
    "not_listed",
]  # fmt: skip


class StatedNamesAnswer(Answer):
    """A model and a provider as they were sent."""

    model: str = Field(description="The model.", examples=["meta-llama/Llama-3.3-70B-Instruct-Turbo:fastest"])
    provider: str = Field(description="The provider.", examples=["together"])


class ListQuoteAnswer(Answer):
    """A price list's prices for the request, and whether they apply."""

    layer: LayerName = Field(description=LAYER, examples=["bundled"])
    source: str = Field(description="The price list.", examples=["hf_router"])
    known_as: str | None = Field(
        description="The price list's name for the model; null: it has none, or the name is ambiguous.",
        examples=["meta-llama/Llama-3.3-70B-Instruct"],
    )
    match: MatchName = Field(
        description="How the name was found: `exact`; by a recorded `alias`; the same but for letter `case`. Of an `ambiguous`"
        " name, no match is picked. `none`: the list does not have the model.",
        examples=["alias"],
    )
    alias_source: str | None = Field(
        description="Where the alias was read; null: no alias was used.",
        examples=["huggingface.js, TOGETHER_SUPPORTED_MODEL_IDS"],
    )
    candidates: list[str] = Field(description="The names that an ambiguous name matches.", examples=[[]])
    standing: QuoteOutcomeName = Field(
        description="`wins`: these prices apply. `outranked`: a list of higher precedence has a price. `older`: another list of"
        " the same rank has a price that took effect later. `withdrawn`: the list withdrew the model, or lists it without a"
        " price. `withdrawn_above`: the same list withdrew the model in a higher layer. `not_yet`: the price takes effect"
        " later. `ambiguous`: the name matches several models. `not_listed`: the list does not have the model.",
        examples=["wins"],
    )
    table_id: int | None = Field(description="The price table; null: none has the model yet.", examples=[11])
    route: RouteName | None = Field(description=LIMITED, examples=["routed"])
    effective_from: str | None = instant_field("When the price table took effect", "2026-10-19T00:00:00.000000Z")
    recorded_at: str | None = instant_field("When it was recorded")
    next_from: str | None = instant_field("When the list's next prices for the model take effect; null: none are known", None)
    tiers: list[PriceTierAnswer] = Field(description="The prices, smallest prompt first; empty: none.", examples=[[]])


class PriceExplanationAnswer(Answer):
    """Which rate applies to a request, or why none does."""

    asked: StatedNamesAnswer = Field(
        description="The model and provider as sent, with suffix and in the sender's spelling.",
        examples=[{"model": "meta-llama/Llama-3.3-70B-Instruct-Turbo:fastest", "provider": "together"}],
    )
    model: str = Field(description="The model, without the suffix.", examples=["meta-llama/Llama-3.3-70B-Instruct-Turbo"])
    suffix: str = Field(
        description="The suffix that was removed from the model's name: a policy or a provider.", examples=[":fastest"]
    )
    provider: str = Field(description="The provider; `unknown` if it is not stated.", examples=["together"])
    alias_of: str | None = Field(
        description="The model that the name means by an alias of your own (`/v1/prices/aliases`); null: there is none.",
        examples=[None],
    )
    operation: str = Field(description="The operation.", examples=["chat"])
    route: str = Field(description="The billing route.", examples=["routed"])
    route_from: RouteFrom = Field(
        description="How the route is known: `stated`, from the `provider`, from the `account`'s setting. `unknown`: the"
        " account has no setting. `assumed`: no account was named, so `routed` is assumed.",
        examples=["assumed"],
    )
    account: str | None = Field(description="The account; null: an account without its own prices.", examples=["acme"])
    context_tokens: int = Field(description="The size of the prompt in tokens.", examples=[0])
    at: str = instant_field("When the request started", "2026-11-03T00:00:00.000000Z")
    known_at: str | None = known_at_field()
    reason: RateReasonName = Field(
        description="`priced`, or why there is no price. For `other_route`, `other_operation` and `other_provider`, `elsewhere`"
        " lists which ones have a price.",
        examples=["priced"],
    )
    elsewhere: list[str] = Field(description="Routes, operations or providers that have a price.", examples=[[]])
    rate_id: int | None = Field(description="The rate that applies; null: none.", examples=[332])
    table_id: int | None = Field(description="The price table that lists the rate.", examples=[11])
    tiers: list[PriceTierAnswer] = Field(
        description="All tiers of the prices that apply, smallest prompt first.", examples=[[]]
    )
    assumed_cache_prices: list[str] = Field(
        description="Kinds of quantity without a published price, which are charged at the input price.",
        examples=[["cache_read_tokens"]],
    )
    sources: list[ListQuoteAnswer] = Field(
        description="The price lists in order of precedence, without those that have no model of the provider.",
        examples=[[]],
    )


def price_explanation_answer(found: PriceExplanation) -> PriceExplanationAnswer:
    """Return the explanation of a price."""
    explanation = found.explanation
    query, rate, winner = explanation.query, explanation.rate, explanation.winner
    return PriceExplanationAnswer.model_validate(
        {
            "asked": {"model": found.request.model, "provider": found.request.provider},
            "model": query.model,
            "suffix": found.suffix,
            "provider": query.provider,
            "alias_of": None if explanation.own_name is None else explanation.own_name.model,
            "operation": query.operation,
            "route": query.route,
            "route_from": found.route_from,
            "account": None if found.account is None else found.account.name,
            "context_tokens": query.context_tokens,
            "at": format_instant(query.instant),
            "known_at": optional_instant(found.request.known_at),
            "reason": explanation.reason.value,
            "elsewhere": list(explanation.elsewhere),
            "rate_id": None if rate is None else rate.id,
            "table_id": None if rate is None or winner is None or winner.entry is None else winner.entry.table.id,
            "tiers": tier_answers(explanation.tiers),
            "assumed_cache_prices": [] if rate is None else list(assumed_cache_prices(rate.prices)),
            "sources": [_list_quote(quote, query.instant) for quote in explanation.quotes],
        }
    )


def _list_quote(quote: ListQuote, instant: int) -> ListQuoteAnswer:
    lookup, entry = quote.lookup, quote.entry
    return ListQuoteAnswer.model_validate(
        {
            "layer": lookup.price_list.layer.name.lower(),
            "source": lookup.price_list.source,
            "known_as": lookup.name.model,
            "match": lookup.name.match.value,
            "alias_source": None if lookup.name.alias is None else lookup.name.alias.source,
            "candidates": list(lookup.name.candidates),
            "standing": quote.outcome.value,
            "table_id": None if entry is None else entry.table.id,
            "route": None if entry is None else entry.table.route,
            "effective_from": None if entry is None else optional_instant(entry.effective_from),
            "recorded_at": None if entry is None else optional_instant(entry.table.recorded_at),
            "next_from": optional_instant(lookup.next_start(instant)),
            "tiers": [] if entry is None else tier_answers(reversed(entry.tiers)),
        }
    )
