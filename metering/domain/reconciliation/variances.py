"""A variance: a difference with its cause, the tolerance, and the states it goes through.

Small variances are tolerated only while all that are tolerated are within the tolerance together, so that many small
differences are never hidden one by one. A decision applies to the same cause with the same amount; a changed amount reopens
the variance.
"""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from metering.domain.errors import DomainError
from metering.domain.reconciliation.causes import EXPECTED_CAUSES, Cause
from metering.domain.reconciliation.findings import Finding

PPM = 1_000_000
RECONCILE = "reconcile"
"""Who a state is by that no person decided on."""


class VarianceState(StrEnum):
    """The state of a variance."""

    OPEN = "open"
    EXPLAINED = "explained"
    ACCEPTED = "accepted"
    DISPUTED = "disputed"
    RESOLVED = "resolved"


class Tolerance(Struct, frozen=True):
    """How much an invoice may differ in all: nano-USD, or millionths of the billed amount, whichever is more."""

    nano: int = 10_000_000
    ppm: int = 0

    def __post_init__(self) -> None:
        """Refuse a negative tolerance."""
        if self.nano < 0 or self.ppm < 0:
            raise DomainError("a tolerance applies in both directions; it must be 0 or more")

    def of(self, theirs_nano: int) -> int:
        """Return the tolerance for a billed amount, in nano-USD."""
        return max(self.nano, abs(theirs_nano) * self.ppm // PPM)


def tolerated(findings: Sequence[Finding], tolerance_nano: int) -> set[int]:
    """Return the positions of the findings that need no attention: expected causes, and small ones within the tolerance.

    The smallest come first. Magnitudes are added, so that amounts in opposite directions do not hide each other.
    """
    expected = {at for at, finding in enumerate(findings) if finding.key.cause in EXPECTED_CAUSES}
    left = tolerance_nano
    chosen = set(expected)
    for size, at in sorted((abs(finding.amount_nano), at) for at, finding in enumerate(findings) if at not in expected):
        left -= size
        if left < 0:
            break
        chosen.add(at)
    return chosen


def first_state(cause: Cause) -> VarianceState:
    """Return the state in which a variance starts."""
    return VarianceState.EXPLAINED if cause in EXPECTED_CAUSES else VarianceState.OPEN


def needs_attention(state: str, *, is_tolerated: bool) -> bool:
    """Return whether a variance is open and not tolerated."""
    return state == VarianceState.OPEN and not is_tolerated


def check_decision(state: str, who: str, reason: str) -> VarianceState:
    """Return the state of a decision. Raises DomainError for an unknown state, and without a name or a reason."""
    if state not in list(VarianceState):
        raise DomainError(f"a variance can be {', '.join(VarianceState)}; got {state[:40]!r}")
    for name, text in (("who decides", who), ("the reason", reason)):
        if not text.strip() or len(text) > 255:
            raise DomainError(f"state {name} in 1 to 255 characters; it is recorded with the variance")
    return VarianceState(state)
