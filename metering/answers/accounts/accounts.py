"""Answers about accounts."""

from datetime import date
from typing import Literal

from pydantic import Field

from metering.answers.fields import Answer, Page, instant_field, optional_instant
from metering.domain.accounts.accounts import AccountPlans
from metering.domain.accounts.plan_history import PlanChange, plan_on
from pricing.plans import PlanCatalog

DefaultRoute = Literal["", "routed", "provider_key", "serverless"]

DEFAULT_ROUTE = (
    "Billing route of requests whose records do not state one: `routed` (Hugging Face bills), `provider_key` (the partner"
    " bills), `serverless` (hf-inference), or empty for unknown."
)
SEATS = "Number of seats; they count from the 1st of a month. Only plans sold per seat (team, enterprise) have more than one."


class PlanChangeAnswer(Answer):
    """A plan an account is on from a day on."""

    effective: date = Field(description="First day on the plan (UTC).", examples=["2026-11-01"])
    plan: str = Field(description="The plan.", examples=["pro"])
    seats: int = Field(description=SEATS, examples=[1])


class AccountAnswer(Answer):
    """A Hugging Face user or organization that is billed."""

    name: str = Field(description="Current name.", examples=["acme"])
    default_route: DefaultRoute = Field(description=DEFAULT_ROUTE, examples=["routed"])
    created_at: str | None = instant_field("When it was declared; null for `unassigned`, which always exists")
    plan: str = Field(description="Plan in effect today.", examples=["pro"])
    seats: int = Field(description="Seats in effect today.", examples=[1])
    plan_changes: list[PlanChangeAnswer] = Field(
        description="Every plan change, by day; of several for one day the last applies.",
        examples=[[{"effective": "2026-11-01", "plan": "pro", "seats": 1}]],
    )


class AccountPage(Page):
    """A page of accounts, by name."""

    items: list[AccountAnswer] = Field(
        description="The accounts.",
        examples=[
            [
                {
                    "name": "acme",
                    "default_route": "routed",
                    "created_at": "2026-11-03T10:15:00.123456Z",
                    "plan": "pro",
                    "seats": 1,
                    "plan_changes": [{"effective": "2026-11-01", "plan": "pro", "seats": 1}],
                }
            ]
        ],
    )


def account_answer(of: AccountPlans, today: date, catalog: PlanCatalog) -> AccountAnswer:
    """Return an account with its plan on ``today`` (UTC)."""
    plan, seats = plan_on(of.changes, today, catalog)
    return AccountAnswer.model_validate(
        {
            "name": of.account.name,
            "default_route": of.account.default_route,
            "created_at": optional_instant(of.account.created_at or None),
            "plan": plan,
            "seats": seats,
            "plan_changes": [plan_change_answer(change) for change in of.changes],
        }
    )


def plan_change_answer(change: PlanChange) -> PlanChangeAnswer:
    """Return one plan change."""
    return PlanChangeAnswer(effective=change.effective, plan=change.plan, seats=change.seats)
