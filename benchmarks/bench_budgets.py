"""The cost of ten thousand budgets on one account for ingest, and the delay from a commit to the alert.

Ingest is measured with and without budgets in turn, as ``metering ingest`` (the whole process) and over HTTP. The delay is from
the answer to the request whose event crosses a threshold, which comes after the commit, until another connection can read the
alert: on an idle server, and while 32 connections send single events as fast as they are answered.
"""

import argparse
import asyncio
import os
import random
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from bench_api import Server, drive, request
from request_log import write_request_log
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection

from metering.domain.budgets.budgets import BudgetTerms, Scope
from metering.domain.budgets.periods import Window
from metering.domain.instants import parse_instant
from metering.storage.budgets.budgets import insert_budget, insert_revision
from metering.storage.engine.database import exclusive_write, open_database
from metering.storage.tables import account_names

WINDOWS = (Window.DAY, Window.WEEK, Window.MONTH, Window.QUARTER)
NOW = parse_instant("2026-10-31T00:00:00Z")
GIVE_UP_SECONDS = 20


def make_budgets(database: Path, wanted: int, probes: int) -> None:
    """Create budgets of all windows and scopes for acme, some of which the log crosses, and one for each probed key."""
    chance = random.Random(1)
    projects: list[Scope] = [{"project": (f"project-{at}",)} for at in range(7)]
    scopes: list[Scope] = [
        {},
        *projects,
        {"key": ("key-0", "key-1")},
        {"provider": ("together",)},
    ]
    engine = open_database(f"sqlite:///{database}")
    with exclusive_write(engine) as connection:
        account_id = connection.execute(account_names.select().where(account_names.c.name == "acme")).one().account_id
        for number in range(wanted - probes):
            scope: Scope = chance.choice(scopes) if number % 2 else {"project": (f"unused-{number}",)}
            terms = BudgetTerms(amount_nano=chance.randrange(10**9, 10**15), window=chance.choice(WINDOWS), scope=scope)
            _insert(connection, account_id, terms)
        for number in range(probes):
            _insert(connection, account_id, BudgetTerms(amount_nano=1, thresholds=(100,), scope={"key": (f"probe-{number}",)}))
    engine.dispose()


def _insert(connection: Connection, account_id: int, terms: BudgetTerms) -> None:
    budget_id = insert_budget(connection, account_id, now=NOW)
    insert_revision(connection, budget_id, 1, terms, archived=False, by="bench", now=NOW)


def ingest_process(folder: Path, log: Path, budgets: int) -> tuple[float, float]:
    """Return the wall-clock and processor seconds of ``metering ingest`` on an empty database."""
    database = folder / f"ingest-{budgets}.db"
    environment = {**os.environ, "METERING_DATABASE_URL": f"sqlite:///{database}"}
    command = [sys.executable, "-m", "metering"]
    for setup in (["db", "upgrade"], ["accounts", "create", "acme"]):
        subprocess.run([*command, *setup], env=environment, check=True, capture_output=True)
    if budgets:
        make_budgets(database, budgets, 0)
    busy, started = _children_seconds(), time.perf_counter()
    subprocess.run([*command, "ingest", "--quiet", str(log)], env=environment, check=True, capture_output=True)
    took = time.perf_counter() - started, _children_seconds() - busy
    for file in folder.glob(f"{database.name}*"):
        file.unlink()
    return took


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def served(folder: Path, name: str, budgets: int, probes: int) -> Iterator[Server]:
    """Serve a new database with this number of budgets."""
    inside = folder / name
    inside.mkdir()
    server = Server(
        f"sqlite:///{inside / 'api.db'}", prepare=lambda: make_budgets(inside / "api.db", budgets, probes) if budgets else None
    )
    try:
        yield server
    finally:
        server.stop()


def singles(log: Path, server: Server, run: str) -> list[bytes]:
    lines = log.read_bytes().replace(b'"id":"req_', f'"id":"{run}_'.encode()).splitlines(keepends=True)
    return [request("/v1/events", server.token, line, "application/json") for line in lines]


def delays(server: Server, database: Path, probes: range) -> list[float]:
    """Return, for each probe, the seconds from the answer to its event until its alert can be read."""
    reader = sqlite3.connect(database)
    chance = random.Random(probes.start)
    first = reader.execute("SELECT max(id) FROM budgets").fetchone()[0] - 2 * len(probes) + 1
    found = []
    for number in probes:
        time.sleep(chance.random() / 10)
        body = (
            f'{{"id":"probe-{number}","time":"2026-10-15T00:00:00Z","account":"acme","provider":"together","route":"routed",'
            f'"status":200,"model":"meta-llama/Llama-3.3-70B-Instruct","key":"probe-{number}","usage":{{"input_tokens":10}}}}'
        )
        headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
        asked = urllib.request.Request(f"http://127.0.0.1:{server.port}/v1/events", body.encode(), headers)
        urllib.request.urlopen(asked, timeout=GIVE_UP_SECONDS).read()
        answered = time.perf_counter()
        subject = f"budget:{first + number}"
        while not reader.execute("SELECT 1 FROM alerts WHERE subject = ? AND threshold = 100", (subject,)).fetchone():
            if time.perf_counter() - answered > GIVE_UP_SECONDS:
                raise SystemExit(f"no alert for {subject}")
            time.sleep(0.001)
        found.append(time.perf_counter() - answered)
    reader.close()
    return found


def while_loaded(server: Server, log: Path, measure: Callable[[], list[float]]) -> tuple[list[float], float]:
    """Measure while 32 connections send; also return their events per second."""
    done = threading.Event()
    sent = 0

    def load() -> Iterator[bytes]:
        nonlocal sent
        for round_ in count():
            for each in singles(log, server, f"load{round_}"):
                if done.is_set():
                    return
                sent += 1
                yield each

    loading = threading.Thread(target=lambda: asyncio.run(drive(server.port, load(), 32)), daemon=True)
    started = time.perf_counter()
    loading.start()
    time.sleep(1)
    found = measure()
    done.set()
    loading.join()
    return found, sent / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--budgets", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=200_000, help="of metering ingest (default %(default)s)")
    parser.add_argument("--singles", type=int, default=10_000, help="single events per run (default %(default)s)")
    parser.add_argument("--probes", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    took: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log, small = folder / "log.ndjson", folder / "small.ndjson"
        write_request_log(log, arguments.events)
        write_request_log(small, arguments.singles)
        with (
            served(folder, "without", 0, 0) as bare,
            served(folder, "with", arguments.budgets, 2 * arguments.probes) as full,
        ):
            for run in range(arguments.runs):
                for budgets, server in ((0, bare), (arguments.budgets, full)):
                    clock, processors = ingest_process(folder, log, budgets)
                    took.setdefault(("ingest", budgets), []).append(clock)
                    took.setdefault(("processors", budgets), []).append(processors)
                    requests = singles(small, server, f"run{run}")
                    took.setdefault(("http", budgets), []).append(asyncio.run(drive(server.port, requests, 32))[0])
            database = folder / "with" / "api.db"
            probes = arguments.probes
            idle = delays(full, database, range(probes))
            loaded, speed = while_loaded(full, small, lambda: delays(full, database, range(probes, 2 * probes)))
    _show(arguments, took, {"idle": idle, f"32 connections sending, {speed:,.0f} events/s": loaded})


def _show(arguments: argparse.Namespace, took: dict[tuple[str, int], list[float]], delays_: dict[str, list[float]]) -> None:
    table = Table(title=f"{arguments.budgets:,} budgets on one account, {arguments.runs} runs in turn")
    for heading in ("", "without, events/s", "with", "slower by, median", "min", "max"):
        table.add_column(heading, justify="right" if heading else "left")
    for kind, label, events in (
        ("ingest", f"metering ingest, {arguments.events:,} events", arguments.events),
        ("processors", "the same, by processor time", arguments.events),
        ("http", f"single events over HTTP, {arguments.singles:,}", arguments.singles),
    ):
        without, with_ = took[kind, 0], took[kind, arguments.budgets]
        slower = [100 * (mine / other - 1) for mine, other in zip(with_, without, strict=True)]
        speeds = [f"{events / statistics.median(each):,.0f}" for each in (without, with_)]
        table.add_row(label, *speeds, *(f"{pick(slower):.1f} %" for pick in (statistics.median, min, max)))
    delayed = Table(title="From the answer to the crossing event until its alert can be read, ms")
    for heading in ("", "median", "p99", "max"):
        delayed.add_column(heading, justify="right" if heading else "left")
    for label, figures in delays_.items():
        ordered = sorted(1e3 * each for each in figures)
        shown = statistics.median(ordered), ordered[int(0.99 * len(ordered))], ordered[-1]
        delayed.add_row(label, *(f"{each:.0f}" for each in shown))
    Console().print(table, delayed)


if __name__ == "__main__":
    main()
