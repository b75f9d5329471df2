"""Answers about imported prices and discounts."""

from pydantic import Field

from metering.answers.fields import Answer, amount, instant_field, nano_usd, usd
from metering.domain.instants import format_instant
from metering.domain.prices.account_discounts import RecordedDiscount
from metering.domain.prices.price_imports import PriceImport
from pricing.discounts import format_percent

_TABLES_ADDED = "Ids of the price tables that were added; empty: everything was recorded already."


class SkippedEntryAnswer(Answer):
    """An entry of a price list that was left out, or part of one."""

    entry: str = Field(description="The entry, by the name that the list gives it.", examples=["together_ai/acme/free"])
    reason: str = Field(description="A stable reason.", examples=["zero_price"])
    detail: str = Field(description="What was left out and why, in words.", examples=["all prices are 0"])
    whole: bool = Field(
        description="Whether the entry has no price at all now; otherwise only the detail is missing.", examples=[True]
    )


class PriceImportAnswer(Answer):
    """The result of an import."""

    file: str | None = Field(description="The imported file; null: a request body or an installed package.", examples=[None])
    account: str | None = Field(description="The account that the prices belong to; null: all accounts.", examples=["acme"])
    tables_added: list[int] = Field(description=_TABLES_ADDED, examples=[[14]])
    discounts_added: list[int] = Field(
        description="Ids of the price tables that were added so that discounts follow the new prices.", examples=[[]]
    )
    charged: int | None = Field(
        description="Number of previously unpriced events that were charged; null: charging was not requested.", examples=[3]
    )
    amount_nano_usd: int | None = nano_usd("Their total", 114)
    amount_usd: str | None = usd("Their total", "0.000000114")
    left_out: list[SkippedEntryAnswer] = Field(
        description="Entries of a published price list that cannot be used. Of a price sheet, nothing is ever left out.",
        examples=[[]],
    )


class KeptPriceAnswer(Answer):
    """A model that the account has its own price for, which takes precedence over the discount."""

    provider: str = Field(description="The provider.", examples=["together"])
    model: str = Field(description="The model.", examples=["acme/own-model"])
    operation: str = Field(description="The operation; empty: any.", examples=[""])


class DiscountAnswer(Answer):
    """A discount and the prices it covers."""

    account: str = Field(description="The account.", examples=["acme"])
    percent: str = Field(description="The discount in percent.", examples=["12.5"])
    effective_from: str = instant_field("When it takes effect", "2026-12-01T00:00:00.000000Z")
    provider: str | None = Field(description="The only provider it covers; null: all.", examples=["together"])
    model: str | None = Field(description="The only model it covers; null: all.", examples=[None])
    tables_added: list[int] = Field(description=_TABLES_ADDED, examples=[[15]])
    prices: int = Field(description="Number of rates it covers, at all instants and on all routes.", examples=[1])
    rounded: int = Field(
        description="Number of them that were not a whole number of pico-USD (1e-12) and were rounded half up.", examples=[0]
    )
    kept: list[KeptPriceAnswer] = Field(
        description="Models that the account has its own price for, which takes precedence.", examples=[[]]
    )


def price_import_answer(imported: PriceImport, *, file: str | None, account: str | None) -> PriceImportAnswer:
    """Return the result of an import."""
    return PriceImportAnswer(
        file=file,
        account=account,
        tables_added=imported.table_ids,
        discounts_added=imported.discount_ids,
        charged=imported.charged_events,
        **amount("amount", imported.charged_nano),
        left_out=[
            SkippedEntryAnswer(entry=each.entry, reason=each.reason.value, detail=each.detail, whole=each.whole)
            for each in imported.left_out
        ],
    )


def discount_answer(recorded: RecordedDiscount) -> DiscountAnswer:
    """Return a recorded discount."""
    discount, expanded = recorded.discount, recorded.expanded
    return DiscountAnswer(
        account=recorded.account,
        percent=format_percent(discount.share),
        effective_from=format_instant(discount.effective_from),
        provider=discount.provider,
        model=discount.model,
        tables_added=recorded.table_ids,
        prices=expanded.prices,
        rounded=expanded.rounded,
        kept=[
            KeptPriceAnswer(provider=provider, model=model, operation=operation) for provider, model, operation in expanded.kept
        ],
    )
