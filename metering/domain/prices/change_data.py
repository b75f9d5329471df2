"""Price changes as plain data, as they are stored and shown."""

from collections.abc import Mapping, Sequence
from typing import Any

from metering.domain.statements.statements import unit_of
from pricing.changes import PriceChange
from pricing.dollars import format_pico
from pricing.guards import HoldReason
from pricing.rates import Price


def changes_as_data(changes: Sequence[PriceChange]) -> list[dict[str, Any]]:
    """Return changes as they are stored; a price is [pico-USD, number of units], or None."""
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
    """Return stored changes as they are shown, with prices in dollars."""
    return [
        {
            **change,
            "before": shown_price(change["quantity"], change["before"]),
            "after": shown_price(change["quantity"], change["after"]),
        }
        for change in changes
    ]


def shown_price(quantity: str, price: Sequence[int] | None) -> dict[str, Any] | None:
    """Return a stored price in dollars (a decimal string), with its number of units; None stays None."""
    if price is None:
        return None
    pico, block = price
    return {"price_usd": format_pico(pico), "per": block, "unit": unit_of(quantity)}


def reasons_as_data(reasons: Sequence[HoldReason]) -> list[dict[str, str]]:
    """Return the reasons why a sync is pending, as they are stored: a stable code and a message."""
    return [{"code": reason.code.value, "message": reason.message} for reason in reasons]


def _price(price: Price | None) -> list[int] | None:
    return None if price is None else [price.pico, price.block]
