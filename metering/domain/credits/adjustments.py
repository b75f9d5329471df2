"""An adjustment: an amount without an event, decided by somebody, with its reason.

It says that the usage of its origin month cost more or less than its events add up to: credits pay for it as they pay for that
month's usage, and it stands on a statement as a line of its own.
"""

from msgspec import Struct


class Adjustment(Struct, frozen=True, kw_only=True):
    """Signed nano-USD about ``origin_month``, on the statement of ``billing_month`` (both ``YYYYMM``).

    ``reference`` names the decision: the same again is the same adjustment.
    """

    billing_month: int
    origin_month: int
    amount_nano: int
    reason: str
    reference: str
    id: int = 0
    recorded_at: int = 0
