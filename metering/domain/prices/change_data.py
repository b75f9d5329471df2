"""Changes of prices as they are kept and shown: plain data, so that a diff is read back as it was found."""

from collections.abc import Mapping, Sequence
from typing import Any

from metering.domain.statements.statements import unit_of
from pricing.changes import PriceChange
from pricing.dollars import format_pico
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


def changes_as_shown(changes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return kept changes as the API shows them: a price is dollars, per how many units."""
    return [
        {
            **change,
            "before": shown_price(change["quantity"], change["before"]),
            "after": shown_price(change["quantity"], change["after"]),
        }
        for change in changes
    ]


def shown_price(quantity: str, price: Sequence[int] | None) -> dict[str, Any] | None:
    """Return a kept price of a quantity as dollars (a decimal string) per units; None for none."""
    return None if price is None else {"price_usd": format_pico(price[0]), "per": price[1], "unit": unit_of(quantity)}


def reasons_as_data(reasons: Sequence[HoldReason]) -> list[dict[str, str]]:
    """Return the reasons to hold: a stable code and words."""
    return [{"code": reason.code.value, "message": reason.message} for reason in reasons]


def _price(price: Price | None) -> list[int] | None:
    return None if price is None else [price.pico, price.block]
