"""Compute the state of a budget in a period from the spend of its account."""

from collections.abc import Collection

from metering.domain.budgets.budget_state import BudgetState
from metering.domain.budgets.budgets import BudgetBasis, BudgetTerms
from metering.domain.budgets.forecasts import RECENT_DAYS, forecast
from metering.domain.budgets.periods import Period
from metering.domain.instants import MICROS_PER_DAY
from metering.operations.budgets.account_spend import AccountSpend
from metering.storage.budgets.budget_spend import SeriesSpend


def spend_in(terms: BudgetTerms, period: Period, spend: AccountSpend) -> SeriesSpend:
    """Return the spend that counts against a budget in a period, and the number of events without a price."""
    gross = spend.within(terms.scope, period.first_day, period.end_day)
    if terms.basis is BudgetBasis.GROSS:
        return gross
    return SeriesSpend(spend.after_credits(period), gross.unpriced_events)


def state_of(
    terms: BudgetTerms, spend: AccountSpend, now: int, *, period: Period | None = None, fired: Collection[int] = ()
) -> BudgetState:
    """Return the state of a budget in a period. Default: the current one. ``fired`` are the thresholds alerted on in it."""
    period = period or terms.current_period(now)
    counted = spend_in(terms, period, spend)
    return BudgetState(
        terms=terms,
        period=period,
        spent_nano=counted.amount_nano,
        unpriced_events=counted.unpriced_events,
        forecast=forecast(period, now, counted.amount_nano, _recent_days(terms, spend, now), terms.amount_nano),
        is_current=period.start <= now < period.end,
        fired=tuple(sorted(fired)),
    )


def _recent_days(terms: BudgetTerms, spend: AccountSpend, now: int) -> list[int]:
    """Return the spend on each of the days before today; empty after credits, which do not apply to single days."""
    if terms.basis is not BudgetBasis.GROSS:
        return []
    today = now // MICROS_PER_DAY
    days = range(today - RECENT_DAYS, today)
    spend.read_days(days)
    return [spend.within(terms.scope, day, day + 1).amount_nano for day in days]
