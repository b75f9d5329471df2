"""Explain a variance: its history, some of its evidence, and the price that its detail refers to."""

from sqlalchemy import Connection, Engine

from metering.domain.instants import format_instant
from metering.domain.reconciliation.records import VarianceExplanation, VarianceHistory
from metering.operations.reconciliation.export_evidence import export_evidence, first_requests
from metering.operations.reconciliation.find_variance import find_variance
from metering.storage.engine.database import read_snapshot
from metering.storage.prices.price_tables import load_tables
from pricing.quoting import quote

DEFAULT_EVIDENCE = 100
"""How much evidence an answer contains unless the caller limits it."""

MAX_EVIDENCE = 1_000
_RATE = "rate "


def show_variance(
    engine: Engine, variance_id: int, *, run_id: int | None = None, account_id: int | None = None
) -> VarianceHistory:
    """Return a variance with its decisions; only of the given run or account, if any. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        return find_variance(connection, variance_id, run_id=run_id, account_id=account_id)


def explain_variance(engine: Engine, variance_id: int, *, limit: int = DEFAULT_EVIDENCE) -> VarianceExplanation:
    """Return a variance with at most ``limit`` items, and as many requests that would explain it. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        history = find_variance(connection, variance_id)
        price = _price(connection, history.variance.detail)
    evidence = tuple(item for _, item in export_evidence(engine, variance_id, limit=limit))
    requests, in_all = first_requests(engine, variance_id, limit=limit)
    return VarianceExplanation(history, evidence, requests, in_all, price)


def _price(connection: Connection, detail: str) -> str | None:
    number = detail.removeprefix(_RATE)
    if not detail.startswith(_RATE) or not number.isdecimal():
        return None
    for table in load_tables(connection):
        for rate in table.rates:
            if rate.id == int(number):
                prices = ", ".join(f"{kind} {quote(kind, price)}" for kind, price in rate.prices.items())
                return f"{prices} ({table.source}, table {table.id}, from {format_instant(table.effective_from)})"
    return None
