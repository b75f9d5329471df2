"""What answers about prices have in common: a rate, a price table, and what a key may see of them."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import Field

from metering.api.fields import Answer, instant_field
from metering.domain.instants import format_instant
from metering.domain.prices.listed_rates import ListedRate
from metering.domain.statements.statements import unit_of
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.accounts.manage_accounts import show_account_by_id
from metering.operations.service.open_service import Service
from metering.web.principal import Principal
from pricing.dollars import format_pico
from pricing.rates import Price, Rate
from pricing.tables import PriceTable

LayerName = Literal["account", "operator", "route", "bundled"]
RouteName = Literal["", "routed", "provider_key", "serverless", "unknown"]

LAYER = "Whose prices these are, in order of precedence: `account`, `operator`, `route`, `bundled`."
LIMITED = "The route that the prices are limited to; empty: any."
OWN_ACCOUNT = "Whose own prices these are; null on every other layer."
EXAMPLE_PRICES = {"input_tokens": {"price_usd": "0.000000880000", "per": 1, "unit": "token"}}


class QuantityPrice(Answer):
    """The price of one kind of quantity."""

    price_usd: str = Field(description="Dollars for `per` units, exactly.", examples=["0.000000880000"])
    per: int = Field(description="For how many units.", examples=[1])
    unit: str = Field(description="The unit.", examples=["token"])


class PriceOfModel(Answer):
    """A rate: the prices of one model at one provider, from one context size upwards."""

    rate_id: int = Field(description="The rate, which charges remember.", examples=[17])
    provider: str = Field(description="The provider.", examples=["together"])
    model: str = Field(description="The model.", examples=["meta-llama/Llama-3.3-70B-Instruct"])
    operation: str = Field(description="The operation; empty: any.", examples=[""])
    context_from: int = Field(description="From how many prompt tokens on it holds for the whole request.", examples=[0])
    prices: dict[str, QuantityPrice] = Field(
        description="By kind of quantity. A kind that is not listed has no known price; 0 is free.", examples=[EXAMPLE_PRICES]
    )
    route: RouteName = Field(description=LIMITED, examples=["routed"])
    layer: LayerName = Field(description=LAYER, examples=["bundled"])
    account: str | None = Field(description=OWN_ACCOUNT, examples=[None])
    source: str = Field(description="The source of the table.", examples=["hf-router"])
    provenance: str = Field(
        description="Where exactly the price was read.", examples=["genai-prices 0.2, huggingface_together"]
    )
    table_id: int = Field(description="The table that holds it.", examples=[3])
    effective_from: str = instant_field("From when on the table holds", "2026-10-19T00:00:00.000000Z")


class Tier(Answer):
    """The prices from one context size upwards."""

    rate_id: int = Field(description="The rate, which charges remember.", examples=[17])
    context_from: int = Field(description="From how many prompt tokens on it holds for the whole request.", examples=[0])
    prices: dict[str, QuantityPrice] = Field(description="By kind of quantity.", examples=[EXAMPLE_PRICES])
    provenance: str = Field(
        description="Where exactly the price was read.", examples=["genai-prices 0.2, huggingface_together"]
    )


class Table(Answer):
    """One immutable version of one source's prices."""

    id: int = Field(description="The table.", examples=[3])
    source: str = Field(description="Its source.", examples=["hf-router"])
    layer: LayerName = Field(description=LAYER, examples=["bundled"])
    route: RouteName = Field(description=LIMITED, examples=["routed"])
    account: str | None = Field(description=OWN_ACCOUNT, examples=[None])
    kind: Literal["snapshot", "patch"] = Field(
        description="`snapshot`: what it does not list is withdrawn. `patch`: changes only.", examples=["snapshot"]
    )
    effective_from: str = instant_field("From when on it holds", "2026-10-19T00:00:00.000000Z")
    recorded_at: str = instant_field("When it was recorded here")
    rates: int = Field(description="How many rates it lists.", examples=[118])
    withdrawn: int = Field(description="How many models it withdraws by name.", examples=[0])
    digest: str = Field(
        description="SHA-256 over everything that decides a price.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )


_SIZE = "Names of providers and models are matched as the price tables spell them."
KnownAtParameter = Annotated[
    str | None,
    Query(
        max_length=40,
        description="Answer with what was recorded until this instant: RFC 3339, or a date (midnight UTC). Left out: with all"
        " that is recorded. When a price was valid and when it was known are two questions.",
        examples=["2026-11-03T00:00:00Z"],
    ),
]
Name = Annotated[str | None, Query(max_length=MAX_NAME_LENGTH, description=_SIZE, examples=["together"])]


def may_see(principal: Principal, table: PriceTable) -> bool:
    """Whether prices are everybody's, or the key's own account's: what one account pays is behind its wall."""
    return principal.account is None or table.account_id in (None, principal.account.id)


def account_names(service: Service, tables: Sequence[PriceTable]) -> dict[int, str]:
    """Return the names of the accounts that tables belong to."""
    ids = {table.account_id for table in tables if table.account_id is not None}
    rows = [show_account_by_id(service.engine, account_id) for account_id in sorted(ids)]
    return {row.id: row.name for row in rows if row is not None}


def shared_fields(table: PriceTable, names: dict[int, str]) -> dict[str, object]:
    """Return whose a table is and since when it holds."""
    return {
        "source": table.source,
        "layer": table.layer.name.lower(),
        "route": table.route,
        "account": None if table.account_id is None else names.get(table.account_id),
        "effective_from": format_instant(table.effective_from),
    }


def known_at_field() -> Any:
    """Describe the field that says until when what is answered was recorded."""
    return instant_field("Until when what is answered was recorded; null: until now", None)


def quantity_prices(rate: Rate) -> dict[str, dict[str, object]]:
    """Return the price of each kind of quantity."""
    return {kind: price_of_quantity(kind, price) for kind, price in rate.prices.items()}


def price_of_quantity(kind: str, price: Price) -> dict[str, object]:
    """Return the price of one kind of quantity."""
    return {"price_usd": format_pico(price.pico), "per": price.block, "unit": unit_of(kind)}


def tier_answers(tiers: Iterable[Rate]) -> list[dict[str, object]]:
    """Return tiers of one model, smallest prompt first."""
    return [
        {"rate_id": rate.id, "context_from": rate.context_from, "prices": quantity_prices(rate), "provenance": rate.source}
        for rate in tiers
    ]


def shown_instant(instant: int | None) -> str | None:
    """Write an instant; None stays None."""
    return None if instant is None else format_instant(instant)


def price_answer(price: ListedRate, names: dict[int, str]) -> PriceOfModel:
    """Return a rate with the table that holds it."""
    rate = price.rate
    return PriceOfModel.model_validate(
        {
            "rate_id": rate.id,
            "provider": rate.provider,
            "model": rate.model,
            "operation": rate.operation,
            "context_from": rate.context_from,
            "prices": quantity_prices(rate),
            "provenance": rate.source,
            "table_id": price.table.id,
            **shared_fields(price.table, names),
        }
    )


def table_answer(table: PriceTable, names: dict[int, str]) -> Table:
    """Return a table without its rates."""
    return Table.model_validate(
        {
            "id": table.id,
            "kind": table.kind.value,
            "recorded_at": format_instant(table.recorded_at),
            "rates": len(table.rates),
            "withdrawn": len(table.withdrawn),
            "digest": table.digest,
            **shared_fields(table, names),
        }
    )
