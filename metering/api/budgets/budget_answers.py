"""What is answered about budgets."""

from typing import Any, Literal

from pydantic import Field

from metering.api.fields import Answer, instant_field, nano_usd, next_cursor_field, usd
from metering.domain.budgets.budget_state import BudgetDetails, BudgetState
from metering.domain.budgets.budgets import Budget, BudgetTerms
from metering.domain.instants import date_of, format_instant
from pricing.dollars import format_nano

_SCOPE = {"project": ["search"]}
_PERIOD_START, _PERIOD_END = "2026-11-01T00:00:00.000000Z", "2026-12-01T00:00:00.000000Z"


class State(Answer):
    """How a budget stands in one of its periods."""

    period: str = Field(
        description="The period: `2026-11-25`, `2026-W53`, `2026-11`, `2026-Q4`, `2026-11-03/2026-11-20`.", examples=["2026-11"]
    )
    period_start: str = instant_field("When it begins", _PERIOD_START)
    period_end: str = instant_field("When it ends, exclusively", _PERIOD_END)
    spent_nano_usd: int = nano_usd("What is spent", 412_500_000_000)
    spent_usd: str = usd("What is spent", "412.500000000")
    remaining_nano_usd: int = nano_usd("What is left; below zero when the budget is exceeded", 87_500_000_000)
    remaining_usd: str = usd("What is left; below zero when the budget is exceeded", "87.500000000")
    percent: str = Field(description="What is spent of the amount, rounded down to tenths.", examples=["82.5"])
    reached: list[int] = Field(description="The thresholds that spending is at or above now.", examples=[[50, 80]])
    fired: list[int] = Field(
        description="The thresholds that were alerted on in this period; they stay when spending falls.", examples=[[50, 80]]
    )
    blocked: bool = Field(description="Whether the budget blocks what it covers, now.", examples=[False])
    unpriced_events: int = Field(description="Requests that have no price yet, and are in no amount.", examples=[0])
    forecast_method: Literal["blended_rate", "period_rate", "recent_rate", "final", "too_little_known"] = Field(
        description="What the forecast goes by: the rate of this period, that of the last seven days, the mean of both;"
        " `final`: the period is over.",
        examples=["blended_rate"],
    )
    forecast_nano_usd: int | None = nano_usd(
        "What the period will come to at that rate; null where nobody can tell", 498_000_000_000
    )
    forecast_usd: str | None = usd("What the period will come to at that rate; null where nobody can tell", "498.000000000")
    forecast_exceeded: bool = Field(description="Whether that is at or above `forecast_percent`.", examples=[False])
    exhausted_at: str | None = instant_field(
        "When the amount is used up at that rate; null: is already, or not in this period", None
    )


class Terms(Answer):
    """What a budget says."""

    name: str = Field(description="What it is called.", examples=["search, all models"])
    amount_nano_usd: int = nano_usd("How much may be spent in a period", 500_000_000_000)
    amount_usd: str = usd("How much may be spent in a period", "500.000000000")
    window: Literal["day", "week", "month", "quarter", "fixed"] = Field(description="How long a period is.", examples=["month"])
    start: str | None = Field(description="The first day of a fixed window.", examples=[None])
    end: str | None = Field(description="The day after its last one.", examples=[None])
    scope: dict[str, list[str]] = Field(description="What is counted; empty: everything of the account.", examples=[_SCOPE])
    thresholds: list[int] = Field(description="At which percentages an alert is raised.", examples=[[50, 80, 100]])
    forecast_percent: int | None = Field(description="From which forecast on; null: never.", examples=[110])
    action: Literal["notify", "block"] = Field(description="What it does.", examples=["notify"])
    block_percent: int | None = Field(description="From which percentage on it blocks.", examples=[None])
    basis: Literal["gross", "after_credits"] = Field(description="What counts.", examples=["gross"])


class Revision(Terms):
    """What was said of a budget at one time."""

    revision: int = Field(description="1 is the first.", examples=[1])
    recorded_at: str = instant_field("When it was said")
    recorded_by: str = Field(description="Who said it.", examples=["key 9f2ab61c03de"])


class BudgetAnswer(Terms):
    """A budget and how it stands."""

    id: int = Field(description="The budget.", examples=[3])
    account: str = Field(description="Whose it is.", examples=["acme"])
    revision: int = Field(description="Which revision of it holds.", examples=[1])
    created_at: str = instant_field("When it was made")
    state: State = Field(
        description="How it stands.", examples=[{"period": "2026-11", "spent_usd": "412.500000000", "percent": "82.5"}]
    )
    warnings: list[str] = Field(
        description="What of its scope nothing has so far; told when it is made or changed.",
        examples=[["no usage so far has the model 'lama'"]],
    )


class BudgetWithHistory(BudgetAnswer):
    """A budget, how it stands, and everything that was said of it."""

    revisions: list[Revision] = Field(description="What was said, oldest first.", examples=[[]])


class BudgetPage(Answer):
    """A page of budgets, oldest first."""

    items: list[BudgetAnswer] = Field(description="The budgets.", examples=[[]])
    next_cursor: str | None = next_cursor_field()


def budget_fields(view: BudgetDetails, warnings: list[str] | None = None) -> dict[str, Any]:
    """Return the fields of Budget."""
    return {
        "id": view.row.id,
        "account": view.account,
        "revision": view.row.revision,
        "created_at": format_instant(view.row.created_at),
        **_terms(view.row.terms),
        "state": _state(view.state),
        "warnings": warnings or [],
    }


def revision_fields(row: Budget) -> dict[str, Any]:
    """Return the fields of Revision."""
    return {
        "revision": row.revision,
        "recorded_at": format_instant(row.recorded_at),
        "recorded_by": row.recorded_by,
        **_terms(row.terms),
    }


def _terms(terms: BudgetTerms) -> dict[str, Any]:
    return {
        "name": terms.name,
        "amount_nano_usd": terms.amount_nano,
        "amount_usd": format_nano(terms.amount_nano),
        "window": terms.window.value,
        "start": None if terms.first_day is None else date_of(terms.first_day).isoformat(),
        "end": None if terms.end_day is None else date_of(terms.end_day).isoformat(),
        "scope": {name: list(values) for name, values in terms.scope.items()},
        "thresholds": list(terms.thresholds),
        "forecast_percent": terms.forecast_percent,
        "action": terms.action.value,
        "block_percent": terms.block_percent,
        "basis": terms.basis.value,
    }


def _state(state: BudgetState) -> dict[str, Any]:
    expected = state.forecast
    return {
        "period": state.period.name,
        "period_start": format_instant(state.period.start),
        "period_end": format_instant(state.period.end),
        "spent_nano_usd": state.spent_nano,
        "spent_usd": format_nano(state.spent_nano),
        "remaining_nano_usd": state.remaining_nano,
        "remaining_usd": format_nano(state.remaining_nano),
        "percent": state.percent,
        "reached": list(state.reached),
        "fired": list(state.fired),
        "blocked": state.blocked,
        "unpriced_events": state.unpriced_events,
        "forecast_method": expected.method.value,
        "forecast_nano_usd": expected.amount_nano,
        "forecast_usd": None if expected.amount_nano is None else format_nano(expected.amount_nano),
        "forecast_exceeded": state.forecast_exceeded,
        "exhausted_at": None if expected.exhausted_at is None else format_instant(expected.exhausted_at),
    }
