"""``/v1/accounts/{account}/plan``: which plan an account is on, and what that makes of a month."""

from datetime import date

from fastapi import APIRouter, Depends
from pydantic import Field

from metering.api.accounts.accounts import AccountName
from metering.api.fields import Answer, MonthParameter, RequestModel, nano_usd, usd
from metering.api.openapi import problems
from metering.domain.accounts.plan_history import FeeLine, PlanChange, PlanMonth, plan_month, unknown_plan_terms
from metering.domain.instants import date_of, day_of, format_month
from metering.operations.accounts.manage_accounts import MAX_SEATS, list_plan_changes, set_plan
from metering.operations.service.open_service import Service
from metering.web import query
from metering.web.bodies import require_json
from metering.web.principal import Admin, Reader, ServiceNow
from pricing.money import PICO_PER_CENT, format_cents, format_nano

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])

_SEATS = "How many seats; they count on the 1st. Only plans that are sold by the seat (team, enterprise) have more than one."


class PlanSaid(Answer):
    """What was said of an account's plan."""

    effective: date = Field(description="From which day on (UTC).", examples=["2026-11-01"])
    plan: str = Field(description="The plan.", examples=["pro"])
    seats: int = Field(description=_SEATS, examples=[1])


class Fee(Answer):
    """The fee of one plan for some days of a month."""

    plan: str = Field(description="The plan.", examples=["pro"])
    seats: int = Field(description="How many seats.", examples=[1])
    first_day: date = Field(description="The first day that it is for.", examples=["2026-11-16"])
    days: int = Field(description="For how many days.", examples=[15])
    days_in_month: int = Field(description="How many days the month has.", examples=[30])
    amount_usd: str | None = usd("What it comes to; null where the fee is not known", "4.50")


class PlanOfMonth(Answer):
    """What an account's plans make of one month."""

    month: str = Field(description="The month.", examples=["2026-11"])
    plan: str = Field(description="The plan at the end of the month.", examples=["pro"])
    seats: int = Field(description="The seats at the end of the month.", examples=[1])
    fees: list[Fee] = Field(
        description="The fees, in the order of their days.",
        examples=[
            [{"plan": "pro", "seats": 1, "first_day": "2026-11-16", "days": 15, "days_in_month": 30, "amount_usd": "4.50"}]
        ],
    )
    included_credit_nano_usd: int | None = nano_usd("The included credit; null where it is not known", 2_000_000_000)
    included_credit_usd: str | None = usd("The included credit; null where it is not known", "2.000000000")
    credits_pay_elsewhere: bool = Field(
        description="Whether included credit may have been spent on other Hugging Face compute too, so that what is left is"
        " an upper bound.",
        examples=[True],
    )
    invoiced: bool = Field(description="Whether usage past the credits is billed instead of refused.", examples=[True])


class AccountPlan(Answer):
    """An account's plan in a month, and all that was said of its plans."""

    account: str = Field(description="The account.", examples=["acme"])
    current: PlanOfMonth = Field(
        description="What the plans make of the month.",
        examples=[
            {
                "month": "2026-11",
                "plan": "pro",
                "seats": 1,
                "fees": [],
                "included_credit_nano_usd": 2_000_000_000,
                "included_credit_usd": "2.000000000",
                "credits_pay_elsewhere": True,
                "invoiced": True,
            }
        ],
    )
    changes: list[PlanSaid] = Field(
        description="What was said, by day; of one day the last holds.",
        examples=[[{"effective": "2026-11-01", "plan": "pro", "seats": 1}]],
    )
    warnings: list[str] = Field(
        description="What the catalogue does not know of the plan, such as its fee; told when the plan is said.",
        examples=[["the fee of team is not known to the catalogue; statements show it as unknown"]],
    )


class NewPlan(RequestModel):
    """From which day on an account is on which plan."""

    plan: str = Field(min_length=1, max_length=40, description="The plan: free, pro, team, enterprise.", examples=["pro"])
    seats: int = Field(1, ge=1, le=MAX_SEATS, description=_SEATS, examples=[1])
    effective: str | None = Field(
        None, max_length=10, description="From which day on (UTC). Left out: today.", examples=["2026-11-01"]
    )


def plan_answer(plan: PlanMonth) -> PlanOfMonth:
    """Return a month's plan as it is answered."""
    credit = plan.included_credit_nano
    return PlanOfMonth(
        month=format_month(plan.month),
        plan=plan.plan,
        seats=plan.seats,
        fees=[_fee(fee) for fee in plan.fees],
        included_credit_nano_usd=credit,
        included_credit_usd=None if credit is None else format_nano(credit),
        credits_pay_elsewhere=plan.credits_pay_elsewhere,
        invoiced=plan.invoiced,
    )


@router.get(
    "/{account}/plan",
    operation_id="show_plan",
    summary="Show an account's plan",
    responses=problems("not_found", "invalid_time"),
)
def get_plan(principal: Reader, service: ServiceNow, account: AccountName, month: MonthParameter = None) -> AccountPlan:
    """Show the plan of a month with its fee and included credit, and all that was said of the account's plans."""
    name = principal.find_account(service, account).name
    return _account_plan(service, name, query.month("query.month", month, service.clock()))


@router.post(
    "/{account}/plan",
    operation_id="set_plan",
    summary="Say which plan an account is on",
    status_code=201,
    responses=problems(
        "not_found", "invalid_plan", "invalid_time", "month_closed", "unsupported_media_type", "body_too_large", "not_json"
    ),
    dependencies=[Depends(require_json)],
)
def post_plan(principal: Admin, service: ServiceNow, account: AccountName, body: NewPlan) -> AccountPlan:
    """Say that an account is on a plan from a day on. Nothing is overwritten: of two for the same day the later one holds."""
    name = principal.find_account(service, account).name
    now = service.clock()
    effective = date_of(day_of(now)) if body.effective is None else query.day("body.effective", body.effective)
    change = PlanChange(effective, body.plan, body.seats)
    set_plan(service.engine, name, change, service.catalogue, now=now)
    return _account_plan(service, name, query.month("query.month", None, now), unknown_plan_terms(change, service.catalogue))


def _account_plan(service: Service, name: str, month: int, warnings: list[str] | None = None) -> AccountPlan:
    changes = list_plan_changes(service.engine, name)
    return AccountPlan(
        account=name,
        current=plan_answer(plan_month(changes, month, service.catalogue)),
        changes=[PlanSaid(effective=change.effective, plan=change.plan, seats=change.seats) for change in changes],
        warnings=warnings or [],
    )


def _fee(fee: FeeLine) -> Fee:
    cents = fee.amount_cents
    return Fee(
        plan=fee.plan,
        seats=fee.seats,
        first_day=fee.first_day,
        days=fee.days,
        days_in_month=fee.days_in_month,
        amount_usd=None if cents is None else format_cents(cents * PICO_PER_CENT),
    )
