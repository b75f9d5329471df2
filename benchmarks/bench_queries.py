"""The time of queries with many stored events: spend and statements; and the size of an event.

    python benchmarks/bench_queries.py [--events N [N ...]] [--on sqlite postgresql]

A month of requests of 50 accounts with about 28 series each is ingested with ``metering ingest``, in parts, so that only one
part of the log is on disk at a time. An account with the maximum number of series follows. Queries run repeatedly in this
process, with the API's operations.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import NamedTuple

import psycopg
from postgres_server import as_url, drop_database, new_database, postgres, settings_of
from request_log import Slice, write_request_log
from rich.console import Console
from rich.table import Table

from metering.domain.charges.spend import Granularity, SpendQuery
from metering.domain.instants import month_start, next_month
from metering.domain.usage.series import DEFAULT_SERIES_CAP
from metering.operations.accounts.manage_accounts import show_account
from metering.operations.charges.query_spend import query_spend
from metering.operations.statements.show_statement import show_statement
from metering.storage.engine.database import open_database
from pricing.bundled import bundled_plans

PART = 500_000
ACCOUNTS = 50
MONTH = 202610
REPETITIONS = 200


class BenchDatabase(NamedTuple):
    """A database to fill, with a function that returns its size in bytes."""

    url: str
    size: Callable[[], int]


class Filling(NamedTuple):
    """Events per second while filling a database, over all parts and for the last part."""

    overall: float
    last: float


@contextmanager
def sqlite_database(folder: Path) -> Iterator[BenchDatabase]:
    file = folder / "queries.db"
    try:
        yield BenchDatabase(f"sqlite:///{file}", lambda: file.stat().st_size)
    finally:
        for left in folder.glob("queries.db*"):
            left.unlink()


@contextmanager
def postgres_database(address: str) -> Iterator[BenchDatabase]:
    name = "metering_bench_queries"
    conninfo = new_database(address, name)

    def size() -> int:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            # Autovacuum would do this later; without it, the planner has no statistics of the new rows.
            connection.execute("VACUUM ANALYZE")
            found = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        return int(found[0])  # type: ignore[index]

    try:
        yield BenchDatabase(as_url(conninfo), size)
    finally:
        drop_database(address, name)


def fill(url: str, folder: Path, events: int, *, response_ids: bool) -> Filling:
    """Ingest the month; only ingest is timed."""
    _metering(url, "db", "upgrade")
    spent = last = 0.0
    log = folder / "part.ndjson"
    for first in range(0, events, PART):
        part = Slice(first, min(PART, events - first), events)
        write_request_log(log, part, accounts=ACCOUNTS, response_ids=response_ids, tags=False)
        started = time.perf_counter()
        _metering(url, "ingest", "--create-accounts", "--quiet", "--source", "gateway", str(log))
        elapsed = time.perf_counter() - started
        spent, last = spent + elapsed, part.count / elapsed
    log.unlink()
    return Filling(events / spent, last)


def crowd(url: str, folder: Path) -> None:
    """Ingest one request for each of as many keys as an account can have series."""
    log = folder / "crowd.ndjson"
    request = {"account": "crowded", "provider": "together", "model": "meta-llama/Llama-3.3-70B-Instruct", "route": "routed"}
    used = {"status": 200, "usage": {"input_tokens": 10, "output_tokens": 5}}
    with log.open("w", encoding="ascii") as file:
        for number in range(DEFAULT_SERIES_CAP):
            which = {"id": f"crowd-{number}", "time": f"2026-10-{1 + number % 28:02d}T10:00:00Z", "key": f"key-{number}"}
            file.write(json.dumps(which | request | used) + "\n")
    _metering(url, "ingest", "--create-accounts", "--quiet", "--source", "gateway", str(log))
    log.unlink()


def _metering(url: str, *arguments: str) -> None:
    environment = {**os.environ, "METERING_DATABASE_URL": url}
    subprocess.run([sys.executable, "-m", "metering", *arguments], env=environment, check=True, capture_output=True)


def timed(ask: Callable[[], object]) -> tuple[float, float]:
    """Return (median, 99th percentile) in ms, after one query that fills the caches."""
    ask()
    took = []
    for _ in range(REPETITIONS):
        started = time.perf_counter()
        ask()
        took.append(1e3 * (time.perf_counter() - started))
    took.sort()
    return statistics.median(took), took[int(0.99 * len(took))]


def questions(url: str) -> dict[str, tuple[float, float]]:
    engine = open_database(url)
    plans = bundled_plans()
    account, crowded = show_account(engine, "account-07"), show_account(engine, "crowded")
    start, end = month_start(MONTH), month_start(next_month(MONTH))

    def spend(*group_by: str, account_id: int | None = None) -> Callable[[], object]:
        query = SpendQuery(start, end, group_by=group_by, granularity=Granularity.TOTAL, account_id=account_id)
        return lambda: query_spend(engine, query)

    asked = {
        "spend of a month by provider and model, one account": spend("provider", "model", account_id=account.id),
        "... of all accounts": spend("provider", "model"),
        f"... of an account with {DEFAULT_SERIES_CAP:,} series": spend("provider", "model", account_id=crowded.id),
        "... of the same, by key": spend("key", account_id=crowded.id),
        "draft statement of one account": lambda: show_statement(engine, account.name, MONTH, plans),
    }
    answers = {name: timed(ask) for name, ask in asked.items()}
    engine.dispose()
    return answers


def measure(database: BenchDatabase, folder: Path, events: int, *, response_ids: bool, tables: tuple[Table, Table]) -> None:
    """Fill a database and report its figures; one without response IDs is also queried."""
    answers, sizes = tables
    on = "SQLite" if database.url.startswith("sqlite") else "PostgreSQL"
    filling = fill(database.url, folder, events, response_ids=response_ids)
    kind = "with response IDs" if response_ids else "without response IDs"
    bytes_each = f"{database.size() / events:.0f}"
    sizes.add_row(on, kind, f"{events:,}", bytes_each, f"{filling.overall:,.0f}", f"{filling.last:,.0f}")
    if not response_ids:
        crowd(database.url, folder)
        database.size()
        for question, (median, p99) in questions(database.url).items():
            answers.add_row(on, question, f"{events:,}", f"{median:.2f}", f"{p99:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--on", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite", "postgresql"])
    arguments = parser.parse_args()
    answers = Table(title=f"Queries of a month of {ACCOUNTS} accounts, {REPETITIONS} times each")
    for heading in ("on", "", "events stored", "median ms", "p99 ms"):
        answers.add_column(heading, justify="left" if heading in ("", "on") else "right")
    sizes = Table(title="Size of an event, including indexes; ingest in parts of 500,000")
    for heading in ("on", "", "events stored", "bytes", "events/s", "last part, events/s"):
        sizes.add_column(heading, justify="left" if heading in ("", "on") else "right")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        address = stack.enter_context(postgres(folder)) if "postgresql" in arguments.on else ""
        sizes.caption = f"PostgreSQL: {settings_of(address)}" if address else None
        for on, events, response_ids in product(arguments.on, arguments.events, (False, True)):
            with sqlite_database(folder) if on == "sqlite" else postgres_database(address) as database:
                measure(database, folder, events, response_ids=response_ids, tables=(answers, sizes))
    Console().print(answers)
    Console().print(sizes)


if __name__ == "__main__":
    main()
