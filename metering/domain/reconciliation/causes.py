"""Causes: why the metered and the billed amount differ, in the order in which a bridge lists them."""

from enum import StrEnum


class Cause(StrEnum):
    """A named reason for a part of the difference."""

    MISSING_THERE = "missing_there"
    MISSING_HERE = "missing_here"
    DUPLICATE_THERE = "duplicate_there"
    REFUND = "refund"
    QUANTITY = "quantity"
    PRICE = "price"
    MARKUP = "markup"
    OTHER_ROUTE_BILLED = "other_route_billed"
    FAILED_BILLED = "failed_billed"
    NEVER_CHARGED = "never_charged"
    PLACEHOLDER = "placeholder"
    PENDING = "pending"
    UNPRICED_HERE = "unpriced_here"
    UNKNOWN_ROUTE = "unknown_route"
    PERIOD_EDGE = "period_edge"
    CREDITS = "credits"
    FEE = "fee"
    TAX = "tax"
    ADJUSTMENT = "adjustment"
    TOTAL_MISMATCH = "total_mismatch"
    ROUNDING = "rounding"
    UNEXPLAINED = "unexplained"


ORDER = tuple(Cause)

DESCRIPTIONS: dict[Cause, str] = {
    Cause.MISSING_THERE: "metered but not billed",
    Cause.MISSING_HERE: "billed but not metered",
    Cause.DUPLICATE_THERE: "billed more than once",
    Cause.REFUND: "refunded on the invoice",
    Cause.QUANTITY: "billed for different quantities",
    Cause.PRICE: "billed at a different price",
    Cause.MARKUP: "billed at a constant multiple of our amounts",
    Cause.OTHER_ROUTE_BILLED: "billed although another party bills it",
    Cause.FAILED_BILLED: "failed requests that were billed",
    Cause.NEVER_CHARGED: "listed on the invoice with no charge",
    Cause.PLACEHOLDER: "still at the $0.01 placeholder",
    Cause.PENDING: "less than 30 minutes old at invoice time",
    Cause.UNPRICED_HERE: "billed, but no price is known here",
    Cause.UNKNOWN_ROUTE: "billed, but the route is unknown here",
    Cause.PERIOD_EDGE: "counted in the adjacent period by one side",
    Cause.CREDITS: "credits applied on the invoice",
    Cause.FEE: "fees on the invoice",
    Cause.TAX: "taxes on the invoice",
    Cause.ADJUSTMENT: "other amounts on our statement",
    Cause.TOTAL_MISMATCH: "total differs from the sum of the lines",
    Cause.ROUNDING: "rounding",
    Cause.UNEXPLAINED: "unexplained",
}

EXPECTED_CAUSES = frozenset({Cause.ROUNDING, Cause.PENDING, Cause.CREDITS, Cause.FEE, Cause.TAX, Cause.ADJUSTMENT})
"""Causes that are normal on an invoice: their variances start as explained. All others start as open."""


class CauseBasis(StrEnum):
    """How a cause is known: observed in the lines and the log, or inferred as the only hypothesis that fits the amounts."""

    OBSERVED = "observed"
    INFERRED = "inferred"
