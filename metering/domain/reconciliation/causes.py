"""Why our figure and theirs differ: the causes, in the order in which a bridge names them."""

from enum import StrEnum


class Cause(StrEnum):
    """A named reason for an amount of the difference."""

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
    TOTAL_MISMATCH = "total_mismatch"
    ROUNDING = "rounding"
    UNEXPLAINED = "unexplained"


ORDER = tuple(Cause)

WORDS: dict[Cause, str] = {
    Cause.MISSING_THERE: "metered by us, not on their bill",
    Cause.MISSING_HERE: "on their bill, not metered by us",
    Cause.DUPLICATE_THERE: "billed more than once",
    Cause.REFUND: "taken back on their bill",
    Cause.QUANTITY: "billed for another quantity",
    Cause.PRICE: "billed at another price",
    Cause.MARKUP: "billed at our amounts times a constant factor",
    Cause.OTHER_ROUTE_BILLED: "billed although another party bills that route",
    Cause.FAILED_BILLED: "failed requests that were billed",
    Cause.NEVER_CHARGED: "listed with no charge",
    Cause.PLACEHOLDER: "still at the placeholder of $0.01",
    Cause.PENDING: "younger than 30 minutes when the report was made",
    Cause.UNPRICED_HERE: "billed, and we know no price for it",
    Cause.UNKNOWN_ROUTE: "billed, and our record does not state the route",
    Cause.PERIOD_EDGE: "counted in the neighbouring period by one side",
    Cause.CREDITS: "credits applied on their bill",
    Cause.FEE: "fees on their bill",
    Cause.TAX: "taxes on their bill",
    Cause.TOTAL_MISMATCH: "their total is not the sum of their lines",
    Cause.ROUNDING: "rounding",
    Cause.UNEXPLAINED: "unexplained",
}

NEEDS_NOBODY = frozenset({Cause.ROUNDING, Cause.PENDING, Cause.CREDITS, Cause.FEE, Cause.TAX})
"""What is expected on a bill: such variances begin as explained. All others begin as open."""


class CauseBasis(StrEnum):
    """How a cause is known: seen in the lines and the log, or the one hypothesis that fits the amounts."""

    OBSERVED = "observed"
    INFERRED = "inferred"
