"""How a closed month differs from the same month computed now, and which later statements carry the difference."""

from msgspec import Struct

from metering.domain.accounts.plan_history import PlanMonth
from metering.domain.statements.statements import Statement


class StatementCorrection(Struct, frozen=True):
    """What one later statement corrects about a closed month, in nano-USD.

    ``credits_nano`` above zero: credits paid more; below zero: credits were restored.
    """

    month: int
    is_closed: bool
    usage_nano: int
    adjustments_nano: int
    credits_nano: int


class ClosedMonthDrift(Struct, frozen=True):
    """A closed statement with the month's usage (adjustments included) and credits as they would be computed now, in nano-USD.

    ``plan`` is what the plan catalog gives for the month now. The closed statement keeps the terms it was closed with.
    """

    statement: Statement
    usage_nano: int
    credits_nano: int
    plan: PlanMonth
    corrections: list[StatementCorrection]

    @property
    def closed_usage_nano(self) -> int:
        """The month's own usage when it was closed, adjustments included."""
        return self.usage_nano - sum(each.usage_nano + each.adjustments_nano for each in self.corrections)

    @property
    def plan_terms_changed(self) -> bool:
        """Whether the catalog has other terms for the month now. They change nothing."""
        return self.plan != self.statement.plan

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing arrived late, nothing was corrected, and the plan terms are the same."""
        return not self.corrections and not self.plan_terms_changed
