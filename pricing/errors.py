"""Errors about prices and quantities. Each has a stable ``code``."""

from enum import StrEnum


class PricingError(ValueError):
    """A price, quantity or amount that cannot be used; the message names it and the reason."""

    code = "pricing_error"


class InvalidAmountError(PricingError):
    """A decimal amount that is not a number, or has more decimals than its unit."""

    code = "invalid_amount"


class InvalidQuantityError(PricingError):
    """A quantity that is negative, not an integer, or too large."""

    code = "invalid_quantity"


class PriceFault(StrEnum):
    """Kinds of errors in prices, as stable codes of ``InvalidPriceError``."""

    MALFORMED = "malformed"
    UNREADABLE = "unreadable"
    DUPLICATE = "duplicate"
    OUT_OF_ORDER = "out_of_order"
    NEGATIVE = "negative"
    IMPLAUSIBLE = "implausible"
    TOO_PRECISE = "too_precise"
    UNIT = "unit"
    CURRENCY = "currency"


class InvalidPriceError(PricingError):
    """A price, an entry of a price list, or a whole list that cannot be used; ``fault`` is the kind of error."""

    code = "invalid_price"

    def __init__(self, message: str, fault: PriceFault = PriceFault.MALFORMED) -> None:
        super().__init__(message)
        self.fault = fault


class InvalidPlanError(PricingError):
    """A plan that does not exist, or a malformed entry of a plan."""

    code = "invalid_plan"


class ChargeTooLargeError(PricingError):
    """A charge of 2^43 nano-USD or more (about $8,796 for one request), which is never stored.

    ``amount_nano`` is the computed amount.
    """

    code = "charge_too_large"

    def __init__(self, message: str, amount_nano: int) -> None:
        super().__init__(message)
        self.amount_nano = amount_nano


class InvalidAliasError(PricingError):
    """A model alias that is malformed, or conflicts with another."""

    code = "invalid_alias"


class InvalidDiscountError(PricingError):
    """A discount that is not a valid percentage, or has no price to apply to."""

    code = "invalid_discount"
