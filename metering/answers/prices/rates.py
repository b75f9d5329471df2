"""Answers about the prices in force, and the parts that all answers about prices share."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from metering.answers.fields import Answer, Page, instant_field, optional_instant
from metering.domain.instants import format_instant
from metering.domain.prices.listed_rates import ListedRate
from metering.domain.statements.statements import unit_of
from pricing.dollars import format_pico
from pricing.rates import Price, Rate
from pricing.tables import PriceTable

LayerName = Literal["account", "operator", "route", "bundled"]
RouteName = Literal["", "routed", "provider_key", "serverless", "unknown"]

LAYER = "The layer, highest precedence first: `account`, `operator`, `route`, `bundled`."
LIMITED = "The route that the prices are limited to; empty: any."
OWN_ACCOUNT = "The account that the prices belong to; null except on the layer `account`."
CONTEXT_FROM = "Number of prompt tokens from which the price applies to the whole request."
EXAMPLE_PRICE = {"price_usd": "0.000000880000", "per": 1, "unit": "token"}
EXAMPLE_PRICES = {"input_tokens": EXAMPLE_PRICE}

Names = Mapping[int, str]
"""Names of accounts by id."""


class QuantityPriceAnswer(Answer):
    """The price of one kind of quantity."""

    price_usd: str = Field(description="Dollars for `per` units, exactly.", examples=["0.000000880000"])
    per: int = Field(description="Number of units that the price is for.", examples=[1])
    unit: str = Field(description="The unit.", examples=["token"])


class PriceTierAnswer(Answer):
    """The prices from one prompt size upwards."""

    rate_id: int = Field(description="The rate, which charges refer to.", examples=[17])
    context_from: int = Field(description=CONTEXT_FROM, examples=[0])
    prices: dict[str, QuantityPriceAnswer] = Field(description="Prices by kind of quantity.", examples=[EXAMPLE_PRICES])
    provenance: str = Field(
        description="Where exactly the price was read.", examples=["genai-prices 0.2, huggingface_together"]
    )


class ListedRateAnswer(Answer):
    """A rate: the prices of one model at one provider, from one prompt size upwards."""

    rate_id: int = Field(description="The rate, which charges refer to.", examples=[17])
    provider: str = Field(description="The provider.", examples=["together"])
    model: str = Field(description="The model.", examples=["meta-llama/Llama-3.3-70B-Instruct"])
    operation: str = Field(description="The operation; empty: any.", examples=[""])
    context_from: int = Field(description=CONTEXT_FROM, examples=[0])
    prices: dict[str, QuantityPriceAnswer] = Field(
        description="Prices by kind of quantity. A kind that is missing has no known price; 0 is free.",
        examples=[EXAMPLE_PRICES],
    )
    route: RouteName = Field(description=LIMITED, examples=["routed"])
    layer: LayerName = Field(description=LAYER, examples=["bundled"])
    account: str | None = Field(description=OWN_ACCOUNT, examples=[None])
    source: str = Field(description="The price list.", examples=["hf_router"])
    provenance: str = Field(
        description="Where exactly the price was read.", examples=["genai-prices 0.2, huggingface_together"]
    )
    table_id: int = Field(description="The price table that lists the rate.", examples=[3])
    effective_from: str = instant_field("When the price table takes effect", "2026-10-19T00:00:00.000000Z")


def known_at_field() -> Any:
    """Describe the field for the instant up to which prices were recorded."""
    return instant_field("Prices recorded after this instant are left out; null: none are", None)


class ListedRatePage(Page):
    """A page of the prices in force at one instant."""

    at: str = instant_field("The instant", "2026-11-03T00:00:00.000000Z")
    known_at: str | None = known_at_field()
    items: list[ListedRateAnswer] = Field(description="The rates, by provider, model, route and layer.", examples=[[]])


def listed_rate_answer(price: ListedRate, names: Names) -> ListedRateAnswer:
    """Return a rate with its price table."""
    rate = price.rate
    return ListedRateAnswer.model_validate(
        {
            "rate_id": rate.id,
            "provider": rate.provider,
            "model": rate.model,
            "operation": rate.operation,
            "context_from": rate.context_from,
            "prices": quantity_prices(rate),
            "provenance": rate.source,
            "table_id": price.table.id,
            **table_fields(price.table, names),
        }
    )


def listed_rate_page(prices: Sequence[ListedRate], names: Names, *, at: int, known_at: int | None) -> ListedRatePage:
    """Return all prices as one page."""
    items = [listed_rate_answer(price, names) for price in prices]
    return ListedRatePage(at=format_instant(at), known_at=optional_instant(known_at), items=items, next_cursor=None)


def table_fields(table: PriceTable, names: Names) -> dict[str, object]:
    """Return the fields of a price table that its rates and versions have, too."""
    return {
        "source": table.source,
        "layer": table.layer.name.lower(),
        "route": table.route,
        "account": None if table.account_id is None else names.get(table.account_id),
        "effective_from": format_instant(table.effective_from),
    }


def tier_answers(tiers: Iterable[Rate]) -> list[PriceTierAnswer]:
    """Return the tiers of one model, smallest prompt first."""
    return [
        PriceTierAnswer(rate_id=rate.id, context_from=rate.context_from, prices=quantity_prices(rate), provenance=rate.source)
        for rate in tiers
    ]


def quantity_prices(rate: Rate) -> dict[str, QuantityPriceAnswer]:
    """Return a rate's price of each kind of quantity."""
    return {kind: quantity_price_answer(kind, price) for kind, price in rate.prices.items()}


def quantity_price_answer(kind: str, price: Price) -> QuantityPriceAnswer:
    """Return the price of one kind of quantity."""
    return QuantityPriceAnswer(price_usd=format_pico(price.pico), per=price.block, unit=unit_of(kind))
