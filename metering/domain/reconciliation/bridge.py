"""The bridge: from the metered amount to the billed one, one step per cause, adding up exactly."""

from collections.abc import Iterable

from msgspec import Struct

from metering.domain.errors import DomainError
from metering.domain.reconciliation.causes import ORDER, Cause
from metering.domain.reconciliation.findings import Finding
from metering.domain.reconciliation.rounding import is_rounding


class BrokenBridgeError(DomainError):
    """The steps do not lead from our amount to theirs: a mistake in this code, never in an invoice."""

    code = "broken_bridge"


class BridgeStep(Struct, frozen=True):
    """What one cause adds to our amount, in nano-USD, over ``items`` differences."""

    cause: Cause
    amount_nano: int
    items: int


class Bridge(Struct, frozen=True):
    """``ours_nano`` and the steps add up to ``theirs_nano``."""

    ours_nano: int
    theirs_nano: int
    steps: tuple[BridgeStep, ...]

    @property
    def difference_nano(self) -> int:
        """Theirs less ours."""
        return self.theirs_nano - self.ours_nano

    def amount_of(self, cause: Cause) -> int:
        """Return what a cause adds; 0 if it is not a step."""
        return next((step.amount_nano for step in self.steps if step.cause is cause), 0)


def build_bridge(ours_nano: int, theirs_nano: int, findings: Iterable[Finding]) -> Bridge:
    """Return the bridge that findings make.

    Raises BrokenBridgeError if they do not add up to the difference, or if rounding exceeds its slack.
    """
    amounts: dict[Cause, int] = {}
    items: dict[Cause, int] = {}
    for finding in findings:
        cause = finding.key.cause
        if cause is Cause.ROUNDING and not is_rounding(finding.amount_nano, finding.slack_nano):
            raise BrokenBridgeError(
                f"{finding.amount_nano} nano-USD cannot be rounding, which explains at most {finding.slack_nano}; nothing was"
                " recorded"
            )
        amounts[cause] = amounts.get(cause, 0) + finding.amount_nano
        items[cause] = items.get(cause, 0) + len(finding.items)
    steps = tuple(BridgeStep(cause, amounts[cause], items[cause]) for cause in ORDER if cause in amounts)
    reached = ours_nano + sum(step.amount_nano for step in steps)
    if reached != theirs_nano:
        raise BrokenBridgeError(
            f"the steps lead from {ours_nano} to {reached} nano-USD instead of {theirs_nano}; nothing was recorded"
        )
    return Bridge(ours_nano, theirs_nano, steps)
