"""Events re-rated per second, compared with bare ``sqlite3.executemany`` of the same charge rows.

A month of requests whose price was wrong: every event gets a reversal and a replacement. The bare side has the rows ready in
memory and writes them to a copy of the same database, the same number per transaction: no reading, no pricing, no rollups.
Processor time is shown too, because other work on the machine only affects wall-clock time.

    python benchmarks/bench_rerate.py [--events N] [--runs N]
"""

import argparse
import shutil
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from request_log import MODELS, write_request_log
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine

from metering.domain.charges.rerating import RerateScope
from metering.formats.options import DecodeOptions
from metering.operations.charges.rerate import CHUNK, continue_rerate, preview_rerate, start_rerate
from metering.operations.upkeep.upgrade_database import upgrade_database
from metering.operations.upkeep.verify import verify
from metering.operations.usage.ingest import Ingester, IngestSettings
from metering.operations.usage.ingest_log import LogRequest, ingest_log
from metering.storage.engine.database import exclusive_write, open_database
from metering.storage.prices.price_tables import record_tables
from pricing.rates import Price, Rate
from pricing.tables import Layer, PriceTable, TableKind

NOW = 1_795_000_000_000_000  # November 2026: after the month of the log
TARGET = 100_000
EVERYTHING = RerateScope(None, 0, NOW)


def price_tables(*, factor: int) -> PriceTable:
    """Return the operator's prices of all models of the log, from 1970 on."""
    prices = {"input_tokens": Price(880_000 * factor), "output_tokens": Price(880_000 * factor)}
    rates = tuple(Rate(provider=provider, model=model, prices=prices) for provider, model in MODELS)
    return PriceTable(source="contract", layer=Layer.OPERATOR, kind=TableKind.PATCH, effective_from=factor, rates=rates)


def record(engine: Engine, *, factor: int) -> None:
    with exclusive_write(engine) as connection:
        record_tables(connection, [price_tables(factor=factor)], now=NOW)


def filled_database(folder: Path, events: int) -> Path:
    """Ingest a log at one price, then record another one that has been in effect since before it."""
    log, path = folder / "requests.ndjson", folder / "filled.db"
    write_request_log(log, events)
    engine = open_database(f"sqlite:///{path}")
    upgrade_database(engine, now=NOW)
    record(engine, factor=1)
    ingester = Ingester(engine, IngestSettings(), lambda: NOW)
    request = LogRequest(str(log), DecodeOptions(source="log", now=NOW), create_accounts=True)
    ingest_log(engine, ingester, request, declared_tags=frozenset())
    record(engine, factor=2)
    engine.dispose()
    return path


class Stopwatch:
    """Events per second, by wall-clock time and by the processor time of this process."""

    def __init__(self) -> None:
        self._clock, self._processor = time.perf_counter(), time.process_time()

    def figures(self, events: int) -> tuple[float, float]:
        return events / (time.perf_counter() - self._clock), events / (time.process_time() - self._processor)


Figures = tuple[float, float]


def run_rerate(path: Path) -> tuple[Figures, Figures]:
    """Return the figures of the preview and of the run; the database must have no violations afterwards."""
    engine = open_database(f"sqlite:///{path}")
    watch = Stopwatch()
    found = preview_rerate(engine, EVERYTHING)
    changed = found.total.events
    previewed = watch.figures(changed)
    watch = Stopwatch()
    run = start_rerate(engine, EVERYTHING, reason="benchmark", now=NOW)
    done = continue_rerate(engine, run.id, clock=lambda: NOW)
    rerated = watch.figures(changed)
    if done.done_now != found or verify(engine):
        raise SystemExit("the run differs from the preview, or the database has violations")
    engine.dispose()
    return previewed, rerated


def run_bare(path: Path, rerated: Path) -> Figures:
    """Write the charges of ``rerated`` into the database at ``path``; return the figures."""
    with sqlite3.connect(rerated) as source:
        rows = source.execute("SELECT * FROM charges ORDER BY id").fetchall()
    engine = open_database(f"sqlite:///{path}")
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        with sqlite3.connect(rerated) as source:
            runs = source.execute("SELECT * FROM rerate_runs").fetchall()
        raw.executemany(f"INSERT INTO rerate_runs VALUES ({','.join('?' * len(runs[0]))})", runs)
        insert = f"INSERT INTO charges VALUES ({','.join('?' * len(rows[0]))})"
        watch = Stopwatch()
        for start in range(0, len(rows), 2 * CHUNK):
            raw.execute("BEGIN IMMEDIATE")
            raw.executemany(insert, rows[start : start + 2 * CHUNK])
            raw.execute("COMMIT")
        figures = watch.figures(len(rows) // 2)
    engine.dispose()
    return figures


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--events", type=int, default=200_000, help="events (default %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs (default %(default)s)")
    options = parser.parse_args()
    measured: dict[str, list[Figures]] = {"preview": [], "re-rating": [], "bare executemany of the charges": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        filled = filled_database(folder, options.events)
        for _ in range(options.runs):
            ours, bare = (Path(shutil.copy(filled, folder / file)) for file in ("ours.db", "bare.db"))
            preview, rerated = run_rerate(ours)
            for figures, figure in zip(measured.values(), (preview, rerated, run_bare(bare, ours)), strict=True):
                figures.append(figure)
            for file in (*folder.glob("ours.db*"), *folder.glob("bare.db*")):
                file.unlink()
    table = Table(title=f"Events per second, {options.events:,} events in the log, {options.runs} runs")
    table.add_column("")
    for heading in ("median", "min", "max", "median by processor time"):
        table.add_column(heading, justify="right")
    for label, taken in measured.items():
        by_clock, by_processor = zip(*taken, strict=True)
        shown = [figure(by_clock) for figure in (statistics.median, min, max)] + [statistics.median(by_processor)]
        table.add_row(label, *(f"{figure:,.0f}" for figure in shown))
    Console().print(table)
    reached = statistics.median(clock for clock, _ in measured["re-rating"])
    Console().print(f"target {TARGET:,} per second: {'reached' if reached >= TARGET else 'missed'}")


if __name__ == "__main__":
    main()
