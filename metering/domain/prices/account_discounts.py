"""A discount on an account's prices, as requested and as recorded."""

from msgspec import Struct

from pricing.discounts import Discount, ExpandedDiscounts


class DiscountRequest(Struct, frozen=True):
    """A discount of ``share`` millionths on an account's prices from an instant (microseconds UTC).

    ``provider`` and ``model`` limit it to one provider or model.
    """

    account: str
    share: int
    effective_from: int
    provider: str | None = None
    model: str | None = None


class RecordedDiscount(Struct, frozen=True):
    """An account's discount, the ids of the price tables that were added for it, and the prices it covers."""

    account: str
    discount: Discount
    table_ids: list[int]
    expanded: ExpandedDiscounts
