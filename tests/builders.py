"""Builders for tests: plain functions that return valid values, with overrides. Import as ``from builders import usage_event``.

Prices are round, so that expected amounts can be worked out in the head: an input token of ``llama`` at together costs 1,000
nano-USD, an output token 2,000; by any route from 2020 on.
"""

from collections.abc import Iterable
from itertools import count

from metering.domain.batches import Batch, BatchBuilder
from metering.domain.events import DecodedBlock, DecodedEvent, Position, RejectedRecord, UsageEvent
from metering.domain.identity import fingerprint_of
from metering.domain.instants import parse_instant
from pricing.quantities import Quantities
from pricing.rates import Price, Rate
from pricing.tables import Layer, PriceTable, TableKind

NOW = parse_instant("2026-11-23T10:00:00Z")
NOON = parse_instant("2026-11-03T12:00:00Z")
SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
FROM_2020 = parse_instant("2020-01-01T00:00:00Z")

INPUT_NANO = 1_000
OUTPUT_NANO = 2_000

_ids = count(1)


def instant(text: str) -> int:
    """Return an ISO time as microseconds."""
    return parse_instant(text)


def usage_event(**overrides) -> UsageEvent:
    """Return an answered chat request with an id of its own: 100 tokens in, 10 out, 120,000 nano-USD at ``llama``'s price."""
    fields = {
        "id": f"req-{next(_ids)}",
        "source": "gateway",
        "time": NOON,
        "account": "acme",
        "provider": "together",
        "model": "llama",
        "operation": "chat",
        "route": "routed",
        "status": 200,
        "quantities": Quantities(input_tokens=100, output_tokens=10),
    }
    return UsageEvent(**fields | overrides)


def batch_of(
    *events: UsageEvent, declared_tags: Iterable[str] = (), rejected: Iterable[RejectedRecord] = (), first_line: int = 1
) -> Batch:
    """Return the events as a batch, as if each stood on a line of 100 bytes of its own."""
    decoded = [
        DecodedEvent(event, fingerprint_of(event), Position(line, 100 * (line - 1), 100))
        for line, event in enumerate(events, first_line)
    ]
    return BatchBuilder(frozenset(declared_tags)).batch_of(DecodedBlock(decoded, list(rejected), {}))


def rejected_record(**overrides) -> RejectedRecord:
    """Return a record that named no model."""
    fields = {
        "position": Position(1, 0, 20),
        "digest": "d1",
        "code": "missing_model",
        "reason": "no model",
        "kept": {"id": "x"},
    }
    return RejectedRecord(**fields | overrides)


def rate(input_pico: int = INPUT_NANO * 1000, output_pico: int = OUTPUT_NANO * 1000, **overrides) -> Rate:
    """Return the rate of ``llama`` at together; prices in pico-USD for one token."""
    fields = {
        "provider": "together",
        "model": "llama",
        "prices": {"input_tokens": Price(input_pico), "output_tokens": Price(output_pico)},
    }
    return Rate(**fields | overrides)


def price_table(*rates: Rate, **overrides) -> PriceTable:
    """Return an operator's table that is valid from 2020 on."""
    fields = {"source": "sheet", "layer": Layer.OPERATOR, "kind": TableKind.PATCH, "effective_from": FROM_2020}
    return PriceTable(rates=rates, **fields | overrides)
