"""``POST /v1/statements/{account}/{month}/close``, and what has changed about a closed month since."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from metering.answers.statements.closing import (
    ClosedStatementAnswer,
    StatementChangesAnswer,
    closed_statement_answer,
    statement_changes_answer,
)
from metering.api.accounts.accounts import AccountName
from metering.api.openapi import problems
from metering.operations.statements.close_month import CloseOptions, close_month
from metering.operations.statements.compare_closed_month import compare_closed_month
from metering.web import query
from metering.web.principal import Admin, Reader, ServiceNow

router = APIRouter(prefix="/v1/statements", tags=["statements"])

ClosedMonth = Annotated[str, Path(max_length=20, description="The month (UTC).", examples=["2026-10"])]


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
    with_earlier: Annotated[bool, Query(description="Close earlier open months first.", examples=[False])] = False,
    allow_unpriced: Annotated[
        bool, Query(description="Close although some usage is not priced yet; the statement is flagged.", examples=[False])
    ] = False,
) -> ClosedStatementAnswer:
    """Close a month that is over. Its statement never changes again; later usage is billed on the next open statement.

    Closing a month that is already closed returns the same statement.
    """
    name = principal.find_account(service, account).name
    now = service.clock()
    how = CloseOptions(service.catalog, allow_unpriced, with_earlier)
    closed = close_month(service.engine, name, query.month("path.month", month, now), how, now=now)
    return closed_statement_answer(closed)


@router.get(
    "/{account}/{month}/changes",
    operation_id="show_statement_changes",
    summary="Show what has changed about a closed month",
    responses=problems("not_found", "invalid_time"),
)
def get_changes(principal: Reader, service: ServiceNow, account: AccountName, month: ClosedMonth) -> StatementChangesAnswer:
    """Compare a closed month with the same month computed now, and show the corrections that carry the difference."""
    name = principal.find_account(service, account).name
    now = service.clock()
    drift = compare_closed_month(service.engine, name, query.month("path.month", month, now), service.catalog, now=now)
    return statement_changes_answer(drift)
