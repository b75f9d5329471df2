"""The bridge: from our figure to theirs, one step a cause, adding up exactly."""

from collections.abc import Iterable

from msgspec import Struct

from metering.domain.errors import DomainError
from metering.domain.reconciliation.causes import ORDER, Cause
from metering.domain.reconciliation.findings import Finding


class BrokenBridgeError(DomainError):
    """Steps that do not lead from our figure to theirs: a mistake of this code, never of an invoice."""

    code = "broken_bridge"


class BridgeStep(Struct, frozen=True):
    """What one cause adds to our figure, nano-USD, in how many differences."""

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
        """Return what a cause adds; 0 where it is no step."""
        return next((step.amount_nano for step in self.steps if step.cause is cause), 0)


def build_bridge(ours_nano: int, theirs_nano: int, findings: Iterable[Finding]) -> Bridge:
    """Return the bridge that findings make. Raises BrokenBridgeError where they do not lead across."""
    found_by_cause: dict[Cause, list[Finding]] = {}
    for found in findings:
        found_by_cause.setdefault(found.key.cause, []).append(found)
    steps = tuple(
        BridgeStep(cause, sum(each.amount_nano for each in same), sum(len(each.items) for each in same))
        for cause in ORDER
        if (same := found_by_cause.get(cause))
    )
    reached = ours_nano + sum(step.amount_nano for step in steps)
    if reached != theirs_nano:
        raise BrokenBridgeError(
            f"the steps lead from {ours_nano} to {reached} nano-USD instead of {theirs_nano}; nothing was recorded"
        )
    return Bridge(ours_nano, theirs_nano, steps)
