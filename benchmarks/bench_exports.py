"""Time and memory of exporting a month: days, FOCUS rows, and every format of a statement with many lines.

    python benchmarks/bench_exports.py [--rows N] [--lines N]

A month of requests with enough projects for N rows in its FOCUS file is ingested with ``metering ingest``. Files are written
repeatedly in this process with the API's operation. Memory and whole-process time are those of ``metering statements export``
in a separate process, also for a month a tenth as large. The limit is Python's ``csv`` writing the same rows, ready in memory.
Formats without days are made from a statement with N lines. Processor time is shown too, because other work on the machine only
affects wall-clock time.
"""

import argparse
import csv
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from msgspec.structs import replace
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine

from metering.domain.statements.month_detail import MonthDetail
from metering.domain.statements.statements import StatementLineKind
from metering.exports.formats import FORMATS
from metering.operations.statements.export_statement import UnchangedFile, export_statement, spool
from metering.operations.statements.show_statement import show_statement
from metering.storage.engine.database import open_database
from pricing.bundled import bundled_plans

MONTH = 202610
DAYS = 25
ROUNDS = 5
BY_DAY = ("daily", "focus")
MODEL = "meta-llama/Llama-3.3-70B-Instruct"


def fill(folder: Path, name: str, rows: int) -> str:
    """Ingest a month whose FOCUS file has ``rows`` rows of usage: two kinds of quantity per project and day."""
    log, database = folder / f"{name}.ndjson", f"sqlite:///{folder / name}.db"
    with log.open("w") as file:
        for number in range(rows // 2):
            project, day = divmod(number, DAYS)
            event = {
                "id": f"r{number}",
                "time": f"2026-10-{day + 1:02}T10:00:00Z",
                "model": MODEL,
                "provider": "together",
                "route": "routed",
                "status": 200,
                "project": f"project-{project}",
                "usage": {"input_tokens": 1_000 + number, "output_tokens": 200 + number},
            }
            file.write(json.dumps(event) + "\n")
    metering(database, "ingest", "--account", "acme", "--plan", "pro", "--quiet", str(log))
    return database


def metering(database: str, *arguments: str) -> tuple[float, float]:
    """Run a command; return (seconds, peak resident MB) of its process."""
    environment = {**os.environ, "METERING_DATABASE_URL": database}
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "metering", *arguments], env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"metering {' '.join(arguments)} ended with {process.returncode}")
    return time.perf_counter() - started, used.ru_maxrss / 1024


def exported(engine: Engine, name: str) -> bytes:
    found = export_statement(engine, "acme", MONTH, bundled_plans(), FORMATS[name])
    if isinstance(found, UnchangedFile):
        raise TypeError("the statement was reported as unchanged")
    with closing(found):
        return b"".join(found.chunks())


def median_of(work: Callable[[], object]) -> tuple[float, float, float, float]:
    """Return (median, min, max, median processor time) in seconds, after one round that fills the caches."""
    work()
    took, used = [], []
    for _ in range(ROUNDS):
        started, processor = time.perf_counter(), time.process_time()
        work()
        took.append(time.perf_counter() - started)
        used.append(time.process_time() - processor)
    return statistics.median(took), min(took), max(took), statistics.median(used)


def shown(*seconds: float) -> list[str]:
    return [f"{each:.2f}" for each in seconds]


def bare(rows: list[list[str]]) -> int:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return len(text.getvalue().encode())


def by_day(folder: Path, rows: int) -> Table:
    table = Table(title=f"A month by day, SQLite, {ROUNDS} rounds; memory also for a month a tenth as large")
    for heading in ("", "rows", "median s", "min", "max", "processor s", "bare csv s", "process s", "peak MB", "a tenth: MB"):
        table.add_column(heading, justify="right" if heading else "left")
    large, small = fill(folder, "large", rows), fill(folder, "small", rows // 10)
    # Run first: the reported peak of a child process starts with the memory of its parent.
    alone = {
        name: [metering(database, "statements", "export", "acme", "2026-10", "--format", name) for database in (large, small)]
        for name in BY_DAY
    }
    engine = open_database(large)
    for name in BY_DAY:
        ready = list(csv.reader(io.StringIO(exported(engine, name).decode(), newline="")))
        times = median_of(partial(exported, engine, name))
        *_, limit = median_of(partial(bare, ready))
        (took, peak), (_, peak_small) = alone[name]
        table.add_row(name, f"{len(ready) - 1:,}", *shown(*times, limit, took), f"{peak:.0f}", f"{peak_small:.0f}")
    engine.dispose()
    return table


def by_line(folder: Path, lines: int) -> Table:
    """Measure the formats of a statement with ``lines`` usage lines."""
    engine = open_database(f"sqlite:///{folder / 'small.db'}")
    statement = show_statement(engine, "acme", MONTH, bundled_plans())
    engine.dispose()
    usage = next(line for line in statement.lines if line.kind is StatementLineKind.USAGE)
    detail = MonthDetail(replace(statement, lines=(*[usage] * lines, *statement.lines)), (), {})
    table = Table(title=f"A statement of {lines:,} lines, {ROUNDS} rounds")
    for heading in ("", "median s", "min", "max", "processor s", "MB"):
        table.add_column(heading, justify="right" if heading else "left")

    def size_of(name: str) -> int:
        content, size, _ = spool(FORMATS[name].chunks(detail))
        content.close()
        return size

    for name in ("csv", "json", "html", "xlsx", "pdf"):
        times = median_of(partial(size_of, name))
        table.add_row(name, *shown(*times), f"{size_of(name) / 1e6:.1f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--lines", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        Console().print(by_day(Path(name), arguments.rows))
        Console().print(by_line(Path(name), arguments.lines))


if __name__ == "__main__":
    main()
