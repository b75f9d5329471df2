"""Closing the month of many accounts: seconds, statements per second, and memory.

A month of requests of many accounts is ingested. With some hundred requests, an account has all 28 combinations of model,
project and key. Closing reads monthly sums instead of events, so the number of events per account hardly matters. Processor
time is shown too, because other work on the machine only affects wall-clock time.

    python benchmarks/bench_close.py [--accounts N] [--events N] [--url URL]
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

from request_log import MODELS, write_request_log
from rich.console import Console
from sqlalchemy import Engine

from metering.domain.statements.statements import Statement
from metering.formats.options import DecodeOptions
from metering.operations.statements.close_due import close_due_months
from metering.operations.statements.close_month import CloseOptions
from metering.operations.upkeep.upgrade_database import upgrade_database
from metering.operations.upkeep.verify import STATEMENT_CHECKS, verify
from metering.operations.usage.ingest import Ingester, IngestSettings
from metering.operations.usage.ingest_log import LogRequest, ingest_log
from metering.storage.engine.database import exclusive_write, open_database
from metering.storage.prices.price_tables import record_tables
from pricing.bundled import bundled_plans
from pricing.rates import Price, Rate
from pricing.tables import Layer, PriceTable, TableKind

NOW = 1_795_000_000_000_000  # November 2026: after the month of the log
TARGET_SECONDS = 60


def price_table() -> PriceTable:
    """Return the operator's prices of all models of the log, from 1970 on."""
    prices = {"input_tokens": Price(880_000), "output_tokens": Price(880_000)}
    rates = tuple(Rate(provider=provider, model=model, prices=prices) for provider, model in MODELS)
    return PriceTable(source="contract", layer=Layer.OPERATOR, kind=TableKind.PATCH, effective_from=1, rates=rates)


def fill(engine: Engine, folder: Path, accounts: int, events: int) -> None:
    """Ingest a month of requests."""
    log = folder / "requests.ndjson"
    write_request_log(log, events, accounts=accounts, response_ids=False)
    upgrade_database(engine, now=NOW)
    with exclusive_write(engine) as connection:
        record_tables(connection, [price_table()], now=NOW)
    ingester = Ingester(engine, IngestSettings(), lambda: NOW)
    request = LogRequest(str(log), DecodeOptions(source="log", now=NOW), create_accounts=True)
    ingest_log(engine, ingester, request, declared_tags=frozenset())
    log.unlink()


def peak_mib() -> float:
    """Return the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--accounts", type=int, default=1_000, help="accounts (default %(default)s)")
    parser.add_argument("--events", type=int, default=500_000, help="events (default %(default)s)")
    parser.add_argument("--url", help="an empty database (default: a new SQLite file)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        engine = open_database(options.url or f"sqlite:///{folder / 'close.db'}")
        fill(engine, folder, options.accounts, options.events)
        before = peak_mib()
        closed = lines = 0
        clock, processor = time.perf_counter(), time.process_time()
        for found in close_due_months(engine, CloseOptions(bundled_plans(), allow_unpriced=True), grace_hours=0, now=NOW):
            if not isinstance(found, Statement):
                raise SystemExit(f"{found.account} was not closed: {found.reason}")
            closed += 1
            lines += len(found.lines)
        seconds, busy = time.perf_counter() - clock, time.process_time() - processor
        after = peak_mib()
        violations = verify(engine, checks=STATEMENT_CHECKS)
        engine.dispose()
    if violations or closed != options.accounts:
        raise SystemExit(f"closed {closed} of {options.accounts}; violations: {violations[:3]}")
    show = Console().print
    show(f"{closed:,} accounts, {options.events:,} events, {lines:,} lines on their statements")
    show(f"{seconds:.1f} s wall-clock time, {busy:.1f} s of processor time, {closed / seconds:,.0f} statements per second")
    show(f"peak memory: {before:.0f} MiB before, {after:.0f} MiB after")
    show(f"target {TARGET_SECONDS} s: {'reached' if seconds <= TARGET_SECONDS else 'missed'}")


if __name__ == "__main__":
    main()
