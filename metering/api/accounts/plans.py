"""``/v1/accounts/{account}/plan``: which plan an account is on, and what it costs and includes in a month."""

from collections.abc import Sequence

from fastapi import APIRouter, Depends
from pydantic import Field

from metering.answers.accounts.accounts import SEATS
from metering.answers.accounts.plans import AccountPlanAnswer, account_plan_answer
from metering.api.accounts.accounts import AccountName
from metering.api.fields import MonthParameter, RequestModel
from metering.api.openapi import problems
from metering.domain.accounts.plan_history import PlanChange, plan_month, unknown_plan_terms
from metering.domain.instants import date_of, day_of
from metering.operations.accounts.manage_plans import MAX_SEATS, list_plan_changes, set_plan
from metering.operations.service.open_service import Service
from metering.web import query
from metering.web.bodies import require_json
from metering.web.principal import Admin, Reader, ServiceNow

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])


class NewPlan(RequestModel):
    """A plan to put an account on."""

    plan: str = Field(min_length=1, max_length=40, description="The plan: free, pro, team, enterprise.", examples=["pro"])
    seats: int = Field(1, ge=1, le=MAX_SEATS, description=SEATS, examples=[1])
    effective: str | None = Field(
        None, max_length=10, description="First day on the plan (UTC). Default: today.", examples=["2026-11-01"]
    )


@router.get(
    "/{account}/plan",
    operation_id="show_plan",
    summary="Show an account's plan",
    responses=problems("not_found", "invalid_time"),
)
def get_plan(principal: Reader, service: ServiceNow, account: AccountName, month: MonthParameter = None) -> AccountPlanAnswer:
    """Show the plan of a month with its fee and included credits, and every plan change of the account."""
    name = principal.find_account(service, account).name
    return _plan_in_month(service, name, query.month("query.month", month, service.clock()))


@router.post(
    "/{account}/plan",
    operation_id="set_plan",
    summary="Set an account's plan",
    status_code=201,
    responses=problems(
        "not_found", "invalid_plan", "invalid_time", "month_closed", "unsupported_media_type", "body_too_large", "not_json"
    ),
    dependencies=[Depends(require_json)],
)
def post_plan(principal: Admin, service: ServiceNow, account: AccountName, body: NewPlan) -> AccountPlanAnswer:
    """Put an account on a plan from a day on. Nothing is overwritten: of several changes for one day the last applies."""
    name = principal.find_account(service, account).name
    now = service.clock()
    effective = date_of(day_of(now)) if body.effective is None else query.day("body.effective", body.effective)
    change = PlanChange(effective, body.plan, body.seats)
    set_plan(service.engine, name, change, service.catalog, now=now)
    return _plan_in_month(service, name, query.month("query.month", None, now), unknown_plan_terms(change, service.catalog))


def _plan_in_month(service: Service, name: str, month: int, warnings: Sequence[str] = ()) -> AccountPlanAnswer:
    changes = list_plan_changes(service.engine, name)
    return account_plan_answer(name, plan_month(changes, month, service.catalog), changes, warnings)
