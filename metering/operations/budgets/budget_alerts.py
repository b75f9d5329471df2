"""What an alert about a budget says: small, versioned, and enough to act on without asking back. See docs/alerts.md."""

import json
from typing import Any

from metering.domain.budgets.budget_state import BudgetState
from metering.domain.budgets.budgets import FORECAST_EXCEEDED, Budget, Trigger
from metering.domain.budgets.periods import Period
from metering.domain.instants import format_instant
from metering.storage.alerts.alerts import NewAlert
from metering.storage.budgets.budget_spend import SeriesSpend
from pricing.dollars import format_nano

DATA_VERSION = 1


def subject_of(budget_id: int) -> str:
    """Return what alerts about a budget name as their subject."""
    return f"budget:{budget_id}"


def reached_alert(row: Budget, account: str, period: Period, trigger: Trigger, spend: SeriesSpend, now: int) -> NewAlert:
    """Return the alert that a threshold is reached, or that the budget blocks."""
    data = {**_about(row, account, period, now), **_spent(spend), "threshold_percent": trigger.percent}
    return NewAlert(
        type=trigger.type,
        subject=subject_of(row.id),
        occurred_at=now,
        data=json.dumps(data),
        period=period.name,
        threshold=trigger.percent,
        account_id=row.account_id,
    )


def forecast_alert(row: Budget, account: str, state: BudgetState, now: int) -> NewAlert:
    """Return the alert that a budget is forecast to be exceeded: one a period, whatever its threshold."""
    found, period = state.forecast, state.period
    amount = found.amount_nano or 0
    data = {
        **_about(row, account, period, now),
        **_spent(SeriesSpend(state.spent_nano, state.unpriced_events)),
        "threshold_percent": row.terms.forecast_percent,
        "forecast_nano_usd": amount,
        "forecast_usd": format_nano(amount),
        "forecast_method": found.method.value,
        "exhausted_at": None if found.exhausted_at is None else format_instant(found.exhausted_at),
    }
    return NewAlert(
        type=FORECAST_EXCEEDED,
        subject=subject_of(row.id),
        occurred_at=now,
        data=json.dumps(data),
        period=period.name,
        account_id=row.account_id,
    )


def _about(row: Budget, account: str, period: Period, now: int) -> dict[str, Any]:
    terms = row.terms
    return {
        "version": DATA_VERSION,
        "budget_id": row.id,
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


def _spent(spend: SeriesSpend) -> dict[str, Any]:
    return {
        "spent_nano_usd": spend.amount_nano,
        "spent_usd": format_nano(spend.amount_nano),
        "unpriced_events": spend.unpriced_events,
    }
