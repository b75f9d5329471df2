"""What has changed about a closed month since it was closed."""

from typing import NamedTuple

from metering.domain.accounts.plan_history import PlanMonth
from metering.domain.statements.statements import Statement


class StatementCorrection(NamedTuple):
    """What one later statement says about a closed month, in nano-USD; ``credits_nano`` above zero: credits paid more."""

    month: int
    is_closed: bool
    usage_nano: int
    adjustments_nano: int
    credits_nano: int


class ClosedMonthDrift(NamedTuple):
    """A closed month as it was closed, and as computing it again would make it.

    ``usage_nano`` includes adjustments. ``plan`` is what the catalogue makes of the plan now; what was closed keeps its own.
    """

    statement: Statement
    usage_nano: int
    credits_nano: int
    plan: PlanMonth
    corrections: list[StatementCorrection]

    @property
    def closed_usage_nano(self) -> int:
        """The month's own usage as it was closed, adjustments included."""
        return self.usage_nano - sum(each.usage_nano + each.adjustments_nano for each in self.corrections)

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing came late and nothing was corrected."""
        return not self.corrections and self.plan == self.statement.plan
