"""Answers about model names of one's own."""

from collections.abc import Sequence

from pydantic import Field

from metering.answers.fields import Answer, Page, amount, instant_field, nano_usd, optional_instant, usd
from metering.domain.instants import format_instant
from metering.domain.prices.model_aliases import AliasChange, ModelAlias

ALIAS_EXAMPLE = {
    "id": 3,
    "provider": "fireworks-ai",
    "name": "accounts/acme/models/our-llama",
    "model": "meta-llama/Llama-3.3-70B-Instruct",
    "valid_from": None,
    "valid_until": None,
    "created_at": "2026-11-03T10:15:00.000000Z",
    "removed_at": None,
}


class ModelAliasAnswer(Answer):
    """A model name of your own: what a provider's name means when prices are looked up."""

    id: int = Field(description="The alias.", examples=[3])
    provider: str = Field(description="The provider.", examples=["fireworks-ai"])
    name: str = Field(
        description="The name, as records state it; letter case does not matter.", examples=[ALIAS_EXAMPLE["name"]]
    )
    model: str = Field(description="The model that prices are looked up for.", examples=[ALIAS_EXAMPLE["model"]])
    valid_from: str | None = instant_field("For requests that started from then on; null: always", None)
    valid_until: str | None = instant_field("For requests that started before then; null: no end", None)
    created_at: str = instant_field("When it was added", "2026-11-03T10:15:00.000000Z")
    removed_at: str | None = instant_field("When it was removed; it counts no more since then", None)


class AddedAliasAnswer(ModelAliasAnswer):
    """An alias, and what adding it did."""

    added: bool = Field(description="Whether it is new; false: the same one was there.", examples=[True])
    has_price: bool = Field(description="Whether any price list has the model at the provider.", examples=[True])
    charged: int | None = Field(
        description="Number of previously unpriced events that were charged; null: charging was not requested.", examples=[3]
    )
    amount_nano_usd: int | None = nano_usd("Their total", 114)
    amount_usd: str | None = usd("Their total", "0.000000114")


class ModelAliasPage(Page):
    """Model names of your own, in the order they were added."""

    items: list[ModelAliasAnswer] = Field(description="The aliases.", examples=[[ALIAS_EXAMPLE]])


def model_alias_answer(alias: ModelAlias) -> ModelAliasAnswer:
    """Return an alias."""
    return ModelAliasAnswer.model_validate(_fields(alias))


def added_alias_answer(change: AliasChange) -> AddedAliasAnswer:
    """Return an alias that was added."""
    return AddedAliasAnswer.model_validate(
        {
            **_fields(change.alias),
            "added": change.is_new,
            "has_price": change.has_price,
            "charged": change.charged_events,
            **amount("amount", change.charged_nano),
        }
    )


def model_alias_page(aliases: Sequence[ModelAlias]) -> ModelAliasPage:
    """Return all aliases as one page."""
    return ModelAliasPage(items=[model_alias_answer(alias) for alias in aliases], next_cursor=None)


def _fields(alias: ModelAlias) -> dict[str, object]:
    own = alias.own_name
    return {
        "id": own.id,
        "provider": own.provider,
        "name": own.name,
        "model": own.model,
        "valid_from": optional_instant(own.valid_from or None),
        "valid_until": optional_instant(own.valid_until),
        "created_at": format_instant(alias.created_at),
        "removed_at": optional_instant(alias.removed_at),
    }
