"""A pending price table as JSON, exact, so that it is recorded as it was fetched once it is accepted."""

import json

from pricing.rates import Price, Rate
from pricing.tables import Layer, PriceTable, TableKind


def write_table(table: PriceTable) -> str:
    """Return an unrecorded table as JSON. Prices are whole pico-USD per block of units."""
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
    pending = json.loads(text)
    return PriceTable(
        source=pending["source"],
        layer=Layer(pending["layer"]),
        kind=TableKind(pending["kind"]),
        effective_from=pending["effective_from"],
        route=pending["route"],
        rates=tuple(
            Rate(**(rate | {"prices": {kind: Price(*price) for kind, price in rate["prices"].items()}}))
            for rate in pending["rates"]
        ),
        withdrawn=frozenset((provider, model, operation) for provider, model, operation in pending["withdrawn"]),
    )
