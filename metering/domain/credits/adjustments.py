"""Adjustments: amounts without an event, each with a reason.

An adjustment states that the usage of its origin month cost more or less than its events add up to. Credits pay for it as they
pay for that month's usage. A statement shows it as a separate line.
"""

from msgspec import Struct


class Adjustment(Struct, frozen=True, kw_only=True):
    """Signed nano-USD about ``origin_month``, on the statement of ``billing_month`` (both ``YYYYMM``).

    ``reference`` identifies the adjustment within its account: recording the same reference again changes nothing.
    """

    billing_month: int
    origin_month: int
    amount_nano: int
    reason: str
    reference: str
    id: int = 0
    recorded_at: int = 0
