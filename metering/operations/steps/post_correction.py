"""Post a correction: an amount without an event, about a month, on that month's statement or the first open one."""

from msgspec import Struct
from sqlalchemy import Connection

from metering.domain.errors import DomainError


class Correction(Struct, frozen=True, kw_only=True):
    """Signed nano-USD about ``month`` (``YYYYMM``); ``reference`` names the decision, the same again is the same correction."""

    account: str
    month: int
    amount_nano: int
    reference: str
    reason: str


class CorrectionsUnavailableError(DomainError):
    """This release keeps no adjustments."""

    code = "corrections_unavailable"


def post_correction(connection: Connection, correction: Correction, *, now: int) -> str:  # noqa: ARG001
    """Write the correction within the caller's transaction; return its reference. Raises CorrectionsUnavailableError."""
    raise CorrectionsUnavailableError("this release keeps no adjustments; accept the variance without a correction")
