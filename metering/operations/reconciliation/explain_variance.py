"""Explain a variance: what is recorded of it, some of its evidence, and which price it speaks of."""

from sqlalchemy import Connection, Engine

from metering.domain.instants import format_instant
from metering.domain.reconciliation.records import VarianceExplanation
from metering.operations.reconciliation.export_evidence import export_evidence, first_requests
from metering.operations.reconciliation.resolve_variance import show_variance
from metering.storage.engine.database import read_snapshot
from metering.storage.prices.price_tables import load_tables
from pricing.quoting import quote

_RATE = "rate "


def explain_variance(engine: Engine, variance_id: int, *, limit: int) -> VarianceExplanation:
    """Return a variance with at most ``limit`` of the differences, and of the requests, that show it. Raises NotFoundError."""
    found = show_variance(engine, variance_id)
    evidence = tuple(item for _, item in export_evidence(engine, variance_id, limit=limit))
    requests, in_all = first_requests(engine, variance_id, limit=limit)
    detail = found.variance.detail
    price = None
    if detail.startswith(_RATE) and detail.removeprefix(_RATE).isdecimal():
        with read_snapshot(engine) as connection:
            price = _price(connection, int(detail.removeprefix(_RATE)))
    return VarianceExplanation(found.variance, found.run, found.invoice, found.decisions, evidence, requests, in_all, price)


def _price(connection: Connection, rate_id: int) -> str | None:
    for table in load_tables(connection):
        for rate in table.rates:
            if rate.id == rate_id:
                prices = ", ".join(f"{kind} {quote(kind, price)}" for kind, price in rate.prices.items())
                return f"{prices} ({table.source}, table {table.id}, from {format_instant(table.effective_from)})"
    return None
