"""Answers about the price history of a model."""

from collections.abc import Sequence

from pydantic import Field

from metering.answers.fields import Answer, Page, instant_field, optional_instant
from metering.answers.prices.price_tables import TABLE_KIND, TableKindName
from metering.answers.prices.rates import (
    LAYER,
    LIMITED,
    OWN_ACCOUNT,
    LayerName,
    Names,
    PriceTierAnswer,
    RouteName,
    known_at_field,
    table_fields,
    tier_answers,
)
from metering.domain.instants import format_instant
from pricing.history import PriceVersion


class PriceVersionAnswer(Answer):
    """A price list's prices of a model from one instant on."""

    provider: str = Field(description="The provider.", examples=["together"])
    model: str = Field(description="The price list's name for the model.", examples=["meta-llama/Llama-3.3-70B-Instruct"])
    operation: str = Field(description="The operation; empty: any.", examples=[""])
    table_id: int = Field(description="The first price table with these prices.", examples=[11])
    kind: TableKindName = Field(description=TABLE_KIND, examples=["patch"])
    recorded_at: str = instant_field("When the price table was recorded")
    source: str = Field(description="The price list.", examples=["hf_router"])
    layer: LayerName = Field(description=LAYER, examples=["bundled"])
    route: RouteName = Field(description=LIMITED, examples=["routed"])
    account: str | None = Field(description=OWN_ACCOUNT, examples=[None])
    effective_from: str = instant_field("When the prices took effect", "2026-10-19T00:00:00.000000Z")
    until: str | None = instant_field("When they ended, exclusive; null while they are the list's last", None)
    corrected: bool = Field(
        description="Whether a table recorded later for the same instant replaced them, so that they were never in force.",
        examples=[False],
    )
    confirmed: int = Field(description="Number of later tables of the list with the same prices.", examples=[0])
    tiers: list[PriceTierAnswer] = Field(
        description="The prices, smallest prompt first; empty where the list withdraws the model or lists it without a price.",
        examples=[[]],
    )


class PriceHistoryPage(Page):
    """A page of a model's price history."""

    model: str = Field(description="The model as requested.", examples=["meta-llama/Llama-3.3-70B-Instruct"])
    known_at: str | None = known_at_field()
    items: list[PriceVersionAnswer] = Field(
        description="The versions, by provider, price list, operation and time.", examples=[[]]
    )


def price_version_answer(version: PriceVersion, names: Names) -> PriceVersionAnswer:
    """Return one version of a model's prices."""
    provider, model, operation = version.key
    return PriceVersionAnswer.model_validate(
        {
            "provider": provider,
            "model": model,
            "operation": operation,
            "table_id": version.table.id,
            "kind": version.table.kind.value,
            "recorded_at": format_instant(version.table.recorded_at),
            **table_fields(version.table, names),
            "until": optional_instant(version.until),
            "corrected": version.corrected,
            "confirmed": version.confirmed,
            "tiers": tier_answers(version.tiers),
        }
    )


def price_history_page(
    model: str, versions: Sequence[PriceVersion], names: Names, *, known_at: int | None = None
) -> PriceHistoryPage:
    """Return all versions as one page."""
    items = [price_version_answer(version, names) for version in versions]
    return PriceHistoryPage(model=model, known_at=optional_instant(known_at), items=items, next_cursor=None)
