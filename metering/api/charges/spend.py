"""``/v1/spend``: what was spent, by whom, on what."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from metering.api.fields import AccountParameter, Answer, EndParameter, StartParameter, instant_field, nano_usd, usd
from metering.api.openapi import problems
from metering.domain.charges.spend import (
    DIMENSIONS,
    TAG_PREFIX,
    Granularity,
    PeriodBasis,
    SpendQuery,
    SpendQueryError,
    SpendRow,
)
from metering.domain.instants import format_instant
from metering.operations.charges.query_spend import query_spend
from metering.operations.service.open_service import Service
from metering.web import query
from metering.web.principal import Reader, ServiceNow
from pricing.dollars import format_nano
from pricing.quantities import ALL_KINDS

router = APIRouter(prefix="/v1/spend", tags=["spend"])

Values = list[str] | None
Filters = dict[str, tuple[str, ...]]

_QUANTITIES = {"input_tokens": 1_000_000, "output_tokens": 250_000}


class Spent(Answer):
    """What a number of requests used and cost."""

    events: int = Field(description="How many requests.", examples=[30])
    failed_events: int = Field(description="How many of them failed and cost nothing.", examples=[1])
    unpriced_events: int = Field(description="How many of them have no price yet; they are not in the amount.", examples=[0])
    unpriced_tokens: int = Field(description="How many tokens those used.", examples=[0])
    quantities: dict[str, int] = Field(
        description="What was used, by kind, in disjoint buckets (`reasoning_tokens` is within `output_tokens`); kinds of"
        " which nothing was used are left out.",
        examples=[_QUANTITIES],
    )
    amount_nano_usd: int = nano_usd("What it cost, as far as it is priced", 27_000_000_000)
    amount_usd: str = usd("What it cost, as far as it is priced", "27.000000000")


class SpendGroup(Spent):
    """One group in one period."""

    group: dict[str, str] = Field(
        description="The values of `group_by`; a dimension that nobody stated is empty.", examples=[{"provider": "together"}]
    )
    period_start: str = instant_field(
        "Where the row's period begins by the calendar; with granularity `total`, where the question's does",
        "2026-11-01T00:00:00.000000Z",
    )


class Spend(Answer):
    """The answer to a spend question. Rows are ordered by period, then by the values of `group_by`."""

    account: str | None = Field(description="The account; null: all.", examples=["acme"])
    start: str = instant_field("Where the period begins", "2026-11-01T00:00:00.000000Z")
    end: str = instant_field("Where the period ends, exclusively", "2026-12-01T00:00:00.000000Z")
    period_basis: PeriodBasis = Field(
        description="What puts a charge into a period: when its `event` happened, or the month it is billed in (`billing`).",
        examples=["event"],
    )
    granularity: Granularity = Field(description="The periods of the rows, in UTC.", examples=["total"])
    group_by: list[str] = Field(description="The dimensions of the rows.", examples=[["provider"]])
    rows: list[SpendGroup] = Field(
        description="One row a group and period in which there was anything.",
        examples=[
            [
                {
                    "group": {"provider": "together"},
                    "period_start": "2026-11-01T00:00:00.000000Z",
                    "events": 30,
                    "failed_events": 1,
                    "unpriced_events": 0,
                    "unpriced_tokens": 0,
                    "quantities": _QUANTITIES,
                    "amount_nano_usd": 27_000_000_000,
                    "amount_usd": "27.000000000",
                }
            ]
        ],
    )
    total: Spent = Field(
        description="The sum of all rows.",
        examples=[
            {
                "events": 30,
                "failed_events": 1,
                "unpriced_events": 0,
                "unpriced_tokens": 0,
                "quantities": _QUANTITIES,
                "amount_nano_usd": 27_000_000_000,
                "amount_usd": "27.000000000",
            }
        ],
    )


def _filter(what: str, example: str) -> Any:
    return Query(
        description=f"Only what has this {what}; repeat it for several. Empty: not stated.",
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
    key: Annotated[Values, _filter("key of the caller", "prod-1")] = None,
    price_grade: Annotated[Values, _filter("price grade", "rated")] = None,
    quantity_grade: Annotated[Values, _filter("quantity grade", "measured")] = None,
    billable: Annotated[Values, _filter("billability", "true")] = None,
    rate: Annotated[Values, _filter("rate", "17")] = None,
) -> Filters:
    """Return the values that each dimension is limited to; ``tag:<name>`` has no fixed name to be declared under."""
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
    summary="Ask what was spent",
    responses=problems("not_found", "invalid_time", "naive_time", "invalid_spend_query", "too_many_rows"),
)
def get_spend(
    *,
    principal: Reader,
    service: ServiceNow,
    filters: Annotated[Filters, Depends(stated_filters)],
    account: AccountParameter = None,
    start: StartParameter = None,
    end: EndParameter = None,
    group_by: Annotated[
        Values,
        Query(
            description=f"What to tell apart, separated by commas: {', '.join(DIMENSIONS)}, or `tag:<name>` of a declared tag.",
            examples=[["provider,model"]],
        ),
    ] = None,
    granularity: Annotated[
        Literal["total", "hour", "day", "month"], Query(description="The periods of the rows, in UTC.", examples=["day"])
    ] = "total",
    period_basis: Annotated[
        Literal["event", "billing"],
        Query(
            description="What puts a charge into a period: when its event happened, or the month it is billed in (whole"
            " months only).",
            examples=["event"],
        ),
    ] = "event",
) -> Spend:
    """Sum what was used and what it cost. Amounts are gross: before credits, without fees, of every route. Usage without a
    price is not in the amount and is counted beside it. `tag:<name>=<value>` filters by a declared tag.
    """
    row = principal.account_or_all(service, account)
    first, last = query.period(start, end, service.clock())
    groups = query.listed(group_by)
    _check_tags(service, (*groups, *filters))
    question = SpendQuery(
        start=first,
        end=last,
        account_id=None if row is None else row.id,
        group_by=groups,
        filters=filters,
        granularity=Granularity(granularity),
        period_basis=PeriodBasis(period_basis),
    )
    return _answer(question, None if row is None else row.name, query_spend(service.engine, question))


def _answer(question: SpendQuery, account: str | None, rows: list[SpendRow]) -> Spend:
    return Spend(
        account=account,
        start=format_instant(question.start),
        end=format_instant(question.end),
        period_basis=question.period_basis,
        granularity=question.granularity,
        group_by=list(question.group_by),
        rows=[_group(each, question.group_by) for each in rows],
        total=Spent.model_validate(_sums(rows)),
    )


def _check_tags(service: Service, names: tuple[str, ...]) -> None:
    declared = service.settings.ingest.declared_tags
    for name in names:
        if name.startswith(TAG_PREFIX) and name.removeprefix(TAG_PREFIX) not in declared:
            known = ", ".join(sorted(declared)) or "none"
            raise SpendQueryError(f"{name[:60]!r} is not a declared tag, so spend is not summed by it; declared: {known}")


def _group(row: SpendRow, groups: tuple[str, ...]) -> SpendGroup:
    return SpendGroup.model_validate(
        {
            "group": dict(zip(groups, row.group, strict=True)),
            "period_start": format_instant(row.period_start),
            **_sums([row]),
        }
    )


def _sums(rows: list[SpendRow]) -> dict[str, object]:
    amount = sum(row.amount_nano for row in rows)
    used = {kind: sum(getattr(row.quantities, kind) for row in rows) for kind in ALL_KINDS}
    return {
        "events": sum(row.events for row in rows),
        "failed_events": sum(row.failed_events for row in rows),
        "unpriced_events": sum(row.unpriced_events for row in rows),
        "unpriced_tokens": sum(row.unpriced_tokens for row in rows),
        "quantities": {kind: count for kind, count in used.items() if count},
        "amount_nano_usd": amount,
        "amount_usd": format_nano(amount),
    }
