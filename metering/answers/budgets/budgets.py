"""Answers about budgets."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Literal

from pydantic import Field

from metering.answers.fields import Answer, Page, amount, instant_field, nano_usd, optional_instant, usd
from metering.domain.budgets.budget_state import BudgetDetails, BudgetState
from metering.domain.budgets.budgets import FULL, Budget, BudgetTerms
from metering.domain.instants import date_of, format_instant

WindowName = Literal["day", "week", "month", "quarter", "fixed"]
ActionName = Literal["notify", "block"]
BasisName = Literal["gross", "after_credits"]

AMOUNT = "The limit on spend per period"
WINDOW = "The length of a period: a UTC day, ISO week, month or quarter, or one `fixed` window."
START = "First day of a fixed window (UTC)."
END = "The day after the last day of a fixed window (UTC)."
SCOPE = (
    "The usage that counts, by `provider`, `model`, `project`, `key` and `tag:<name>`: a request must match one value of each."
    " Empty: all usage of the account."
)
THRESHOLDS = "Whole percentages of the amount; spending that reaches one raises an alert, once per period."
FORECAST = "Also raise an alert, once per period, when the forecast reaches this percentage; null: never."
ACTION = "`notify` raises alerts. `block` also sets `state.blocked`, for a gateway to check; the service rejects no usage."
BLOCK = f"Percentage from which the action `block` blocks, until spending falls below it. Default: {FULL}."
BASIS = (
    "`gross`: every charge of every route, by event time. `after_credits`: the month's billable charges that credits do not"
    " cover."
)
NAME = "A name for the budget."
EXAMPLE_SCOPE = {"project": ["search"], "tag:team": ["core"]}

_EXAMPLE_STATE = {"period": "2026-11", "spent_usd": "412.500000000", "percent": "82.5"}
_FORECAST_AMOUNT = "The forecast spend of the period; null if there is too little data"


class BudgetStateAnswer(Answer):
    """The state of a budget in one period."""

    period: str = Field(
        description="The period: `2026-11-25`, `2026-W53`, `2026-11`, `2026-Q4` or `2026-11-03/2026-11-20`.",
        examples=["2026-11"],
    )
    period_start: str = instant_field("Start of the period", "2026-11-01T00:00:00.000000Z")
    period_end: str = instant_field("End of the period, exclusive", "2026-12-01T00:00:00.000000Z")
    spent_nano_usd: int = nano_usd("Spend in the period", 412_500_000_000)
    spent_usd: str = usd("Spend in the period", "412.500000000")
    remaining_nano_usd: int = nano_usd("The rest of the amount; negative if the budget is exceeded", 87_500_000_000)
    remaining_usd: str = usd("The rest of the amount; negative if the budget is exceeded", "87.500000000")
    percent: str = Field(description="Spend as a percentage of the amount, rounded down to tenths.", examples=["82.5"])
    reached: list[int] = Field(description="Thresholds that spending is at or above now.", examples=[[50, 80]])
    fired: list[int] = Field(
        description="Thresholds that raised an alert in this period; they remain when spending falls.", examples=[[50, 80]]
    )
    blocked: bool = Field(description="Whether the budget blocks the requests in its scope now.", examples=[False])
    unpriced_events: int = Field(description="Requests without a price yet; the amounts exclude them.", examples=[0])
    forecast_method: Literal["blended_rate", "period_rate", "recent_rate", "final", "too_little_known"] = Field(
        description="The rate the forecast uses: that of this period, that of the last seven days, or the mean of both."
        " `final`: the period is over.",
        examples=["blended_rate"],
    )
    forecast_nano_usd: int | None = nano_usd(_FORECAST_AMOUNT, 498_000_000_000)
    forecast_usd: str | None = usd(_FORECAST_AMOUNT, "498.000000000")
    forecast_exceeded: bool = Field(description="Whether the forecast is at or above `forecast_percent`.", examples=[False])
    exhausted_at: str | None = instant_field(
        "When the amount will be used up at that rate; null if it already is, or lasts the period", None
    )


class BudgetTermsAnswer(Answer):
    """The terms of a budget."""

    name: str = Field(description=NAME, examples=["search, all models"])
    amount_nano_usd: int = nano_usd(AMOUNT, 500_000_000_000)
    amount_usd: str = usd(AMOUNT, "500.000000000")
    window: WindowName = Field(description=WINDOW, examples=["month"])
    start: date | None = Field(description=START, examples=[None])
    end: date | None = Field(description=END, examples=[None])
    scope: dict[str, list[str]] = Field(description=SCOPE, examples=[{"project": ["search"]}])
    thresholds: list[int] = Field(description=THRESHOLDS, examples=[[50, 80, 100]])
    forecast_percent: int | None = Field(description=FORECAST, examples=[110])
    action: ActionName = Field(description=ACTION, examples=["notify"])
    block_percent: int | None = Field(description=BLOCK, examples=[None])
    basis: BasisName = Field(description=BASIS, examples=["gross"])


class BudgetRevisionAnswer(BudgetTermsAnswer):
    """One revision of a budget: its terms, with author and time."""

    revision: int = Field(description="Number of the revision, from 1.", examples=[1])
    recorded_at: str = instant_field("When it was recorded")
    recorded_by: str = Field(description="Who recorded it.", examples=["key 9f2ab61c03de"])


class BudgetAnswer(BudgetTermsAnswer):
    """A budget and its state."""

    id: int = Field(description="ID of the budget.", examples=[3])
    account: str = Field(description="The account whose usage counts.", examples=["acme"])
    revision: int = Field(description="The revision in effect.", examples=[1])
    created_at: str = instant_field("When it was created")
    state: BudgetStateAnswer = Field(description="Its state in the period.", examples=[_EXAMPLE_STATE])
    warnings: list[str] = Field(
        description="Parts of the scope that match no usage yet, and other budgets with the same terms. Only after a budget is"
        " created or changed.",
        examples=[["no usage has the model 'lama' yet; check its spelling"]],
    )


class BudgetHistoryAnswer(BudgetAnswer):
    """A budget, its state and all its revisions."""

    revisions: list[BudgetRevisionAnswer] = Field(description="All revisions, oldest first.", examples=[[]])


class BudgetPage(Page):
    """A page of budgets, oldest first."""

    items: list[BudgetAnswer] = Field(description="The budgets.", examples=[[]])


class DeletedBudgetAnswer(Answer):
    """A budget that was deleted."""

    id: int = Field(description="ID of the budget.", examples=[3])
    deleted: bool = Field(description="Always true.", examples=[True])


def budget_answer(details: BudgetDetails, warnings: Sequence[str] = ()) -> BudgetAnswer:
    """Return a budget with its state."""
    return BudgetAnswer.model_validate(_fields(details, warnings))


def budget_history_answer(details: BudgetDetails, revisions: Sequence[Budget]) -> BudgetHistoryAnswer:
    """Return a budget with its state and its revisions."""
    return BudgetHistoryAnswer.model_validate(
        {**_fields(details, ()), "revisions": [_revision_answer(each) for each in revisions]}
    )


def _fields(details: BudgetDetails, warnings: Sequence[str]) -> dict[str, Any]:
    budget = details.budget
    return {
        "id": budget.id,
        "account": details.account,
        "revision": budget.revision,
        "created_at": format_instant(budget.created_at),
        **_terms(budget.terms),
        "state": _state_answer(details.state),
        "warnings": list(warnings),
    }


def _revision_answer(budget: Budget) -> BudgetRevisionAnswer:
    return BudgetRevisionAnswer(
        revision=budget.revision,
        recorded_at=format_instant(budget.recorded_at),
        recorded_by=budget.recorded_by,
        **_terms(budget.terms),
    )


def _terms(terms: BudgetTerms) -> dict[str, Any]:
    return {
        "name": terms.name,
        **amount("amount", terms.amount_nano),
        "window": terms.window.value,
        "start": None if terms.first_day is None else date_of(terms.first_day),
        "end": None if terms.end_day is None else date_of(terms.end_day),
        "scope": {name: list(values) for name, values in terms.scope.items()},
        "thresholds": list(terms.thresholds),
        "forecast_percent": terms.forecast_percent,
        "action": terms.action.value,
        "block_percent": terms.block_percent,
        "basis": terms.basis.value,
    }


def _state_answer(state: BudgetState) -> BudgetStateAnswer:
    forecast = state.forecast
    return BudgetStateAnswer(
        period=state.period.name,
        period_start=format_instant(state.period.start),
        period_end=format_instant(state.period.end),
        **amount("spent", state.spent_nano),
        **amount("remaining", state.remaining_nano),
        percent=state.percent,
        reached=list(state.reached),
        fired=list(state.fired),
        blocked=state.blocked,
        unpriced_events=state.unpriced_events,
        forecast_method=forecast.method.value,
        **amount("forecast", forecast.amount_nano),
        forecast_exceeded=state.forecast_exceeded,
        exhausted_at=optional_instant(forecast.exhausted_at),
    )
