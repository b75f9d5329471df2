"""Answers that explain what an event costs."""

from typing import Literal

from pydantic import Field

from metering.answers.fields import Answer, amount, instant_field, nano_usd, usd
from metering.answers.usage.events import LoggedEventAnswer, logged_event_answer
from metering.domain.charges.explanations import ChargeExplanation, ChargeHistoryEntry, EntryType
from metering.domain.instants import format_instant, format_month
from metering.domain.prices.table_versions import TableVersion
from metering.domain.statements.statements import unit_of
from pricing.breakdown import ChargePart
from pricing.dollars import format_pico
from pricing.rates import Rate

_EXACT = "in pico-USD (1e-12 dollars), exactly: a whole number, or a fraction such as `7/3`"
_PART = {
    "kind": "input_tokens",
    "quantity": 1200,
    "price_pico_usd": 1_040_000,
    "price_usd": "0.000001040000",
    "per": 1,
    "unit": "token",
    "assumed": False,
    "amount_pico_usd": "1248000000",
}
_ENTRY = {
    "entry": "charge",
    "amount_nano_usd": 1_364_000,
    "amount_usd": "0.001364000",
    "price_grade": "rated",
    "rate_id": 17,
    "table_id": 3,
    "table_source": "hf-router",
    "billing_month": "2026-11",
    "recorded_at": "2026-11-03T10:15:02.000000Z",
    "reason": "",
    "run_id": None,
}


class AppliedRateAnswer(Answer):
    """The rate of a charge, and its price table."""

    rate_id: int = Field(description="The rate.", examples=[17])
    operation: str = Field(description="The operation that the rate is limited to; empty: any.", examples=[""])
    context_from: int = Field(
        description="Number of prompt tokens from which the rate applies to the whole request.", examples=[0]
    )
    provenance: str = Field(
        description="Where exactly the price was read.", examples=["genai-prices 0.2, huggingface_together"]
    )
    table_id: int = Field(description="The price table, which never changes.", examples=[3])
    source: str = Field(description="The price list.", examples=["hf-router"])
    layer: Literal["account", "operator", "route", "bundled"] = Field(
        description="The layer, highest precedence first: `account`, `operator`, `route`, `bundled`.", examples=["bundled"]
    )
    route: str = Field(description="The route that the prices are limited to; empty: any.", examples=["routed"])
    account: str | None = Field(
        description="The account that the prices belong to; null except on the layer `account`.", examples=[None]
    )
    effective_from: str = instant_field("When the price table takes effect", "2026-10-19T00:00:00.000000Z")
    recorded_at: str = instant_field("When the price table was recorded")
    digest: str = Field(
        description="SHA-256 of the contents of the price table that prices depend on.",
        examples=["9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab"],
    )


class ChargePartAnswer(Answer):
    """The charge for one kind of quantity: quantity x price / per."""

    kind: str = Field(
        description="The kind of quantity; `requests` is the price of the request itself.", examples=["input_tokens"]
    )
    quantity: int = Field(description="The quantity.", examples=[1200])
    price_pico_usd: int = Field(description="The price of `per` units, in pico-USD (1e-12 dollars).", examples=[1_040_000])
    price_usd: str = usd("The price of `per` units", "0.000001040000")
    per: int = Field(description="Number of units that the price is for.", examples=[1])
    unit: str = Field(description="The unit.", examples=["token"])
    assumed: bool = Field(
        description="Whether the input price was used, because the price list has no cache price.", examples=[False]
    )
    amount_pico_usd: str = Field(description=f"The product, {_EXACT}.", examples=["1248000000"])


class ChargeHistoryEntryAnswer(Answer):
    """One ledger entry of an event."""

    entry: EntryType = Field(
        description="The first `charge`, a `reversal` of the entry before it, or the `replacement` after a reversal.",
        examples=["charge"],
    )
    amount_nano_usd: int | None = nano_usd("The signed amount; null if unpriced", 1_364_000)
    amount_usd: str | None = usd("The signed amount; null if unpriced", "0.001364000")
    price_grade: Literal["rated", "reported", "unpriced", "exempt", "gateway_cache"] = Field(
        description="How the amount is known: `rated` from a price table, `reported` by the provider, `unpriced`,"
        " `exempt` (a failed request costs nothing), or `gateway_cache` (a gateway answered from its own cache: nothing was"
        " bought).",
        examples=["rated"],
    )
    rate_id: int | None = Field(description="The rate; null: none.", examples=[17])
    table_id: int | None = Field(description="The price table of the rate; null: none.", examples=[3])
    table_source: str | None = Field(description="The price list of the rate; null: none.", examples=["hf-router"])
    billing_month: str = Field(description="The month it is billed in.", examples=["2026-11"])
    recorded_at: str = instant_field("When it was written")
    reason: str = Field(description="Why it was written; empty for the first charge.", examples=[""])
    run_id: int | None = Field(description="The re-rating run that wrote it; null: none.", examples=[None])


class ChargeExplanationAnswer(Answer):
    """An event with the derivation and the history of its charge."""

    event: LoggedEventAnswer = Field(
        description="The event, with its current charge.", examples=[{"id": "req_01", "charge_nano_usd": 1_364_000}]
    )
    price: AppliedRateAnswer | None = Field(description="The rate that was applied; null: none.", examples=[None])
    multiplications: list[ChargePartAnswer] = Field(
        description="Each kind of quantity times its price; empty without a rate.", examples=[[_PART]]
    )
    sum_pico_usd: str | None = Field(
        description=f"The sum of the products, {_EXACT}; null without a rate.", examples=["1363500000"]
    )
    rounding_pico_usd: str | None = Field(
        description=f"The difference from rounding the sum up to nano-USD, {_EXACT}; null without a rate.", examples=["500"]
    )
    missing: str = Field(description="Why an unpriced event cannot be charged; empty for all others.", examples=["", "no rate"])
    history: list[ChargeHistoryEntryAnswer] = Field(
        description="All ledger entries of the event, oldest first; they add up to its charge.", examples=[[_ENTRY]]
    )


def charge_explanation_answer(found: ChargeExplanation, account: str) -> ChargeExplanationAnswer:
    """Return an explanation; ``account`` is the name of the event's account."""
    breakdown = found.breakdown
    return ChargeExplanationAnswer(
        event=logged_event_answer(found.event, account),
        price=None if found.rate is None or found.version is None else _applied_rate(found.rate, found.version, account),
        multiplications=[] if breakdown is None else [_part(part) for part in breakdown.parts],
        sum_pico_usd=None if breakdown is None else str(breakdown.sum_pico),
        rounding_pico_usd=None if breakdown is None else str(breakdown.rounding_pico),
        missing=found.missing,
        history=[_entry(entry) for entry in found.history],
    )


def _applied_rate(rate: Rate, version: TableVersion, account: str) -> AppliedRateAnswer:
    return AppliedRateAnswer.model_validate(
        {
            "rate_id": rate.id,
            "operation": rate.operation,
            "context_from": rate.context_from,
            "provenance": rate.source,
            "table_id": version.id,
            "source": version.source,
            "layer": version.layer.name.lower(),
            "route": version.route,
            # A charge never uses another account's prices.
            "account": None if version.account_id is None else account,
            "effective_from": format_instant(version.effective_from),
            "recorded_at": format_instant(version.recorded_at),
            "digest": version.digest,
        }
    )


def _part(part: ChargePart) -> ChargePartAnswer:
    return ChargePartAnswer(
        kind=part.kind,
        quantity=part.quantity,
        price_pico_usd=part.price.pico,
        price_usd=format_pico(part.price.pico),
        per=part.price.block,
        unit=unit_of(part.kind),
        assumed=part.assumed,
        amount_pico_usd=str(part.amount_pico),
    )


def _entry(entry: ChargeHistoryEntry) -> ChargeHistoryEntryAnswer:
    return ChargeHistoryEntryAnswer.model_validate(
        {
            "entry": entry.type,
            **amount("amount", entry.amount_nano),
            "price_grade": entry.price_grade.name.lower(),
            "rate_id": entry.rate_id,
            "table_id": None if entry.version is None else entry.version.id,
            "table_source": None if entry.version is None else entry.version.source,
            "billing_month": format_month(entry.billing_month),
            "recorded_at": format_instant(entry.recorded_at),
            "reason": entry.reason,
            "run_id": entry.run_id,
        }
    )
