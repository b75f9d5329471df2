"""``/v1/prices``: which prices hold when, and which versions of them are recorded."""

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from metering.api.fields import DEFAULT_PAGE, Answer, CursorParameter, LimitParameter, instant_field, next_cursor_field
from metering.api.openapi import problems
from metering.domain.events import MAX_NAME_LENGTH
from metering.domain.instants import format_instant
from metering.domain.statements import unit_of
from metering.operations.manage_accounts import show_account_by_id
from metering.operations.open_service import Service
from metering.operations.show_prices import PriceQuery, PriceShown, list_tables, prices_at
from metering.web import query
from metering.web.cursors import read_cursor, write_cursor
from metering.web.principal import Principal, Reader, ServiceNow
from pricing.money import format_pico
from pricing.tables import PriceTable

router = APIRouter(prefix="/v1/prices", tags=["prices"])

LayerName = Literal["account", "operator", "route", "bundled"]
RouteName = Literal["", "routed", "provider_key", "serverless"]

_LAYER = "Whose prices these are, in order of precedence: `account`, `operator`, `route`, `bundled`."
_LIMITED = "The route that the prices are limited to; empty: any."
_ACCOUNT = "Whose own prices these are; null on every other layer."
_SIZE = "Names of providers and models are matched as the price tables spell them."
_EXAMPLE_PRICES = {"input_tokens": {"price_usd": "0.000000880000", "per": 1, "unit": "token"}}
_KEY_SHAPE = [int, str, str, str, int, str, str, int, int]


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
        description="By kind of quantity. A kind that is not listed has no known price; 0 is free.", examples=[_EXAMPLE_PRICES]
    )
    route: RouteName = Field(description=_LIMITED, examples=["routed"])
    layer: LayerName = Field(description=_LAYER, examples=["bundled"])
    account: str | None = Field(description=_ACCOUNT, examples=[None])
    source: str = Field(description="The source of the table.", examples=["hf-router"])
    provenance: str = Field(
        description="Where exactly the price was read.", examples=["genai-prices 0.2, huggingface_together"]
    )
    table_id: int = Field(description="The table that holds it.", examples=[3])
    effective_from: str = instant_field("From when on the table holds", "2026-10-19T00:00:00.000000Z")


class PricePage(Answer):
    """A page of prices that hold at one instant."""

    at: str = instant_field("The instant", "2026-11-03T00:00:00.000000Z")
    items: list[PriceOfModel] = Field(description="By provider, model, route and layer.", examples=[[]])
    next_cursor: str | None = next_cursor_field()


class Table(Answer):
    """One immutable version of one source's prices."""

    id: int = Field(description="The table.", examples=[3])
    source: str = Field(description="Its source.", examples=["hf-router"])
    layer: LayerName = Field(description=_LAYER, examples=["bundled"])
    route: RouteName = Field(description=_LIMITED, examples=["routed"])
    account: str | None = Field(description=_ACCOUNT, examples=[None])
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


class TablePage(Answer):
    """A page of price tables, oldest first."""

    items: list[Table] = Field(description="The tables.", examples=[[]])
    next_cursor: str | None = next_cursor_field()


Name = Annotated[str | None, Query(max_length=MAX_NAME_LENGTH, description=_SIZE, examples=["together"])]


@router.get(
    "", operation_id="list_prices", summary="List prices", responses=problems("invalid_cursor", "invalid_time", "naive_time")
)
def get_prices(
    *,
    principal: Reader,
    service: ServiceNow,
    at: Annotated[
        str | None,
        Query(
            max_length=40,
            description="The instant: RFC 3339, or a date (midnight UTC). Left out: now, the same now on every page.",
            examples=["2026-11-03T00:00:00Z"],
        ),
    ] = None,
    provider: Name = None,
    model: Annotated[
        str | None,
        Query(max_length=MAX_NAME_LENGTH, description="What the model's name contains, in any case.", examples=["llama-3.3"]),
    ] = None,
    source: Annotated[
        str | None, Query(max_length=MAX_NAME_LENGTH, description="The source of the tables.", examples=["hf-router"])
    ] = None,
    limit: LimitParameter = DEFAULT_PAGE,
    cursor: CursorParameter = None,
) -> PricePage:
    """List the rates in force at an instant, of every layer and source that the key may see. Where several price the same
    model, which one applies to a request is decided by the precedence of the layers.
    """
    question = ["prices", at, provider, model, source]
    instant = service.clock() if at is None else query.instant("query.at", at)
    after: list[int | str] | None = None
    if cursor is not None:
        after = read_cursor(cursor, question, _KEY_SHAPE)
        instant = int(after[0])
    shown = prices_at(service.engine, PriceQuery(provider, model, source), instant)
    seen = [(_key(instant, price), price) for price in shown if _may_see(principal, price.table)]
    keyed = sorted(seen, key=lambda pair: pair[0])
    page = [each for each in keyed if after is None or each[0] > after]
    names = _account_names(service, [price.table for _, price in page[:limit]])
    return PricePage(
        at=format_instant(instant),
        items=[_price(price, names) for _, price in page[:limit]],
        next_cursor=write_cursor(page[limit - 1][0], question) if len(page) > limit else None,
    )


@router.get("/tables", operation_id="list_price_tables", summary="List price tables", responses=problems("invalid_cursor"))
def get_tables(
    principal: Reader, service: ServiceNow, limit: LimitParameter = DEFAULT_PAGE, cursor: CursorParameter = None
) -> TablePage:
    """List every recorded version of every source's prices that the key may see, oldest first."""
    after = 0 if cursor is None else int(read_cursor(cursor, "tables", [int])[0])
    tables = [each for each in list_tables(service.engine) if each.id > after and _may_see(principal, each)]
    names = _account_names(service, tables[:limit])
    return TablePage(
        items=[_table(each, names) for each in tables[:limit]],
        next_cursor=write_cursor([tables[limit - 1].id], "tables") if len(tables) > limit else None,
    )


def _may_see(principal: Principal, table: PriceTable) -> bool:
    """Whether prices are everybody's, or the key's own account's: what one account pays is behind its wall."""
    return principal.account is None or table.account_id in (None, principal.account.id)


def _account_names(service: Service, tables: Sequence[PriceTable]) -> dict[int, str]:
    ids = {table.account_id for table in tables if table.account_id is not None}
    rows = [show_account_by_id(service.engine, account_id) for account_id in sorted(ids)]
    return {row.id: row.name for row in rows if row is not None}


def _key(instant: int, price: PriceShown) -> list[int | str]:
    rate, table = price.rate, price.table
    return [
        instant, rate.provider, rate.model, table.route, int(table.layer), table.source, rate.operation, rate.context_from,
        rate.id,
    ]  # fmt: skip


def _shared(table: PriceTable, names: dict[int, str]) -> dict[str, object]:
    return {
        "source": table.source,
        "layer": table.layer.name.lower(),
        "route": table.route,
        "account": None if table.account_id is None else names.get(table.account_id),
        "effective_from": format_instant(table.effective_from),
    }


def _price(price: PriceShown, names: dict[int, str]) -> PriceOfModel:
    rate = price.rate
    return PriceOfModel.model_validate(
        {
            "rate_id": rate.id,
            "provider": rate.provider,
            "model": rate.model,
            "operation": rate.operation,
            "context_from": rate.context_from,
            "prices": {
                kind: {"price_usd": format_pico(each.pico), "per": each.block, "unit": unit_of(kind)}
                for kind, each in rate.prices.items()
            },
            "provenance": rate.source,
            "table_id": price.table.id,
            **_shared(price.table, names),
        }
    )


def _table(table: PriceTable, names: dict[int, str]) -> Table:
    return Table.model_validate(
        {
            "id": table.id,
            "kind": table.kind.value,
            "recorded_at": format_instant(table.recorded_at),
            "rates": len(table.rates),
            "withdrawn": len(table.withdrawn),
            "digest": table.digest,
            **_shared(table, names),
        }
    )
