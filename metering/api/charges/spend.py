"""``/v1/spend``: charges by period and group, before credits."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request

from metering.answers.charges.spend import GRANULARITY, PERIOD_BASIS, SORT, TOP, SpendAnswer, spend_answer
from metering.api.fields import AccountParameter, EndParameter, StartParameter
from metering.api.openapi import problems
from metering.domain.charges.spend import DIMENSIONS, MAX_ROWS, TAG_PREFIX, Granularity, PeriodBasis, SpendQuery, SpendSort
from metering.operations.charges.query_spend import query_spend
from metering.web import query
from metering.web.principal import Reader, ServiceNow

router = APIRouter(prefix="/v1/spend", tags=["spend"])

Values = list[str] | None
Filters = dict[str, tuple[str, ...]]


def _filter(what: str, example: str) -> Any:
    return Query(
        description=f"Include only this {what}; repeat for several. Empty: not stated.",
        examples=[[example]],
        max_length=1_000,
    )


def stated_filters(  # noqa: PLR0913 - one argument a query parameter
    *,
    request: Request,
    provider: Annotated[Values, _filter("provider", "together")] = None,
    model: Annotated[Values, _filter("model", "meta-llama/Llama-3.3-70B-Instruct")] = None,
    operation: Annotated[Values, _filter("operation", "chat")] = None,
    route: Annotated[Values, _filter("route", "routed")] = None,
    project: Annotated[Values, _filter("project", "search")] = None,
    key: Annotated[Values, _filter("caller's key", "prod-1")] = None,
    price_grade: Annotated[Values, _filter("price grade", "rated")] = None,
    quantity_grade: Annotated[Values, _filter("quantity grade", "measured")] = None,
    billable: Annotated[Values, _filter("value of billable (true or false)", "true")] = None,
    rate: Annotated[Values, _filter("rate", "17")] = None,
) -> Filters:
    """Return the values that each dimension is limited to. ``tag:<name>`` has no fixed name that could be declared."""
    stated = {
        "provider": provider, "model": model, "operation": operation, "route": route, "project": project, "key": key,
        "price_grade": price_grade, "quantity_grade": quantity_grade, "billable": billable, "rate": rate,
    }  # fmt: skip
    filters = {name: tuple(values) for name, values in stated.items() if values is not None}
    for name in request.query_params:
        if name.startswith(TAG_PREFIX):
            filters[name] = tuple(request.query_params.getlist(name))
    return filters


@router.get(
    "",
    operation_id="query_spend",
    summary="Query spend",
    responses=problems("not_found", "invalid_time", "naive_time", "invalid_spend_query", "too_many_rows"),
)
def get_spend(  # noqa: PLR0913 - one argument a query parameter
    *,
    principal: Reader,
    service: ServiceNow,
    filters: Annotated[Filters, Depends(stated_filters)],
    account: AccountParameter = None,
    start: StartParameter = None,
    end: EndParameter = None,
    month: Annotated[
        str | None,
        Query(max_length=10, description="A UTC month, instead of `start` and `end`.", examples=["2026-11"]),
    ] = None,
    group_by: Annotated[
        Values,
        Query(
            description=f"Dimensions to group by, separated by commas: {', '.join(DIMENSIONS)}, or `tag:<name>` of a declared"
            " tag.",
            examples=[["provider,model"]],
        ),
    ] = None,
    granularity: Annotated[
        Literal["total", "hour", "day", "month"], Query(description=GRANULARITY, examples=["day"])
    ] = "total",
    period_basis: Annotated[Literal["event", "billing"], Query(description=PERIOD_BASIS, examples=["event"])] = "event",
    sort: Annotated[Literal["period", "usd", "requests", "tokens"] | None, Query(description=SORT, examples=["usd"])] = None,
    top: Annotated[int | None, Query(ge=1, le=MAX_ROWS, description=TOP, examples=[10])] = None,
) -> SpendAnswer:
    """Sum usage and its charges on all routes. Amounts are before credits and without fees. Unpriced usage is not in the
    amount; it is counted separately. `tag:<name>=<value>` filters by a declared tag.
    """
    row = principal.account_or_all(service, account)
    first, last = query.period(start, end, service.clock(), month=month)
    spend_query = SpendQuery(
        start=first,
        end=last,
        account_id=None if row is None else row.id,
        group_by=query.listed(group_by),
        filters=filters,
        granularity=Granularity(granularity),
        period_basis=PeriodBasis(period_basis),
    )
    rows = query_spend(service.engine, spend_query, declared_tags=service.settings.ingest.declared_tags)
    order = None if sort is None else SpendSort(sort)
    return spend_answer(spend_query, rows, None if row is None else row.name, sort=order, top=top)
