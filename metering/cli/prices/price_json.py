"""Prices as JSON, with the field names of the HTTP API."""

from collections.abc import Iterable
from typing import Any

from metering.domain.instants import format_instant
from metering.domain.prices.listed_rates import ListedRate
from metering.domain.statements.statements import unit_of
from metering.operations.accounts.manage_accounts import account_names as all_names
from metering.operations.service.open_service import Service
from pricing.dollars import format_pico
from pricing.rates import Price, Rate
from pricing.tables import PriceTable

Names = dict[int, str]
"""Names of accounts by id."""


def account_names(service: Service) -> Names:
    """Return the current name of every account."""
    return all_names(service.engine)


def known_at_json(known_at: int | None) -> dict[str, str | None]:
    """Return until when what is answered was recorded; null: until now."""
    return {"known_at": None if known_at is None else format_instant(known_at)}


def price_json(price: ListedRate, names: Names) -> dict[str, Any]:
    """Return a rate with the table that holds it."""
    rate = price.rate
    return {
        "rate_id": rate.id,
        "provider": rate.provider,
        "model": rate.model,
        "operation": rate.operation,
        "context_from": rate.context_from,
        "prices": prices_json(rate),
        "provenance": rate.source,
        "table_id": price.table.id,
        **shared_json(price.table, names),
    }


def table_json(table: PriceTable, names: Names) -> dict[str, Any]:
    """Return a table without its rates."""
    return {
        "id": table.id,
        "kind": str(table.kind),
        "recorded_at": format_instant(table.recorded_at),
        "rates": len(table.rates),
        "withdrawn": len(table.withdrawn),
        "digest": table.digest,
        **shared_json(table, names),
    }


def shared_json(table: PriceTable, names: Names) -> dict[str, Any]:
    """Return whose a table is and since when it holds."""
    return {
        "source": table.source,
        "layer": table.layer.name.lower(),
        "route": table.route,
        "account": None if table.account_id is None else names.get(table.account_id),
        "effective_from": format_instant(table.effective_from),
    }


def prices_json(rate: Rate) -> dict[str, Any]:
    """Return the price of each kind of quantity."""
    return {kind: price_of_quantity(kind, price) for kind, price in rate.prices.items()}


def price_of_quantity(kind: str, price: Price) -> dict[str, Any]:
    """Return the price of one kind of quantity."""
    return {"price_usd": format_pico(price.pico), "per": price.block, "unit": unit_of(kind)}


def tiers_json(tiers: Iterable[Rate]) -> list[dict[str, Any]]:
    """Return tiers of one model, smallest prompt first."""
    return [
        {"rate_id": rate.id, "context_from": rate.context_from, "prices": prices_json(rate), "provenance": rate.source}
        for rate in tiers
    ]
