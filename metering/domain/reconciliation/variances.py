"""A variance: a difference with its cause, what is tolerated of it, and the states that it goes through.

What is within the tolerance is set aside only while all that is set aside, together, is within it: many small differences are
never hidden one by one. What was decided holds for the same cause and the same amount; another amount is another question.
"""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from metering.domain.errors import DomainError
from metering.domain.reconciliation.causes import NEEDS_NOBODY, Cause
from metering.domain.reconciliation.findings import Finding

PPM = 1_000_000
WHO_RECONCILES = "reconcile"


class VarianceState(StrEnum):
    """Where a variance stands."""

    OPEN = "open"
    EXPLAINED = "explained"
    ACCEPTED = "accepted"
    DISPUTED = "disputed"
    RESOLVED = "resolved"


class Tolerance(Struct, frozen=True):
    """How much may differ before somebody has to look: nano-USD, or millionths of their figure, whichever is more."""

    nano: int = 10_000_000
    ppm: int = 0

    def __post_init__(self) -> None:
        """Refuse less than nothing."""
        if self.nano < 0 or self.ppm < 0:
            raise DomainError("a tolerance is how much may differ in either direction: 0 or more")

    def of(self, theirs_nano: int) -> int:
        """Return the tolerance for a bill of this amount, nano-USD."""
        return max(self.nano, abs(theirs_nano) * self.ppm // PPM)


def tolerated(findings: Sequence[Finding], tolerance_nano: int) -> set[int]:
    """Return the positions of the findings that need nobody: expected ones, and small ones within the tolerance together.

    The smallest first; magnitudes are added, so that what is too much and what is too little do not hide each other.
    """
    expected = {at for at, found in enumerate(findings) if found.key.cause in NEEDS_NOBODY}
    left = tolerance_nano
    chosen = set(expected)
    for weight, at in sorted((abs(found.amount_nano), at) for at, found in enumerate(findings) if at not in expected):
        left -= weight
        if left < 0:
            break
        chosen.add(at)
    return chosen


def first_state(cause: Cause) -> VarianceState:
    """Return the state in which a variance begins that nobody has decided on."""
    return VarianceState.EXPLAINED if cause in NEEDS_NOBODY else VarianceState.OPEN


def needs_attention(state: str, *, is_tolerated: bool) -> bool:
    """Whether a variance is open and more than is tolerated."""
    return state == VarianceState.OPEN and not is_tolerated


def check_decision(state: str, who: str, reason: str) -> VarianceState:
    """Return the state that is decided on. Raises DomainError without a name or a reason."""
    if state not in list(VarianceState):
        raise DomainError(f"a variance is one of {', '.join(VarianceState)}, got {state[:40]!r}")
    for name, text in (("who decides", who), ("why", reason)):
        if not text.strip() or len(text) > 255:
            raise DomainError(f"say {name}, in 1 to 255 characters: it stays with the variance")
    return VarianceState(state)
