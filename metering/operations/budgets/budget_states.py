"""How budgets stand: what was spent in a period, and what is to be expected of it."""

from collections.abc import Collection

from metering.domain.budgets.budget_state import BudgetState
from metering.domain.budgets.budgets import BudgetBasis, BudgetTerms
from metering.domain.budgets.forecasts import RECENT_DAYS, forecast
from metering.domain.budgets.periods import Period
from metering.domain.instants import MICROS_PER_DAY
from metering.operations.budgets.account_spend import AccountSpend
from metering.storage.budgets.budget_spend import SeriesSpend


def spent_in(terms: BudgetTerms, period: Period, spend: AccountSpend) -> SeriesSpend:
    """Return what counts against a budget in a period, and how many events have no price."""
    gross = spend.within(terms.scope, period.first_day, period.end_day)
    if terms.basis is BudgetBasis.GROSS:
        return gross
    return SeriesSpend(spend.after_credits(period), gross.unpriced_events)


def state_of(
    terms: BudgetTerms, spend: AccountSpend, now: int, *, period: Period | None = None, fired: Collection[int] = ()
) -> BudgetState:
    """Return how a budget stands in a period, the present one when none is named. ``fired`` are thresholds told of in it."""
    period = period or terms.current_period(now)
    spent = spent_in(terms, period, spend)
    return BudgetState(
        terms=terms,
        period=period,
        spent_nano=spent.amount_nano,
        unpriced_events=spent.unpriced_events,
        forecast=forecast(period, now, spent.amount_nano, _recent(terms, spend, now), terms.amount_nano),
        is_present=period.start <= now < period.end,
        fired=tuple(sorted(fired)),
    )


def _recent(terms: BudgetTerms, spend: AccountSpend, now: int) -> list[int]:
    """Return what was spent on each of the days before today; of what credits leave there is no such thing by day."""
    if terms.basis is not BudgetBasis.GROSS:
        return []
    today = now // MICROS_PER_DAY
    days = range(today - RECENT_DAYS, today)
    spend.read_days(days)
    return [spend.within(terms.scope, day, day + 1).amount_nano for day in days]
