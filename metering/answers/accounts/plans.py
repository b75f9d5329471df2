"""Answers about an account's plan in a month."""

from collections.abc import Sequence
from datetime import date

from pydantic import Field

from metering.answers.accounts.accounts import SEATS, PlanChangeAnswer, plan_change_answer
from metering.answers.fields import Answer, amount, nano_usd, usd
from metering.domain.accounts.plan_history import FeeLine, PlanChange, PlanMonth
from metering.domain.instants import format_month
from pricing.dollars import format_cents
from pricing.money import PICO_PER_CENT


class FeeAnswer(Answer):
    """The fee of one plan for some days of a month."""

    plan: str = Field(description="The plan.", examples=["pro"])
    seats: int = Field(description="Number of seats.", examples=[1])
    first_day: date = Field(description="First day it covers.", examples=["2026-11-16"])
    days: int = Field(description="Days it covers.", examples=[15])
    days_in_month: int = Field(description="Days in the month.", examples=[30])
    amount_usd: str | None = usd("The fee; null if the catalog does not have it", "4.50")


class DailyCreditAnswer(Answer):
    """The included credit of each of some consecutive days (UTC). It expires when its day ends."""

    first_day: date = Field(description="First day with this credit.", examples=["2026-11-01"])
    days: int = Field(description="Number of days.", examples=[30])
    credit_nano_usd: int = nano_usd("The credit of each day, for all seats", 100_000_000)
    credit_usd: str = usd("The credit of each day, for all seats", "0.100000000")


class PlanMonthAnswer(Answer):
    """What an account's plans cost and include in one month."""

    month: str = Field(description="The month.", examples=["2026-11"])
    plan: str = Field(description="Plan at the end of the month.", examples=["pro"])
    seats: int = Field(description=SEATS, examples=[1])
    fees: list[FeeAnswer] = Field(
        description="The fees, by day.",
        examples=[
            [{"plan": "pro", "seats": 1, "first_day": "2026-11-16", "days": 15, "days_in_month": 30, "amount_usd": "4.50"}]
        ],
    )
    included_credit_nano_usd: int | None = nano_usd("The included credits; null where unknown", 2_000_000_000)
    included_credit_usd: str | None = usd("The included credits; null where unknown", "2.000000000")
    credits_pay_elsewhere: bool = Field(
        description="Whether included credits can also be spent on other Hugging Face compute, so that what is left here is an"
        " upper bound.",
        examples=[True],
    )
    daily_credits: list[DailyCreditAnswer] = Field(
        description="Credits included by the day instead of by the month.", examples=[[]]
    )
    invoiced: bool = Field(description="Whether usage beyond the credits is billed instead of refused.", examples=[True])


class AccountPlanAnswer(Answer):
    """An account's plan in a month, with every plan change."""

    account: str = Field(description="The account.", examples=["acme"])
    current: PlanMonthAnswer = Field(
        description="The month's plan, fee and included credits.",
        examples=[
            {
                "month": "2026-11",
                "plan": "pro",
                "seats": 1,
                "fees": [],
                "included_credit_nano_usd": 2_000_000_000,
                "included_credit_usd": "2.000000000",
                "credits_pay_elsewhere": True,
                "daily_credits": [],
                "invoiced": True,
            }
        ],
    )
    changes: list[PlanChangeAnswer] = Field(
        description="Every plan change, by day; of several for one day the last applies.",
        examples=[[{"effective": "2026-11-01", "plan": "pro", "seats": 1}]],
    )
    warnings: list[str] = Field(
        description="What the catalog does not have about the plan, such as its fee. Only after a plan is set.",
        examples=[["the fee of team is unknown; statements show it as unknown and exclude it from the total"]],
    )


def account_plan_answer(
    account: str, month: PlanMonth, changes: Sequence[PlanChange], warnings: Sequence[str] = ()
) -> AccountPlanAnswer:
    """Return an account's plan in a month."""
    return AccountPlanAnswer(
        account=account,
        current=plan_month_answer(month),
        changes=[plan_change_answer(change) for change in changes],
        warnings=list(warnings),
    )


def plan_month_answer(plan: PlanMonth) -> PlanMonthAnswer:
    """Return what the plans of a month cost and include."""
    return PlanMonthAnswer(
        month=format_month(plan.month),
        plan=plan.plan,
        seats=plan.seats,
        fees=[_fee(fee) for fee in plan.fees],
        **amount("included_credit", plan.included_credit_nano),
        credits_pay_elsewhere=plan.credits_pay_elsewhere,
        daily_credits=[
            DailyCreditAnswer(first_day=each.first_day, days=each.days, **amount("credit", each.amount_nano))
            for each in plan.daily_credits
        ],
        invoiced=plan.invoiced,
    )


def _fee(fee: FeeLine) -> FeeAnswer:
    cents = fee.amount_cents
    return FeeAnswer(
        plan=fee.plan,
        seats=fee.seats,
        first_day=fee.first_day,
        days=fee.days,
        days_in_month=fee.days_in_month,
        amount_usd=None if cents is None else format_cents(cents * PICO_PER_CENT),
    )
