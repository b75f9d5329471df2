"""``/v1/prices/diff``: what each price list says differently at two instants."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from metering.api.fields import (
    DEFAULT_PAGE,
    AccountParameter,
    Answer,
    CursorParameter,
    LimitParameter,
    instant_field,
    next_cursor_field,
)
from metering.api.openapi import problems
from metering.api.prices.price_answers import (
    LIMITED,
    KnownAtParameter,
    QuantityPrice,
    RouteName,
    known_at_field,
    price_of_quantity,
    shown_instant,
)
from metering.domain.instants import format_instant
from metering.domain.prices.listed_changes import ListedChange
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.domain.usage.model_names import provider_name
from metering.operations.prices.compare_prices import DiffQuery, compare_prices
from metering.web import query
from metering.web.cursors import read_cursor, write_cursor
from metering.web.principal import Reader, ServiceNow

router = APIRouter(prefix="/v1/prices", tags=["prices"])

_KEY_SHAPE = [str, str, str, str, str, int, int]
_EXAMPLE = {"price_usd": "0.000000880000", "per": 1, "unit": "token"}


class Change(Answer):
    """One price before and after."""

    source: str = Field(description="The list.", examples=["hf_router"])
    route: RouteName = Field(description=LIMITED, examples=["routed"])
    provider: str = Field(description="The provider.", examples=["together"])
    model: str = Field(description="The model.", examples=["meta-llama/Llama-3.3-70B-Instruct"])
    operation: str = Field(description="The operation; empty: any.", examples=[""])
    context_from: int = Field(description="From how many prompt tokens on the price holds.", examples=[0])
    quantity: str = Field(description="The kind of quantity.", examples=["input_tokens"])
    kind: Literal["added", "withdrawn", "raised", "lowered"] = Field(description="What happened.", examples=["raised"])
    before: QuantityPrice | None = Field(description="The earlier price; null: none was known.", examples=[_EXAMPLE])
    after: QuantityPrice | None = Field(description="The later price; null: none is known.", examples=[_EXAMPLE])


class ChangePage(Answer):
    """A page of what differs between two instants."""

    start: str = instant_field("The earlier instant", "2026-10-18T00:00:00.000000Z")
    end: str = instant_field("The later instant", "2026-10-20T00:00:00.000000Z")
    known_at: str | None = known_at_field()
    items: list[Change] = Field(description="By list, route, provider, model and quantity.", examples=[[]])
    next_cursor: str | None = next_cursor_field()


def _named(description: str, example: str) -> object:
    return Query(max_length=MAX_NAME_LENGTH, description=description, examples=[example])


@router.get(
    "/diff",
    operation_id="compare_prices",
    summary="Compare prices",
    responses=problems("not_found", "invalid_cursor", "invalid_time", "naive_time"),
)
def get_diff(
    *,
    principal: Reader,
    service: ServiceNow,
    start: Annotated[str, Query(max_length=40, description="The earlier instant, or date.", examples=["2026-10-18"])],
    end: Annotated[str, Query(max_length=40, description="The later instant, or date.", examples=["2026-10-20"])],
    source: Annotated[str | None, _named("Only of this list.", "hf_router")] = None,
    provider: Annotated[str | None, _named("Only this provider's.", "together")] = None,
    account: AccountParameter = None,
    known_at: KnownAtParameter = None,
    limit: LimitParameter = DEFAULT_PAGE,
    cursor: CursorParameter = None,
) -> ChangePage:
    """List which prices differ between two instants, list by list; prices of an account's own where the account is named or the
    key's. What changed and changed back in between does not differ. A price that holds from `end` counts as changed.
    """
    row = principal.account_or_all(service, account)
    asked = DiffQuery(
        query.instant("query.start", start),
        query.instant("query.end", end),
        source,
        None if provider is None else provider_name(provider),
        None if row is None else row.id,
        None if known_at is None else query.instant("query.known_at", known_at),
    )
    question = ["price diff", start, end, source, provider, asked.account_id, known_at]
    after: list[int | str] = [] if cursor is None else read_cursor(cursor, question, _KEY_SHAPE)
    keyed: list[tuple[list[int | str], ListedChange]] = [
        ([*each.sort_key], each) for each in compare_prices(service.engine, asked)
    ]
    page = [pair for pair in keyed if pair[0] > after]
    return ChangePage(
        start=format_instant(asked.start),
        end=format_instant(asked.end),
        known_at=shown_instant(asked.known_at),
        items=[_change(each) for _, each in page[:limit]],
        next_cursor=write_cursor(page[limit - 1][0], question) if len(page) > limit else None,
    )


def _change(listed: ListedChange) -> Change:
    change = listed.change
    return Change.model_validate(
        {
            "source": listed.source,
            "route": listed.route,
            "provider": change.provider,
            "model": change.model,
            "operation": change.operation,
            "context_from": change.context_from,
            "quantity": change.quantity,
            "kind": change.kind.value,
            "before": None if change.before is None else price_of_quantity(change.quantity, change.before),
            "after": None if change.after is None else price_of_quantity(change.quantity, change.after),
        }
    )
