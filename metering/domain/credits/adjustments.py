"""Adjustments: amounts without an event, each with a reason.

An adjustment of usage states that the usage of its origin month cost more or less than its events add up to. Credits pay for it
as they pay for that month's usage. An adjustment of the total changes what is owed by its amount, whatever credits are left. A
statement shows either as a separate line.
"""

from msgspec import Struct

OF_USAGE, OF_TOTAL = "usage", "total"
"""What an adjustment is of."""


class Adjustment(Struct, frozen=True, kw_only=True):
    """Signed nano-USD about ``origin_month``, on the statement of ``billing_month`` (both ``YYYYMM``).

    ``adjusts`` is OF_USAGE or OF_TOTAL.

    ``reference`` identifies the adjustment within its account: recording the same reference again changes nothing.
    """

    billing_month: int
    origin_month: int
    amount_nano: int
    reason: str
    reference: str
    adjusts: str = OF_USAGE
    id: int = 0
    recorded_at: int = 0
