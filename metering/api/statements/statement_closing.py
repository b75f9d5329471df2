"""``POST /v1/statements/{account}/{month}/close``, and what has changed about a closed month since."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field

from metering.api.accounts.accounts import AccountName
from metering.api.fields import Answer, nano_usd, usd
from metering.api.openapi import problems
from metering.api.statements.statement_answers import StatementAnswer, statement_answer
from metering.domain.instants import format_month
from metering.domain.statements.closed_month_drift import ClosedMonthDrift, StatementCorrection
from metering.operations.statements.close_month import CloseOptions, close_month
from metering.operations.statements.compare_closed_month import compare_closed_month
from metering.web import query
from metering.web.principal import Admin, Reader, ServiceNow
from pricing.dollars import format_nano

router = APIRouter(prefix="/v1/statements", tags=["statements"])

ClosedMonth = Annotated[str, Path(max_length=20, description="The month (UTC).", examples=["2026-10"])]


class Amounts(Answer):
    """What a month's own usage came to, and what credits paid of it."""

    usage_nano_usd: int = nano_usd("Billable usage and adjustments", 27_000_000_000)
    usage_usd: str = usd("Billable usage and adjustments", "27.000000000")
    credits_nano_usd: int = nano_usd("What credits paid", 2_000_000_000)
    credits_usd: str = usd("What credits paid", "2.000000000")


class CorrectionOnStatement(Amounts):
    """What a later statement says about the month; negative credits were given back."""

    month: str = Field(description="The later statement's month.", examples=["2026-11"])
    status: str = Field(description="Whether that one is `closed`, or still a `draft`.", examples=["draft"])


_AS_CLOSED = {
    "usage_nano_usd": 27_000_000_000,
    "usage_usd": "27.000000000",
    "credits_nano_usd": 2_000_000_000,
    "credits_usd": "2.000000000",
}


class StatementChanges(Answer):
    """A closed month as it was closed, as it would be computed now, and which statements carry the difference."""

    account: str = Field(description="The account.", examples=["acme"])
    month: str = Field(description="The closed month.", examples=["2026-10"])
    unchanged: bool = Field(description="Whether nothing has changed.", examples=[False])
    closed: Amounts = Field(description="As it was closed.", examples=[_AS_CLOSED])
    now: Amounts = Field(description="As it would be computed now.", examples=[_AS_CLOSED])
    plan_terms_changed: bool = Field(
        description="Whether the catalogue knows other terms of the plan by now. That changes nothing.", examples=[False]
    )
    corrections: list[CorrectionOnStatement] = Field(description="What later statements say about it.", examples=[[]])


@router.post(
    "/{account}/{month}/close",
    operation_id="close_statement",
    summary="Close a month",
    responses=problems(
        "not_found", "invalid_time", "month_not_over", "earlier_months_open", "unpriced_usage", "nothing_to_close"
    ),
)
def post_close(
    *,
    principal: Admin,
    service: ServiceNow,
    account: AccountName,
    month: ClosedMonth,
    with_earlier: Annotated[bool, Query(description="Close the earlier months that are open first.", examples=[False])] = False,
    allow_unpriced: Annotated[
        bool, Query(description="Close although some usage has no price; the statement says so.", examples=[False])
    ] = False,
) -> StatementAnswer:
    """Close a month that is over: its statement never changes again, and what comes later stands on the first open one.

    Closing a month that is closed answers with the same statement.
    """
    name = principal.find_account(service, account).name
    now = service.clock()
    how = CloseOptions(service.catalogue, allow_unpriced, with_earlier)
    closed = close_month(service.engine, name, query.month("path.month", month, now), how, now=now)
    return statement_answer(closed[-1])


@router.get(
    "/{account}/{month}/changes",
    operation_id="show_statement_changes",
    summary="Show what has changed about a closed month",
    responses=problems("not_found", "invalid_time"),
)
def get_changes(principal: Reader, service: ServiceNow, account: AccountName, month: ClosedMonth) -> StatementChanges:
    """Show what a closed month would come to if it were computed again now, and which corrections carry the difference."""
    name = principal.find_account(service, account).name
    now = service.clock()
    found = compare_closed_month(service.engine, name, query.month("path.month", month, now), service.catalogue, now=now)
    return _changes(found)


def _changes(found: ClosedMonthDrift) -> StatementChanges:
    closed = found.statement
    return StatementChanges(
        account=closed.account,
        month=format_month(closed.month),
        unchanged=found.is_unchanged,
        closed=_amounts(found.closed_usage_nano, closed.credits.applied_nano),
        now=_amounts(found.usage_nano, found.credits_nano),
        plan_terms_changed=found.plan != closed.plan,
        corrections=[_correction(each) for each in found.corrections],
    )


def _correction(each: StatementCorrection) -> CorrectionOnStatement:
    amounts = _amounts(each.usage_nano + each.adjustments_nano, each.credits_nano)
    status = "closed" if each.is_closed else "draft"
    return CorrectionOnStatement(month=format_month(each.month), status=status, **amounts.model_dump())


def _amounts(usage_nano: int, credits_nano: int) -> Amounts:
    return Amounts(
        usage_nano_usd=usage_nano,
        usage_usd=format_nano(usage_nano),
        credits_nano_usd=credits_nano,
        credits_usd=format_nano(credits_nano),
    )
