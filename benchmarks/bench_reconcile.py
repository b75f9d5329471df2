"""Reconcile a bill of a million lines with a million requests, by request, and the same month by provider, on both databases.

    python benchmarks/bench_reconcile.py [--requests N] [--no-postgres]

Each command is a separate process, measured with its startup; peak memory is that of the process alone. First 2% of the lines
differ (missing, duplicated, a different amount, an unknown request), then all of them.
"""

import argparse
import csv
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from postgres_server import drop_database, new_database, postgres, settings_of
from request_log import write_request_log
from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from metering.operations.reconciliation.answer_billing import answer_billing
from metering.storage.engine.database import open_database, read_snapshot
from metering.storage.tables import events

MONTH = "2026-10"
LIMIT_SECONDS, LIMIT_MB = 15, 500
IDS_ASKED = 10_000


class Figures(NamedTuple):
    seconds: float
    processor_seconds: float
    peak_mb: float


def run_metering(database: str, *arguments: str) -> Figures:
    """Run a command; return its figures. Exit code 1 means that a variance is open, as intended with these bills."""
    environment = {**os.environ, "METERING_DATABASE_URL": database}
    started = time.perf_counter()
    command = [sys.executable, "-m", "metering", *arguments]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    return Figures(time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def charges(database: str) -> Iterator[tuple[str, str, int]]:
    """Yield (response ID, provider, nano-USD) of each request that should be billed."""
    engine = open_database(database)
    with read_snapshot(engine) as connection:
        rows = connection.execution_options(yield_per=10_000).execute(
            select(events.c.response_id, events.c.charge_nano).where(events.c.price_grade == 0)
        )
        for response_id, charge in rows:
            yield response_id, "", charge
    engine.dispose()


def write_bill(path: Path, database: str, *, differing_percent: int) -> int:
    """Write a bill by request; return its number of lines."""
    chance = random.Random(7)
    lines = 0
    with path.open("w", encoding="ascii", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("request_id", "amount_nano_usd"))
        for response_id, _, amount in charges(database):
            kind = chance.randrange(4) if chance.randrange(100) < differing_percent else None
            rows = {
                None: [(response_id, amount)],
                0: [],
                1: [(response_id, amount)] * 2,
                2: [(response_id, amount * 11 // 10 + 3)],
                3: [(f"nobody-{lines:024d}", amount)],
            }[kind]
            writer.writerows(rows)
            lines += len(rows)
    return lines


def answer_ids(database: str, requests: int) -> dict[str, Figures]:
    """Answer a Hugging Face billing request for 10,000 IDs in this process: first storing the answers, then again."""
    engine = open_database(database)
    with read_snapshot(engine) as connection:
        account_id = connection.execute(select(events.c.account_id).limit(1)).scalar_one()
        newest = connection.execute(select(func.max(events.c.event_time))).scalar_one()
    ids = [f"req_{number:09d}" for number in range(requests - IDS_ASKED, requests)]
    found = {}
    for name in ("answer 10,000 IDs", "answer them again"):
        started, processor = time.perf_counter(), time.process_time()
        answers = answer_billing(engine, account_id, ids, now=newest)
        found[name] = Figures(time.perf_counter() - started, time.process_time() - processor, 0)
        if len(answers) < IDS_ASKED * 9 // 10:
            raise SystemExit(f"{len(answers)} of {IDS_ASKED} IDs were answered")
    engine.dispose()
    return found


def provider_bill(path: Path, amount: int) -> None:
    path.write_text(f"provider,amount_nano_usd\ntogether,{amount}\n")


def measure(database: str, folder: Path, requests: int) -> dict[str, Figures]:
    log, bill = folder / "requests.ndjson", folder / "bill.csv"
    write_request_log(log, requests, tags=False)
    run_metering(database, "ingest", "--create-accounts", "--quiet", str(log))
    log.unlink()
    found: dict[str, Figures] = {}
    period = ("--account", "acme", "--month", MONTH)
    for number, (name, percent) in enumerate((("2% differ", 2), ("all differ", 100)), start=1):
        write_bill(bill, database, differing_percent=percent)
        found[f"import, {name}"] = run_metering(database, "reconcile", "import", str(bill), *period)
        found[f"by request, {name}"] = run_metering(database, "reconcile", "run", str(number))
    provider_bill(bill, 1_000_000_000)
    run_metering(database, "reconcile", "import", str(bill), *period)
    found["by provider and month"] = run_metering(database, "reconcile", "run", "3")
    return found | answer_ids(database, requests)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--no-postgres", action="store_true")
    arguments = parser.parse_args()
    table = Table(title=f"{arguments.requests:,} requests (limits {LIMIT_SECONDS} s, {LIMIT_MB} MB)")
    for heading in ("", "seconds", "processor seconds", "peak MB"):
        table.add_column(heading, justify="right" if heading else "left")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        databases = {"SQLite": f"sqlite:///{folder / 'reconcile.db'}"}
        if not arguments.no_postgres:
            address = stack.enter_context(postgres(folder))
            Console().print(settings_of(address))
            new_database(address, "bench_reconcile")
            stack.callback(drop_database, address, "bench_reconcile")
            databases["PostgreSQL"] = _url(address, "bench_reconcile")
        for title, database in databases.items():
            for name, figures in measure(database, folder, arguments.requests).items():
                table.add_row(f"{title}: {name}", *(f"{figure:,.2f}" for figure in figures))
        Console().print(table)


def _url(address: str, name: str) -> str:
    from sqlalchemy import make_url  # noqa: PLC0415 - only where there is a server

    return make_url(address).set(drivername="postgresql", database=name).render_as_string(hide_password=False)


if __name__ == "__main__":
    main()
