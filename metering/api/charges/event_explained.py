"""``GET /v1/events/{event_id}``: why a request costs what it costs."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field

from metering.answers.usage.events import LoggedEventAnswer, logged_event_answer
from metering.api.fields import AccountParameter, Answer, instant_field, nano_usd, usd
from metering.api.openapi import problems
from metering.domain.instants import format_instant, format_month
from metering.domain.statements.statements import unit_of
from metering.domain.usage.events import MAX_ID_LENGTH, MAX_NAME_LENGTH
from metering.operations.charges.explain_charge import (
    AmbiguousEventError,
    ChargeExplanation,
    ChargeHistoryEntry,
    entry_name,
    explain_charge,
)
from metering.storage.prices.price_versions import TableVersion
from metering.web.principal import Reader, ServiceNow
from metering.web.problems import ApiProblem
from pricing.breakdown import ChargePart
from pricing.dollars import format_nano, format_pico
from pricing.rates import Rate

router = APIRouter(prefix="/v1/events", tags=["events"])

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


class PriceApplied(Answer):
    """The rate of a charge, and the version of the price list that holds it."""

    rate_id: int = Field(description="The rate.", examples=[17])
    operation: str = Field(description="The operation that it is limited to; empty: any.", examples=[""])
    context_from: int = Field(description="From how many prompt tokens on it holds for the whole request.", examples=[0])
    provenance: str = Field(
        description="Where exactly the price was read.", examples=["genai-prices 0.2, huggingface_together"]
    )
    table_id: int = Field(description="The version: a price table, which never changes.", examples=[3])
    source: str = Field(description="The price list.", examples=["hf-router"])
    layer: Literal["account", "operator", "route", "bundled"] = Field(
        description="Whose prices these are, in order of precedence.", examples=["bundled"]
    )
    route: str = Field(description="The route that the prices are limited to; empty: any.", examples=["routed"])
    account: str | None = Field(description="Whose own prices these are; null: everybody's.", examples=[None])
    effective_from: str = instant_field("From when on the version holds", "2026-10-19T00:00:00.000000Z")
    recorded_at: str = instant_field("When it was recorded here")
    digest: str = Field(
        description="SHA-256 over everything that decides a price.",
        examples=["9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab"],
    )


class Multiplication(Answer):
    """What one kind of quantity costs: quantity x price / per."""

    kind: str = Field(
        description="The kind of quantity; `requests` is the price of the request itself.", examples=["input_tokens"]
    )
    quantity: int = Field(description="How much of it was used.", examples=[1200])
    price_pico_usd: int = Field(description="The price of `per` units, in pico-USD (1e-12 dollars).", examples=[1_040_000])
    price_usd: str = usd("The price of `per` units", "0.000001040000")
    per: int = Field(description="For how many units.", examples=[1])
    unit: str = Field(description="The unit.", examples=["token"])
    assumed: bool = Field(
        description="Whether it is the input price, because the source publishes no cache price.", examples=[False]
    )
    amount_pico_usd: str = Field(description=f"The product, {_EXACT}.", examples=["1248000000"])


class HistoryEntry(Answer):
    """One entry of an event in the ledger."""

    entry: Literal["charge", "reversal", "replacement"] = Field(
        description="The first `charge`; a `reversal` takes the entry before it back, a `replacement` stands in its place.",
        examples=["charge"],
    )
    amount_nano_usd: int | None = nano_usd("What it adds; null where that is not known", 1_364_000)
    amount_usd: str | None = usd("What it adds; null where that is not known", "0.001364000")
    price_grade: Literal["rated", "reported", "unpriced", "exempt"] = Field(
        description="How the amount is known.", examples=["rated"]
    )
    rate_id: int | None = Field(description="The rate; null for none.", examples=[17])
    table_id: int | None = Field(description="The version of the price list that holds the rate.", examples=[3])
    table_source: str | None = Field(description="The price list.", examples=["hf-router"])
    billing_month: str = Field(description="The month it is billed in.", examples=["2026-11"])
    recorded_at: str = instant_field("When it was written")
    reason: str = Field(description="Why it was written; empty for the first charge.", examples=[""])
    run_id: int | None = Field(description="The re-rating run that wrote it; null for none.", examples=[None])


class ExplainedEvent(Answer):
    """An event with why it costs what it costs."""

    event: LoggedEventAnswer = Field(
        description="The event, with what it costs by now.", examples=[{"id": "req_01", "charge_nano_usd": 1_364_000}]
    )
    price: PriceApplied | None = Field(description="The price that was applied; null where none was.", examples=[None])
    multiplications: list[Multiplication] = Field(
        description="Every kind that was used, times its price; empty where no price was applied.", examples=[[_PART]]
    )
    sum_pico_usd: str | None = Field(description=f"What they add up to, {_EXACT}.", examples=["1363500000"])
    rounding_pico_usd: str | None = Field(
        description=f"What rounding the sum up to nano-USD added, {_EXACT}.", examples=["500"]
    )
    missing: str = Field(description="What keeps it from being charged; empty where nothing does.", examples=[""])
    history: list[HistoryEntry] = Field(
        description="Every charge of the event, oldest first; their sum is what it costs.", examples=[[_ENTRY]]
    )


@router.get(
    "/{event_id:path}",
    operation_id="explain_event",
    summary="Explain what an event costs",
    responses=problems("not_found", "account_required", "ambiguous_event", "events_retired"),
)
def get_event(
    *,
    principal: Reader,
    service: ServiceNow,
    event_id: Annotated[str, Path(max_length=MAX_ID_LENGTH, description="The event's id.", examples=["req_01"])],
    account: AccountParameter = None,
    source: Annotated[
        str | None,
        Query(
            max_length=MAX_NAME_LENGTH,
            description="Who recorded it. May be left out where only one source has an event with the id.",
            examples=["gateway-1"],
        ),
    ] = None,
) -> ExplainedEvent:
    """Show why an event costs what it costs: the price and the version it stands in, every multiplication, what rounding added,
    and the whole history of the charge. Where several sources have an event with the id, the problem `ambiguous_event` names
    them in `sources`.
    """
    row = principal.find_account(service, account)
    try:
        found = explain_charge(service.engine, row.id, event_id, source)
    except AmbiguousEventError as error:
        raise ApiProblem(error.code, str(error), members={"sources": error.sources}) from None
    return _answer(found, row.name)


def _answer(found: ChargeExplanation, account: str) -> ExplainedEvent:
    breakdown = found.breakdown
    return ExplainedEvent(
        event=logged_event_answer(found.event, account),
        price=None if found.rate is None or found.version is None else _price(found.rate, found.version, account),
        multiplications=[] if breakdown is None else [_multiplication(part) for part in breakdown.parts],
        sum_pico_usd=None if breakdown is None else str(breakdown.sum_pico),
        rounding_pico_usd=None if breakdown is None else str(breakdown.rounding_pico),
        missing=found.missing,
        history=[_entry(entry) for entry in found.history],
    )


def _price(rate: Rate, version: TableVersion, account: str) -> PriceApplied:
    return PriceApplied.model_validate(
        {
            "rate_id": rate.id,
            "operation": rate.operation,
            "context_from": rate.context_from,
            "provenance": rate.source,
            "table_id": version.id,
            "source": version.source,
            "layer": version.layer.name.lower(),
            "route": version.route,
            # A charge is never made at another account's own prices.
            "account": None if version.account_id is None else account,
            "effective_from": format_instant(version.effective_from),
            "recorded_at": format_instant(version.recorded_at),
            "digest": version.digest,
        }
    )


def _multiplication(part: ChargePart) -> Multiplication:
    return Multiplication(
        kind=part.kind,
        quantity=part.quantity,
        price_pico_usd=part.price.pico,
        price_usd=format_pico(part.price.pico),
        per=part.price.block,
        unit=unit_of(part.kind),
        assumed=part.assumed,
        amount_pico_usd=str(part.amount_pico),
    )


def _entry(entry: ChargeHistoryEntry) -> HistoryEntry:
    return HistoryEntry.model_validate(
        {
            "entry": entry_name(entry),
            "amount_nano_usd": entry.amount_nano,
            "amount_usd": None if entry.amount_nano is None else format_nano(entry.amount_nano),
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
