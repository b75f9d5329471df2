"""Events per second of ``metering ingest`` to PostgreSQL as a whole process, compared with bare COPY of the same rows.

All write to migrated databases. The bare side counts an event once: identities by binary COPY into a temporary table and INSERT
... ON CONFLICT DO NOTHING RETURNING, claims likewise, events by binary COPY, the same number of events per transaction, rollups
at the end. It has its rows ready in memory: no reading, decoding, pricing or lookups. The ratio is the cost of those. The
fastest way if all keys are new is shown too: keys by COPY directly into their tables, which fails if one exists. Processor time
is shown as well, because wall-clock time on a shared machine is not reliable.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from postgres_server import as_url, backend_seconds, drop_database, new_database, postgres, settings_of
from request_log import write_request_log
from rich.console import Console
from rich.table import Table
from sqlalchemy import BigInteger, Integer, SmallInteger, Text

from metering.operations.upkeep.upgrade_database import upgrade_database
from metering.operations.usage.commit_group import SERVER_COMMIT_EVENTS
from metering.storage.engine.backend import backend_of
from metering.storage.engine.database import exclusive_write, open_database
from metering.storage.tables import events, rollups

KEYS = {
    "event_identities": (("uuid", "int8", "int8"), "identity uuid, event_id bigint, fingerprint bigint", "identity"),
    "event_claims": (("int8", "int8"), "claim bigint, event_id bigint", "claim"),
}


class Figure(NamedTuple):
    """One run: events per second, and microseconds of processor time per event of the client's and the server's processes."""

    rate: float
    client_us: float
    server_us: float


def measured(work: Any, events_in_all: int, folder: Path) -> Figure:
    server, children, own = backend_seconds(folder), resource.getrusage(resource.RUSAGE_CHILDREN), time.process_time()
    started = time.perf_counter()
    work()
    elapsed = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    client = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime + time.process_time() - own
    per_event = 1_000_000 / events_in_all
    return Figure(events_in_all / elapsed, client * per_event, (backend_seconds(folder) - server) * per_event)


def run_metering(conninfo: str, log: Path, count: int, folder: Path) -> Figure:
    environment = {**os.environ, "METERING_DATABASE_URL": as_url(conninfo)}
    command = [sys.executable, "-m", "metering"]
    subprocess.run([*command, "db", "upgrade"], env=environment, check=True, capture_output=True)
    ingest = [*command, "ingest", "--create-accounts", "--quiet", str(log)]
    return measured(lambda: subprocess.run(ingest, env=environment, check=True, capture_output=True), count, folder)


def run_bare(filled: str, empty: str, count: int, folder: Path, *, straight: bool) -> Figure:
    """Write the rows of ``filled`` in the same order and batches; keys directly (``straight``) or skipping known ones."""
    write_keys = _copy_keys if straight else _insert_keys
    engine = open_database(as_url(empty))
    upgrade_database(engine, now=0)
    with psycopg.connect(filled) as source:
        rows = {name: source.execute(f"SELECT * FROM {name} ORDER BY event_id").fetchall() for name in KEYS}
        rows["events"] = source.execute("SELECT * FROM events ORDER BY id").fetchall()
        rows["rollups"] = source.execute("SELECT * FROM rollups").fetchall()
        rest = {name: source.execute(f"SELECT * FROM {name}").fetchall() for name in ("accounts", "sources", "series")}
        months = [row[0] for row in source.execute("SELECT DISTINCT billing_month FROM events")]

    with exclusive_write(engine) as connection:
        backend_of(connection).create_partitions(connection, months)
    engine.dispose()
    with psycopg.connect(empty) as target:
        for name, found in rest.items():
            marks = ", ".join(["%s"] * len(found[0]))
            target.cursor().executemany(f"INSERT INTO {name} VALUES ({marks}) ON CONFLICT DO NOTHING", found)
        target.commit()
        return measured(lambda: _write(target, rows, write_keys), count, folder)


def _write(target: "psycopg.Connection[Any]", rows: dict[str, list[Any]], write_keys: Callable[..., None]) -> None:
    kinds = [_type_name(column.type) for column in events.c]
    for start in range(0, len(rows["events"]), SERVER_COMMIT_EVENTS):
        for name in KEYS:
            write_keys(target, name, sorted(rows[name][start : start + SERVER_COMMIT_EVENTS]))
        _copy(target, "events", kinds, rows["events"][start : start + SERVER_COMMIT_EVENTS])
        target.commit()
    _copy(target, "rollups", [_type_name(column.type) for column in rollups.c], rows["rollups"])
    target.commit()


def _copy_keys(target: "psycopg.Connection[Any]", name: str, rows: list[Any]) -> None:
    _copy(target, name, KEYS[name][0], rows)


def _insert_keys(target: "psycopg.Connection[Any]", name: str, rows: list[Any]) -> None:
    types, columns, key = KEYS[name]
    target.execute(f"CREATE TEMP TABLE IF NOT EXISTS wanted_{name} ({columns}) ON COMMIT DELETE ROWS")
    _copy(target, f"wanted_{name}", types, rows)
    insert = f"INSERT INTO {name} SELECT * FROM wanted_{name} ORDER BY {key} ON CONFLICT DO NOTHING RETURNING event_id"
    target.execute(insert).fetchall()


def _type_name(kind: Any) -> str:
    names = {Text: "text", SmallInteger: "int2", BigInteger: "int8", Integer: "int4"}
    return next(name for of, name in names.items() if isinstance(kind, of))


def _copy(target: "psycopg.Connection[Any]", table: str, types: Any, rows: list[Any]) -> None:
    with target.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def bytes_an_event(conninfo: str, count: int) -> float:
    """Return the bytes per event of the event log, identities and claims on disk, with their indexes."""
    with psycopg.connect(conninfo) as connection:
        found = connection.execute(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class"
            " WHERE relkind = 'r' AND (relname LIKE 'event%%' OR relname LIKE 'events_%%')"
        ).fetchone()
    return int(found[0]) / count  # type: ignore[index]


def show(title: str, ours: list[Figure], bare: list[Figure], straight: list[Figure]) -> None:
    table = Table(title=title)
    for heading in ("", "median", "min", "max", "client µs/event", "server µs/event"):
        table.add_column(heading, justify="left" if not heading else "right")
    labelled = (("metering ingest, whole process", ours), ("bare COPY", bare), ("bare COPY, keys directly", straight))
    for label, figures in labelled:
        rates = [figure.rate for figure in figures]
        table.add_row(
            label,
            *(f"{of(rates):,.0f}/s" for of in (statistics.median, min, max)),
            f"{statistics.median(figure.client_us for figure in figures):.1f}",
            f"{statistics.median(figure.server_us for figure in figures):.1f}",
        )
    for label, limits in (("ratio", bare), ("ratio to keys directly", straight)):
        ratios = [mine.rate / limit.rate for mine, limit in zip(ours, limits, strict=True)]
        table.add_row(label, *(f"{of(ratios):.2f}" for of in (statistics.median, min, max)))
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    ours: list[Figure] = []
    bare: list[Figure] = []
    straight: list[Figure] = []
    with tempfile.TemporaryDirectory() as name, postgres(Path(name)) as address:
        folder = Path(name)
        log = folder / "requests.ndjson"
        write_request_log(log, arguments.events)
        size = 0.0
        for _ in range(arguments.runs):
            filled = new_database(address, "bench_ours")
            ours.append(run_metering(filled, log, arguments.events, folder))
            size = bytes_an_event(filled, arguments.events)
            for figures, at_once in ((bare, False), (straight, True)):
                empty = new_database(address, "bench_bare")
                figures.append(run_bare(filled, empty, arguments.events, folder, straight=at_once))
        title = f"Ingest of {arguments.events:,} NDJSON lines into an empty PostgreSQL, {arguments.runs} runs"
        show(title, ours, bare, straight)
        sys.stdout.write(f"{size:.0f} bytes per event on disk, including indexes and response IDs\n{settings_of(address)}\n")
        for database in ("bench_ours", "bench_bare"):
            drop_database(address, database)


if __name__ == "__main__":
    main()
