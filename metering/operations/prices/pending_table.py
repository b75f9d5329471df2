"""A price table as JSON, exactly: what was held back is recorded as it was fetched, once somebody accepts it."""

import json

from pricing.rates import Price, Rate
from pricing.tables import Layer, PriceTable, TableKind


def write_table(table: PriceTable) -> str:
    """Return a table that is not recorded yet as JSON; prices are whole pico-USD per block of units."""
    return json.dumps(
        {
            "source": table.source,
            "layer": int(table.layer),
            "kind": table.kind.value,
            "effective_from": table.effective_from,
            "route": table.route,
            "rates": [
                {
                    "provider": rate.provider,
                    "model": rate.model,
                    "operation": rate.operation,
                    "context_from": rate.context_from,
                    "source": rate.source,
                    "prices": {kind: [price.pico, price.block] for kind, price in rate.prices.items()},
                }
                for rate in table.rates
            ],
            "withdrawn": sorted(table.withdrawn),
        },
        separators=(",", ":"),
    )


def read_table(text: str) -> PriceTable:
    """Return the table that ``write_table`` wrote."""
    held = json.loads(text)
    return PriceTable(
        source=held["source"],
        layer=Layer(held["layer"]),
        kind=TableKind(held["kind"]),
        effective_from=held["effective_from"],
        route=held["route"],
        rates=tuple(
            Rate(**(rate | {"prices": {kind: Price(*price) for kind, price in rate["prices"].items()}}))
            for rate in held["rates"]
        ),
        withdrawn=frozenset((provider, model, operation) for provider, model, operation in held["withdrawn"]),
    )
