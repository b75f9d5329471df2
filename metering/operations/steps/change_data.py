"""Changes of prices as they are kept and shown: plain data, so that a diff is read back as it was found."""

from collections.abc import Sequence
from typing import Any

from pricing.changes import PriceChange
from pricing.guards import HoldReason
from pricing.rates import Price


def changes_as_data(changes: Sequence[PriceChange]) -> list[dict[str, Any]]:
    """Return changes in their order; a price is [pico-USD, for how many units], None for none."""
    return [
        {
            "provider": change.provider,
            "model": change.model,
            "operation": change.operation,
            "context_from": change.context_from,
            "quantity": change.quantity,
            "change": change.kind.value,
            "before": _price(change.before),
            "after": _price(change.after),
        }
        for change in changes
    ]


def reasons_as_data(reasons: Sequence[HoldReason]) -> list[dict[str, str]]:
    """Return the reasons to hold: a stable code and words."""
    return [{"code": reason.code.value, "message": reason.message} for reason in reasons]


def _price(price: Price | None) -> list[int] | None:
    return None if price is None else [price.pico, price.block]
