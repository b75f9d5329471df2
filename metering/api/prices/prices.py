"""``/v1/prices``: which prices hold when, and which versions of them are recorded."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from metering.api.fields import DEFAULT_PAGE, Answer, CursorParameter, LimitParameter, instant_field, next_cursor_field
from metering.api.openapi import problems
from metering.api.prices.price_answers import (
    KnownAtParameter,
    Name,
    PriceOfModel,
    Table,
    account_names,
    known_at_field,
    may_see,
    price_answer,
    shown_instant,
    table_answer,
)
from metering.domain.instants import format_instant
from metering.domain.prices.listed_rates import ListedRate
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.prices.show_prices import PriceQuery, list_tables, prices_at
from metering.web import query
from metering.web.cursors import read_cursor, write_cursor
from metering.web.principal import Reader, ServiceNow

router = APIRouter(prefix="/v1/prices", tags=["prices"])

_KEY_SHAPE = [int, str, str, str, int, str, str, int, int]


class PricePage(Answer):
    """A page of prices that hold at one instant."""

    at: str = instant_field("The instant", "2026-11-03T00:00:00.000000Z")
    known_at: str | None = known_at_field()
    items: list[PriceOfModel] = Field(description="By provider, model, route and layer.", examples=[[]])
    next_cursor: str | None = next_cursor_field()


class TablePage(Answer):
    """A page of price tables, oldest first."""

    items: list[Table] = Field(description="The tables.", examples=[[]])
    next_cursor: str | None = next_cursor_field()


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
    known_at: KnownAtParameter = None,
    limit: LimitParameter = DEFAULT_PAGE,
    cursor: CursorParameter = None,
) -> PricePage:
    """List the rates in force at an instant, of every layer and source that the key may see. Where several price the same
    model, which one applies to a request is decided by the precedence of the layers.
    """
    question = ["prices", at, provider, model, source, known_at]
    known = None if known_at is None else query.instant("query.known_at", known_at)
    instant = service.clock() if at is None else query.instant("query.at", at)
    after: list[int | str] | None = None
    if cursor is not None:
        after = read_cursor(cursor, question, _KEY_SHAPE)
        instant = int(after[0])
    shown = prices_at(service.engine, PriceQuery(provider, model, source, known), instant)
    seen = [(_key(instant, price), price) for price in shown if may_see(principal, price.table)]
    keyed = sorted(seen, key=lambda pair: pair[0])
    page = [each for each in keyed if after is None or each[0] > after]
    names = account_names(service, [price.table for _, price in page[:limit]])
    return PricePage(
        at=format_instant(instant),
        known_at=shown_instant(known),
        items=[price_answer(price, names) for _, price in page[:limit]],
        next_cursor=write_cursor(page[limit - 1][0], question) if len(page) > limit else None,
    )


@router.get("/tables", operation_id="list_price_tables", summary="List price tables", responses=problems("invalid_cursor"))
def get_tables(
    principal: Reader, service: ServiceNow, limit: LimitParameter = DEFAULT_PAGE, cursor: CursorParameter = None
) -> TablePage:
    """List every recorded version of every source's prices that the key may see, oldest first."""
    after = 0 if cursor is None else int(read_cursor(cursor, "tables", [int])[0])
    tables = [each for each in list_tables(service.engine) if each.id > after and may_see(principal, each)]
    names = account_names(service, tables[:limit])
    return TablePage(
        items=[table_answer(each, names) for each in tables[:limit]],
        next_cursor=write_cursor([tables[limit - 1].id], "tables") if len(tables) > limit else None,
    )


def _key(instant: int, price: ListedRate) -> list[int | str]:
    rate, table = price.rate, price.table
    return [
        instant, rate.provider, rate.model, table.route, int(table.layer), table.source, rate.operation, rate.context_from,
        rate.id,
    ]  # fmt: skip
