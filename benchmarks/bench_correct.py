"""Putting right a log that was ingested without providers, per second: correcting, withdrawing, undoing, completing.

A log without providers and routes is ingested, so that nothing of it has a price, and then corrected. What is corrected is
withdrawn and restored. Then the log is ingested into another database that has half of its requests already, but without
providers. Processor time is shown too, because other work on the machine only affects wall-clock time.

    python benchmarks/bench_correct.py [--events N] [--runs N]
"""

import argparse
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from request_log import MODELS, write_request_log
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine

from metering.domain.charges.corrections import CorrectionChanges, CorrectionScope
from metering.formats.options import DecodeOptions
from metering.operations.accounts.manage_accounts import show_account
from metering.operations.charges.correct_usage import continue_correction, start_correction, start_undo
from metering.operations.upkeep.upgrade_database import upgrade_database
from metering.operations.upkeep.verify import verify
from metering.operations.usage.ingest import Ingester, IngestSettings
from metering.operations.usage.ingest_log import LogRequest, ingest_log
from metering.storage.engine.database import exclusive_write, open_database
from metering.storage.prices.price_tables import record_tables
from pricing.rates import Price, Rate
from pricing.tables import Layer, PriceTable, TableKind

NOW = 1_795_000_000_000_000  # November 2026: after the month of the log
TARGET_SECONDS = 5.0  # ingest and correction of 100,000 lines
TARGET = 100_000  # corrected events per second
PROVIDER = "together"
SETTINGS = IngestSettings()


class Times:
    """Seconds by the clock and of the processor, by what took them."""

    def __init__(self) -> None:
        self.taken: dict[str, list[tuple[float, float]]] = {}

    def measure(self, what: str, work: Callable[[], int], events: int) -> None:
        """Do the work, which must be about ``events`` events."""
        clock, processor = time.perf_counter(), time.process_time()
        done = work()
        self.taken.setdefault(what, []).append((time.perf_counter() - clock, time.process_time() - processor))
        if done != events:
            raise SystemExit(f"{what}: {done} events instead of {events}")


def write_logs(folder: Path, events: int) -> tuple[Path, Path, Path]:
    """Write a log, the same without providers and routes, and half of that."""
    whole, bare, half = (folder / f"{name}.ndjson" for name in ("whole", "bare", "half"))
    write_request_log(whole, events)
    lines = re.sub(r'"provider":"[^"]*",|"route":"[^"]*",', "", whole.read_text()).splitlines(keepends=True)
    bare.write_text("".join(lines))
    half.write_text("".join(lines[::2]))
    return whole, bare, half


def new_database(path: Path) -> Engine:
    """Return a database in which every model of the log has a price at every provider of the log."""
    engine = open_database(f"sqlite:///{path}")
    upgrade_database(engine, now=NOW)
    prices = {"input_tokens": Price(880_000), "output_tokens": Price(880_000)}
    providers = {PROVIDER, *(provider for provider, _ in MODELS)}
    rates = tuple(Rate(provider=one, model=model, prices=prices) for one in sorted(providers) for _, model in MODELS)
    table = PriceTable(source="contract", layer=Layer.OPERATOR, kind=TableKind.PATCH, effective_from=1, rates=rates)
    with exclusive_write(engine) as connection:
        record_tables(connection, [table], now=NOW)
    return engine


def ingest(engine: Engine, log: Path) -> tuple[int, int]:
    """Ingest a log; return how many records were accepted and how many completed an event."""
    request = LogRequest(str(log), DecodeOptions(source="log", now=NOW), create_accounts=True)
    ingester = Ingester(engine, SETTINGS, lambda: NOW)
    result = ingest_log(engine, ingester, request, declared_tags=frozenset())
    return result.accepted, result.completed


def correct(engine: Engine, changes: CorrectionChanges | None, where: dict[str, str]) -> tuple[int, int]:
    """Correct the events that are ``where``, or withdraw them; return (run, how many changed)."""
    scope = CorrectionScope(show_account(engine, "acme").id, where=where, source="gateway-1")
    run = start_correction(engine, scope, changes, reason="benchmark", now=NOW)
    return run.id, continue_correction(engine, run.id, SETTINGS, clock=lambda: NOW).run.events_changed


def undo(engine: Engine, run_id: int) -> int:
    run = start_undo(engine, run_id, reason="", now=NOW)
    return continue_correction(engine, run.id, SETTINGS, clock=lambda: NOW).run.events_changed


def check(engine: Engine) -> None:
    if verify(engine):
        raise SystemExit("the database has violations")
    engine.dispose()


def run(folder: Path, events: int, times: Times) -> None:
    """Measure everything once."""
    whole, bare, half = write_logs(folder, events)
    engine = new_database(folder / "corrected.db")
    times.measure("ingest without providers", lambda: ingest(engine, bare)[0], events)
    changes = CorrectionChanges({"provider": PROVIDER, "route": "routed"})
    times.measure("correct", lambda: correct(engine, changes, {"provider": "unknown"})[1], events)
    withdrawn: list[int] = []

    def withdraw() -> int:
        run_id, changed = correct(engine, None, {})
        withdrawn.append(run_id)
        return changed

    times.measure("withdraw", withdraw, events)
    times.measure("undo the withdrawal", lambda: undo(engine, withdrawn[0]), events)
    times.measure("undo the correction", lambda: undo(engine, 1), events)
    check(engine)
    engine = new_database(folder / "completed.db")
    ingest(engine, half)
    times.measure("ingest, 50 % complete an event", lambda: sum(ingest(engine, whole)), events)
    check(engine)
    engine = new_database(folder / "plain.db")
    times.measure("ingest of the same log, all new", lambda: ingest(engine, whole)[0], events)
    check(engine)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--events", type=int, default=100_000, help="events (default %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs (default %(default)s)")
    options = parser.parse_args()
    times = Times()
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as name:
            run(Path(name), options.events, times)
    table = Table(title=f"{options.events:,} events on SQLite, {options.runs} runs")
    table.add_column("")
    for heading in ("median seconds", "min", "max", "events per second", "by processor time"):
        table.add_column(heading, justify="right")
    for what, taken in times.taken.items():
        clock, processor = zip(*taken, strict=True)
        shown = [f"{figure(clock):.2f}" for figure in (statistics.median, min, max)]
        table.add_row(what, *shown, *(f"{options.events / statistics.median(seconds):,.0f}" for seconds in (clock, processor)))
    Console().print(table)
    together = [one[0] + two[0] for one, two in zip(*(times.taken[name] for name in list(times.taken)[:2]), strict=True)]
    seconds, speed = statistics.median(together), options.events / statistics.median(each[1] for each in times.taken["correct"])
    Console().print(f"ingest and correction: {seconds:.2f} s, target {TARGET_SECONDS} s for 100,000 events")
    Console().print(f"correction: {speed:,.0f} per second of processor time, target {TARGET:,}")


if __name__ == "__main__":
    main()
