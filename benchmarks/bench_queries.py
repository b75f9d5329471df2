"""What a question costs when many events are stored: spend, statements, and the room that an event takes.

    python benchmarks/bench_queries.py [--events N [N ...]]

A month of requests by 50 accounts of about 28 series each is ingested with ``metering ingest``, in parts, so that the disk
holds one part of the log at a time. Questions are asked in this process, over and over, through the API's operations.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from request_log import Slice, write_request_log
from rich.console import Console
from rich.table import Table

from metering.domain.instants import month_start, next_month
from metering.domain.spend import Granularity, SpendQuery
from metering.operations.manage_accounts import show_account
from metering.operations.query_spend import query_spend
from metering.operations.show_statement import show_statement
from metering.storage.database import open_database
from pricing.bundled import bundled_plans

PART = 500_000
ACCOUNTS = 50
MONTH = 202610
REPETITIONS = 200


def fill(database: str, folder: Path, events: int, *, response_ids: bool) -> float:
    """Ingest the month; return events a second of the ingest alone."""
    environment = {**os.environ, "METERING_DATABASE_URL": database}
    command = [sys.executable, "-m", "metering"]
    subprocess.run([*command, "db", "upgrade"], env=environment, check=True, capture_output=True)
    spent = 0.0
    log = folder / "part.ndjson"
    for first in range(0, events, PART):
        part = Slice(first, min(PART, events - first), events)
        write_request_log(log, part, accounts=ACCOUNTS, response_ids=response_ids, tags=False)
        started = time.perf_counter()
        ingest = [*command, "ingest", "--create-accounts", "--quiet", "--source", "gateway", str(log)]
        subprocess.run(ingest, env=environment, check=True, capture_output=True)
        spent += time.perf_counter() - started
    log.unlink()
    return events / spent


def timed(ask: Callable[[], object]) -> tuple[float, float]:
    """Return (median, 99th percentile) in ms, after one question that fills the caches."""
    ask()
    took = []
    for _ in range(REPETITIONS):
        started = time.perf_counter()
        ask()
        took.append(1e3 * (time.perf_counter() - started))
    took.sort()
    return statistics.median(took), took[int(0.99 * len(took))]


def questions(database: str) -> dict[str, tuple[float, float]]:
    engine = open_database(database)
    plans = bundled_plans()
    account = show_account(engine, "account-07")
    start, end = month_start(MONTH), month_start(next_month(MONTH))
    by_model = ("provider", "model")

    def spend(**fields: object) -> Callable[[], object]:
        query = SpendQuery(start, end, group_by=by_model, granularity=Granularity.TOTAL, **fields)  # type: ignore[arg-type]
        return lambda: query_spend(engine, query)

    asked = {
        "spend of a month by provider and model, one account": spend(account_id=account.id),
        "... of all accounts": spend(),
        "draft statement of one account": lambda: show_statement(engine, account.name, MONTH, plans),
    }
    answers = {name: timed(ask) for name, ask in asked.items()}
    engine.dispose()
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000])
    arguments = parser.parse_args()
    table = Table(title=f"Questions about a month of {ACCOUNTS} accounts, {REPETITIONS} times each, SQLite")
    for heading in ("", "events stored", "median ms", "p99 ms"):
        table.add_column(heading, justify="left" if not heading else "right")
    room = Table(title="Room an event takes, indexes included")
    for heading in ("", "events stored", "bytes", "ingest events/s"):
        room.add_column(heading, justify="left" if not heading else "right")
    for events in arguments.events:
        for response_ids in (False, True):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                file = folder / "queries.db"
                speed = fill(f"sqlite:///{file}", folder, events, response_ids=response_ids)
                size = file.stat().st_size / events
                kind = "with response ids" if response_ids else "without response ids"
                room.add_row(kind, f"{events:,}", f"{size:.0f}", f"{speed:,.0f}")
                if not response_ids:
                    for question, (median, p99) in questions(f"sqlite:///{file}").items():
                        table.add_row(question, f"{events:,}", f"{median:.2f}", f"{p99:.2f}")
    Console().print(table)
    Console().print(room)


if __name__ == "__main__":
    main()
