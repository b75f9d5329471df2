"""What can be wrong with prices and quantities. Each error carries a stable ``code``."""

from enum import StrEnum


class PricingError(ValueError):
    """A price, a quantity or an amount that can not be used; the message says which and why."""

    code = "pricing_error"


class InvalidAmountError(PricingError):
    """A decimal amount that is not a number, or is more exact than its unit can hold."""

    code = "invalid_amount"


class InvalidQuantityError(PricingError):
    """A quantity that is negative, not an integer, or beyond the bound."""

    code = "invalid_quantity"


class PriceFault(StrEnum):
    """What is wrong with a price, as a stable word; an ``InvalidPriceError`` carries it beside its message."""

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
    """A price, an entry of a price list, or a whole list that can not be used; ``fault`` says what kind of wrong."""

    code = "invalid_price"

    def __init__(self, message: str, fault: PriceFault = PriceFault.MALFORMED) -> None:
        super().__init__(message)
        self.fault = fault


class InvalidPlanError(PricingError):
    """A plan or a plan's entry that is unknown or malformed."""

    code = "invalid_plan"


class ChargeTooLargeError(PricingError):
    """A charge of 2^43 nano-USD or more (about $8,796 for one request): refused, never stored.

    ``amount_nano`` is what it comes to all the same.
    """

    code = "charge_too_large"

    def __init__(self, message: str, amount_nano: int) -> None:
        super().__init__(message)
        self.amount_nano = amount_nano


class InvalidAliasError(PricingError):
    """An alias of a model that is malformed, or contradicts another."""

    code = "invalid_alias"


class InvalidDiscountError(PricingError):
    """A discount that is no percentage, or that there is nothing to take off."""

    code = "invalid_discount"
