"""The state of a budget in one of its periods."""

from msgspec import Struct

from metering.domain.budgets.budgets import FULL, Budget, BudgetTerms
from metering.domain.budgets.forecasts import Forecast
from metering.domain.budgets.periods import Period


class BudgetState(Struct, frozen=True):
    """Spend, thresholds and forecast of a budget in one period.

    ``is_current``: the period has started and not ended. ``fired`` are the thresholds that alerts were raised for; they remain
    when spending falls, unlike ``reached``. Usage without a price is not in ``spent_nano``; ``unpriced_events`` counts its
    requests.
    """

    terms: BudgetTerms
    period: Period
    spent_nano: int
    unpriced_events: int
    forecast: Forecast
    is_current: bool = True
    fired: tuple[int, ...] = ()

    @property
    def remaining_nano(self) -> int:
        """The rest of the amount; negative once the budget is exceeded."""
        return self.terms.amount_nano - self.spent_nano

    @property
    def percent_tenths(self) -> int:
        """Spend in tenths of a percent of the amount, rounded down: 1000 never appears before the amount is reached."""
        return self.spent_nano * FULL * 10 // self.terms.amount_nano

    @property
    def percent(self) -> str:
        """Spend as a decimal percentage of the amount: ``82.5``."""
        whole, tenths = divmod(abs(self.percent_tenths), 10)
        return f"{'-' if self.percent_tenths < 0 else ''}{whole}.{tenths}"

    @property
    def reached(self) -> tuple[int, ...]:
        """The thresholds that spending is at or above now."""
        return tuple(each for each in sorted(self.terms.thresholds) if _reaches(self.spent_nano, each, self.terms.amount_nano))

    @property
    def forecast_exceeded(self) -> bool:
        """Whether the forecast is at or above the budget's forecast threshold."""
        percent, amount = self.terms.forecast_percent, self.forecast.amount_nano
        return percent is not None and amount is not None and _reaches(amount, percent, self.terms.amount_nano)

    @property
    def blocked(self) -> bool:
        """Whether the budget blocks requests: only in its current period, and until spending falls below the threshold."""
        percent = self.terms.block_percent
        return percent is not None and self.is_current and _reaches(self.spent_nano, percent, self.terms.amount_nano)


class BudgetDetails(Struct, frozen=True):
    """A budget, the name of its account, and its state in one period."""

    budget: Budget
    account: str
    state: BudgetState


def _reaches(amount_nano: int, percent: int, budget_nano: int) -> bool:
    return amount_nano * FULL >= budget_nano * percent
