"""How a budget stands in one of its periods."""

from msgspec import Struct

from metering.domain.budgets.budgets import FULL, Budget, BudgetTerms
from metering.domain.budgets.forecasts import Forecast
from metering.domain.budgets.periods import Period


class BudgetState(Struct, frozen=True):
    """What was spent in a period of a budget's amount, what of its thresholds is reached, and what is to be expected.

    ``is_present``: the period has begun and is not over.

    ``reached`` is what spending is at or above now; ``fired`` what was told of, which stays told when spending falls. Usage
    without a price counts nothing: ``unpriced_events`` says how many requests that are.
    """

    terms: BudgetTerms
    period: Period
    spent_nano: int
    unpriced_events: int
    forecast: Forecast
    is_present: bool = True
    fired: tuple[int, ...] = ()

    @property
    def remaining_nano(self) -> int:
        """What is left of the amount; below zero when it is exceeded."""
        return self.terms.amount_nano - self.spent_nano

    @property
    def percent_tenths(self) -> int:
        """What is spent, in tenths of a percent of the amount, rounded down: 1000 is never shown before it is reached."""
        return self.spent_nano * FULL * 10 // self.terms.amount_nano

    @property
    def percent(self) -> str:
        """The same as a decimal: ``82.5``."""
        whole, tenths = divmod(abs(self.percent_tenths), 10)
        return f"{'-' if self.percent_tenths < 0 else ''}{whole}.{tenths}"

    @property
    def reached(self) -> tuple[int, ...]:
        """The thresholds that spending is at or above."""
        return tuple(each for each in sorted(self.terms.thresholds) if _reaches(self.spent_nano, each, self.terms.amount_nano))

    @property
    def forecast_exceeded(self) -> bool:
        """Whether the forecast is at or above the budget's threshold for forecasts."""
        percent, amount = self.terms.forecast_percent, self.forecast.amount_nano
        return percent is not None and amount is not None and _reaches(amount, percent, self.terms.amount_nano)

    @property
    def blocked(self) -> bool:
        """Whether the budget blocks: in its present period, and until spending falls below."""
        percent = self.terms.block_percent
        return percent is not None and self.is_present and _reaches(self.spent_nano, percent, self.terms.amount_nano)


def _reaches(amount_nano: int, percent: int, budget_nano: int) -> bool:
    return amount_nano * FULL >= budget_nano * percent


class BudgetDetails(Struct, frozen=True):
    """A budget, whose it is, and how it stands."""

    row: Budget
    account: str
    state: BudgetState
