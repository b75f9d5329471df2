"""``/v1/prices/diff``: the prices that differ between two instants."""

from typing import Annotated

from fastapi import APIRouter, Query

from metering.answers.prices.price_changes import PriceChangePage, price_change_answer
from metering.api.fields import AccountParameter
from metering.api.openapi import problems
from metering.api.prices.price_parameters import KnownAtParameter, ProviderParameter, SourceParameter
from metering.domain.instants import format_instant
from metering.domain.prices.listed_changes import ListedChange
from metering.operations.prices.compare_prices import DiffQuery, compare_prices
from metering.web import query
from metering.web.pages import PageNow
from metering.web.principal import Reader, ServiceNow

router = APIRouter(prefix="/v1/prices", tags=["prices"])

_FIRST_CHANGE = ("", "", "", "", "", -1, -1)


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
    page: PageNow,
    start: Annotated[str, Query(max_length=40, description="The earlier instant, or date.", examples=["2026-10-18"])],
    end: Annotated[str, Query(max_length=40, description="The later instant, or date.", examples=["2026-10-20"])],
    source: SourceParameter = None,
    provider: ProviderParameter = None,
    account: AccountParameter = None,
    known_at: KnownAtParameter = None,
) -> PriceChangePage:
    """List the prices that differ between two instants, price list by price list. An account's own prices are included if the
    account is named or the key is bound to it. A price that changed and changed back in between does not differ. A price that
    takes effect at `end` does.
    """
    row = principal.account_or_all(service, account)
    wanted = DiffQuery(
        query.instant("query.start", start),
        query.instant("query.end", end),
        source,
        provider,
        None if row is None else row.id,
        None if known_at is None else query.instant("query.known_at", known_at),
    )
    question = ["price diff", start, end, source, provider, wanted.account_id, known_at]
    after = page.start(question, _FIRST_CHANGE)
    rows = [change for change in compare_prices(service.engine, wanted) if _key(change) > after]
    return page.of(
        PriceChangePage,
        rows,
        answer=price_change_answer,
        key=_key,
        question=question,
        start=format_instant(wanted.start),
        end=format_instant(wanted.end),
        known_at=None if wanted.known_at is None else format_instant(wanted.known_at),
    )


def _key(change: ListedChange) -> list[int | str]:
    return [*change.sort_key]
