"""Answers about the prices that differ between two instants."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from metering.answers.fields import Answer, Page, instant_field, optional_instant
from metering.answers.prices.rates import (
    CONTEXT_FROM,
    EXAMPLE_PRICE,
    LIMITED,
    QuantityPriceAnswer,
    RouteName,
    known_at_field,
    quantity_price_answer,
)
from metering.domain.instants import format_instant
from metering.domain.prices.listed_changes import ListedChange

ChangeKindName = Literal["added", "withdrawn", "raised", "lowered"]


class PriceChangeAnswer(Answer):
    """A price at the earlier and at the later instant."""

    source: str = Field(description="The price list.", examples=["hf_router"])
    route: RouteName = Field(description=LIMITED, examples=["routed"])
    provider: str = Field(description="The provider.", examples=["together"])
    model: str = Field(description="The model.", examples=["meta-llama/Llama-3.3-70B-Instruct"])
    operation: str = Field(description="The operation; empty: any.", examples=[""])
    context_from: int = Field(description=CONTEXT_FROM, examples=[0])
    quantity: str = Field(description="The kind of quantity.", examples=["input_tokens"])
    kind: ChangeKindName = Field(description="The kind of change.", examples=["raised"])
    before: QuantityPriceAnswer | None = Field(description="The earlier price; null: none.", examples=[EXAMPLE_PRICE])
    after: QuantityPriceAnswer | None = Field(description="The later price; null: none.", examples=[EXAMPLE_PRICE])


class PriceChangePage(Page):
    """A page of the prices that differ between two instants."""

    start: str = instant_field("The earlier instant", "2026-10-18T00:00:00.000000Z")
    end: str = instant_field("The later instant", "2026-10-20T00:00:00.000000Z")
    known_at: str | None = known_at_field()
    items: list[PriceChangeAnswer] = Field(
        description="The changes, by price list, route, provider, model and kind of quantity.", examples=[[]]
    )


def price_change_answer(listed: ListedChange) -> PriceChangeAnswer:
    """Return one changed price."""
    change = listed.change
    return PriceChangeAnswer.model_validate(
        {
            "source": listed.source,
            "route": listed.route,
            "provider": change.provider,
            "model": change.model,
            "operation": change.operation,
            "context_from": change.context_from,
            "quantity": change.quantity,
            "kind": change.kind.value,
            "before": None if change.before is None else quantity_price_answer(change.quantity, change.before),
            "after": None if change.after is None else quantity_price_answer(change.quantity, change.after),
        }
    )


def price_change_page(changes: Sequence[ListedChange], *, start: int, end: int, known_at: int | None) -> PriceChangePage:
    """Return all changes as one page."""
    return PriceChangePage(
        start=format_instant(start),
        end=format_instant(end),
        known_at=optional_instant(known_at),
        items=[price_change_answer(each) for each in changes],
        next_cursor=None,
    )
