"""The data of alerts about budgets: small, versioned, and enough to act on without another request. See docs/alerts.md."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from metering.domain.budgets.budget_state import BudgetState
from metering.domain.budgets.budgets import FORECAST_EXCEEDED, Budget, Trigger, amount_number
from metering.domain.budgets.periods import Period
from metering.domain.instants import format_instant
from metering.storage.alerts.alerts import NewAlert
from metering.storage.budgets.budget_spend import SeriesSpend
from pricing.dollars import format_nano

DATA_VERSION = 1


def subject_of(budget_id: int) -> str:
    """Return the subject of alerts about a budget."""
    return f"budget:{budget_id}"


class BudgetSubject(NamedTuple):
    """A budget to raise alerts about, the name of its account, and when its amount was changed (microseconds UTC)."""

    budget: Budget
    account: str
    amount_changed_at: Sequence[int] = ()


def trigger_alert(about: BudgetSubject, period: Period, trigger: Trigger, spend: SeriesSpend, now: int) -> NewAlert:
    """Return the alert that a threshold is reached or that a budget blocks: one per period and amount."""
    budget, account, changed_at = about
    data = {**_budget_data(budget, account, period, now), **_spend_data(spend), "threshold_percent": trigger.percent}
    return NewAlert(
        type=trigger.type,
        subject=subject_of(budget.id),
        occurred_at=now,
        data=json.dumps(data),
        period=period.name,
        threshold=trigger.percent,
        account_id=budget.account_id,
        occurrence=amount_number(changed_at, period),
    )


def forecast_alert(about: BudgetSubject, state: BudgetState, now: int) -> NewAlert:
    """Return the alert that a forecast exceeds a budget: one per period and amount, whatever its forecast threshold."""
    budget, account, changed_at = about
    forecast, period = state.forecast, state.period
    amount = forecast.amount_nano or 0
    data = {
        **_budget_data(budget, account, period, now),
        **_spend_data(SeriesSpend(state.spent_nano, state.unpriced_events)),
        "threshold_percent": budget.terms.forecast_percent,
        "forecast_nano_usd": amount,
        "forecast_usd": format_nano(amount),
        "forecast_method": forecast.method.value,
        "exhausted_at": None if forecast.exhausted_at is None else format_instant(forecast.exhausted_at),
    }
    return NewAlert(
        type=FORECAST_EXCEEDED,
        subject=subject_of(budget.id),
        occurred_at=now,
        data=json.dumps(data),
        period=period.name,
        account_id=budget.account_id,
        occurrence=amount_number(changed_at, period),
    )


def _budget_data(budget: Budget, account: str, period: Period, now: int) -> dict[str, Any]:
    terms = budget.terms
    return {
        "version": DATA_VERSION,
        "budget_id": budget.id,
        "name": terms.name,
        "account": account,
        "scope": {name: list(values) for name, values in terms.scope.items()},
        "window": terms.window.value,
        "period": period.name,
        "period_start": format_instant(period.start),
        "period_end": format_instant(period.end),
        "late": period.is_over(now),
        "basis": terms.basis.value,
        "action": terms.action.value,
        "amount_nano_usd": terms.amount_nano,
        "amount_usd": format_nano(terms.amount_nano),
    }


def _spend_data(spend: SeriesSpend) -> dict[str, Any]:
    return {
        "spent_nano_usd": spend.amount_nano,
        "spent_usd": format_nano(spend.amount_nano),
        "unpriced_events": spend.unpriced_events,
    }
