"""``/v1/prices``: the prices in force at an instant, and the recorded price tables."""

from typing import Annotated

from fastapi import APIRouter, Query

from metering.answers.prices.price_tables import PriceTablePage, price_table_answer
from metering.answers.prices.rates import ListedRatePage, listed_rate_answer
from metering.answers.prices.unpriced_usage import UnpricedUsagePage, unpriced_usage_page
from metering.api.fields import AccountParameter
from metering.api.openapi import problems
from metering.api.prices.price_parameters import KnownAtParameter, ProviderParameter, SourceParameter
from metering.domain.instants import format_instant
from metering.domain.prices.listed_rates import ListedRate
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.accounts.manage_accounts import account_names
from metering.operations.charges.list_unpriced import list_unpriced
from metering.operations.prices.show_prices import PriceQuery, list_tables, prices_at
from metering.web import query
from metering.web.pages import PageNow
from metering.web.principal import Reader, ServiceNow

router = APIRouter(prefix="/v1/prices", tags=["prices"])

_FIRST_PRICE = (-(2**63), "", "", "", -1, "", "", -1, -1)
_TABLES = "tables"


@router.get(
    "", operation_id="list_prices", summary="List prices", responses=problems("invalid_cursor", "invalid_time", "naive_time")
)
def get_prices(
    *,
    principal: Reader,
    service: ServiceNow,
    page: PageNow,
    at: Annotated[
        str | None,
        Query(
            max_length=40,
            description="The instant: RFC 3339, or a date (midnight UTC). Default: now; all pages of a list have the instant of"
            " the first.",
            examples=["2026-11-03T00:00:00Z"],
        ),
    ] = None,
    provider: ProviderParameter = None,
    model: Annotated[
        str | None,
        Query(
            max_length=MAX_NAME_LENGTH,
            description="Only models whose name contains this text, in any case.",
            examples=["llama-3.3"],
        ),
    ] = None,
    source: SourceParameter = None,
    known_at: KnownAtParameter = None,
) -> ListedRatePage:
    """List the rates in force at an instant, from every price list that the key can see. If several lists price the same model,
    the precedence of their layers decides which rate applies to a request.
    """
    question = ["prices", at, provider, model, source, known_at]
    known = None if known_at is None else query.instant("query.known_at", known_at)
    instant = service.clock() if at is None else query.instant("query.at", at)
    after = page.start(question, _FIRST_PRICE)
    if page.cursor is not None:
        instant = int(after[0])
    own = None if principal.account is None else principal.account.id
    found = prices_at(service.engine, PriceQuery(provider, model, source, known, own), instant)
    rows = [price for price in found if _key(instant, price) > after]
    names = account_names(service.engine, {price.table.account_id for price in rows[: page.limit]})
    return page.of(
        ListedRatePage,
        rows,
        answer=lambda price: listed_rate_answer(price, names),
        key=lambda price: _key(instant, price),
        question=question,
        at=format_instant(instant),
        known_at=None if known is None else format_instant(known),
    )


@router.get("/tables", operation_id="list_price_tables", summary="List price tables", responses=problems("invalid_cursor"))
def get_tables(principal: Reader, service: ServiceNow, page: PageNow) -> PriceTablePage:
    """List all recorded versions of the price lists that the key can see, oldest first."""
    after = int(page.start(_TABLES, [0])[0])
    own = None if principal.account is None else principal.account.id
    rows = [table for table in list_tables(service.engine, account_id=own) if table.id > after]
    names = account_names(service.engine, {table.account_id for table in rows[: page.limit]})
    return page.of(
        PriceTablePage,
        rows,
        answer=lambda table: price_table_answer(table, names),
        key=lambda table: [table.id],
        question=_TABLES,
    )


@router.get(
    "/unpriced",
    operation_id="list_unpriced_usage",
    summary="List usage without a price",
    responses=problems("not_found"),
)
def get_unpriced(principal: Reader, service: ServiceNow, account: AccountParameter = None) -> UnpricedUsagePage:
    """List usage that is not priced yet, by provider, model, route and reason, with the command that gives it its charge. If
    only the provider or the route is unknown, it has what the usage may have cost.
    """
    row = principal.account_or_all(service, account)
    found = list_unpriced(service.engine, None if row is None else row.id)
    return unpriced_usage_page(None if row is None else row.name, found)


def _key(instant: int, price: ListedRate) -> list[int | str]:
    return [instant, *price.sort_key]
