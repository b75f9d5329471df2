"""Events per second of ``metering ingest`` as a whole process, compared with bare ``sqlite3.executemany`` of the same rows.

Both write to migrated databases with the same pragmas and the same number of rows per transaction. The bare side has its rows
ready in memory: no reading, decoding, pricing or lookups. The ratio is the cost of those. The time of ingesting a single line
is the startup of the process; it is subtracted in the figure from the first byte.
"""

import argparse
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from request_log import write_request_log
from rich.console import Console
from rich.table import Table

from metering.operations.upkeep.upgrade_database import upgrade_database
from metering.operations.usage.commit_group import COMMIT_EVENTS
from metering.storage.engine.database import open_database

TABLES = ("event_identities", "events", "event_claims", "rollups")


def run_metering(folder: Path, log: Path, name: str) -> tuple[float, Path]:
    database = folder / name
    environment = {**os.environ, "METERING_DATABASE_URL": f"sqlite:///{database}"}
    command = [sys.executable, "-m", "metering"]
    subprocess.run([*command, "db", "upgrade"], env=environment, check=True, capture_output=True)
    started = time.perf_counter()
    subprocess.run(
        [*command, "ingest", "--create-accounts", "--quiet", str(log)], env=environment, check=True, capture_output=True
    )
    return time.perf_counter() - started, database


def run_bare(folder: Path, filled: Path, name: str) -> float:
    """Write the rows of ``filled`` with executemany, in the same order and batches."""
    source = sqlite3.connect(filled)
    rows = {table: source.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}
    rows["event_identities"].sort(key=lambda row: row[1])
    rows["event_claims"].sort(key=lambda row: row[-1])
    engine = open_database(f"sqlite:///{folder / name}")
    upgrade_database(engine, now=0)
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        for table in ("accounts", "account_names", "sources", "series"):
            marks = ",".join("?" * len(source.execute(f"SELECT * FROM {table} LIMIT 1").fetchone()))
            raw.executemany(
                f"INSERT OR IGNORE INTO {table} VALUES ({marks})", source.execute(f"SELECT * FROM {table}").fetchall()
            )
        inserts = {table: f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[table][0]))})" for table in TABLES}
        started = time.perf_counter()
        for start in range(0, len(rows["events"]), COMMIT_EVENTS):
            raw.execute("BEGIN IMMEDIATE")
            for table in ("event_identities", "events", "event_claims"):
                portion = rows[table][start : start + COMMIT_EVENTS]
                raw.executemany(inserts[table], portion if table == "events" else sorted(portion))
            raw.execute("COMMIT")
        raw.execute("BEGIN IMMEDIATE")
        raw.executemany(inserts["rollups"], rows["rollups"])
        raw.execute("COMMIT")
        elapsed = time.perf_counter() - started
    engine.dispose()
    source.close()
    return elapsed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    ours: list[float] = []
    from_first_byte: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "requests.ndjson"
        write_request_log(log, arguments.events)
        line = folder / "line.ndjson"
        write_request_log(line, 1)
        for run in range(arguments.runs):
            elapsed, filled = run_metering(folder, log, f"ours-{run}.db")
            start, _ = run_metering(folder, line, f"start-{run}.db")
            ours.append(arguments.events / elapsed)
            from_first_byte.append(arguments.events / (elapsed - start))
            bare.append(arguments.events / run_bare(folder, filled, f"bare-{run}.db"))
            for file in folder.glob("*.db*"):
                file.unlink()
    table = Table(title=f"Ingest of {arguments.events:,} NDJSON lines into an empty database, {arguments.runs} runs")
    for heading in ("", "median", "min", "max"):
        table.add_column(heading, justify="left" if not heading else "right")
    labelled = (
        ("metering ingest, whole process", ours),
        ("... from the first byte", from_first_byte),
        ("bare sqlite3.executemany", bare),
    )
    for label, figures in labelled:
        table.add_row(label, *(f"{figure(figures):,.0f}/s" for figure in (statistics.median, min, max)))
    ratios = [mine / limit for mine, limit in zip(ours, bare, strict=True)]
    table.add_row("ratio", *(f"{figure(ratios):.2f}" for figure in (statistics.median, min, max)))
    Console().print(table)


if __name__ == "__main__":
    main()
