"""Answers about price tables."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from metering.answers.fields import Answer, Page, instant_field
from metering.answers.prices.rates import LAYER, LIMITED, OWN_ACCOUNT, LayerName, Names, RouteName, table_fields
from metering.domain.instants import format_instant
from pricing.tables import PriceTable

TableKindName = Literal["snapshot", "patch"]

TABLE_KIND = "`snapshot`: lists all prices of its source, so models that it leaves out are withdrawn. `patch`: lists changes."


class PriceTableAnswer(Answer):
    """One immutable version of one price list."""

    id: int = Field(description="The price table.", examples=[3])
    source: str = Field(description="The price list.", examples=["hf_router"])
    layer: LayerName = Field(description=LAYER, examples=["bundled"])
    route: RouteName = Field(description=LIMITED, examples=["routed"])
    account: str | None = Field(description=OWN_ACCOUNT, examples=[None])
    kind: TableKindName = Field(description=TABLE_KIND, examples=["snapshot"])
    effective_from: str = instant_field("When it takes effect", "2026-10-19T00:00:00.000000Z")
    recorded_at: str = instant_field("When it was recorded")
    rates: int = Field(description="Number of rates in it.", examples=[118])
    withdrawn: int = Field(description="Number of models that it withdraws by name.", examples=[0])
    digest: str = Field(
        description="SHA-256 of everything that affects a price.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )


class PriceTablePage(Page):
    """A page of price tables, oldest first."""

    items: list[PriceTableAnswer] = Field(description="The price tables.", examples=[[]])


def price_table_answer(table: PriceTable, names: Names) -> PriceTableAnswer:
    """Return a price table without its rates."""
    return PriceTableAnswer.model_validate(
        {
            "id": table.id,
            "kind": table.kind.value,
            "recorded_at": format_instant(table.recorded_at),
            "rates": len(table.rates),
            "withdrawn": len(table.withdrawn),
            "digest": table.digest,
            **table_fields(table, names),
        }
    )


def price_table_page(tables: Sequence[PriceTable], names: Names) -> PriceTablePage:
    """Return all price tables as one page."""
    return PriceTablePage(items=[price_table_answer(table, names) for table in tables], next_cursor=None)
