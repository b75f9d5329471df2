"""The delay from the commit of an alert to its webhook, at a steady rate and in a burst, on SQLite and on PostgreSQL.

Alerts are raised one per transaction, as by an ingest; each goes to two endpoints, its account's and the operator's. The
dispatcher runs in the same process, as in ``serve``, the receiver in a separate one. A latency is the time from the end of the
commit until the receiver has read the whole request, including connection and signature. "With a silent endpoint" adds an
endpoint that gets every alert too and never answers.

    python benchmarks/bench_webhooks.py [--seconds N] [--rate N] [--endpoints N]
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from itertools import chain, count
from multiprocessing.connection import Connection
from pathlib import Path

from postgres_server import drop_database, new_database, postgres, settings_of
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, make_url

from metering.operations.alerts.manage_webhooks import NewEndpoint, create_webhook
from metering.operations.alerts.webhook_settings import WebhookSettings
from metering.operations.steps.raise_alert import raise_alert
from metering.operations.upkeep.upgrade_database import upgrade_database
from metering.outbound.addresses import AddressGuard
from metering.runtime.dispatcher import Dispatcher
from metering.storage.accounts.accounts import insert_account
from metering.storage.alerts.alerts import NewAlert
from metering.storage.engine.database import concurrent_write, exclusive_write, open_database

KEY = "c29tZS1rZXktdGhhdC1vbmx5LXRlc3RzLWtub3ctMTI="
LOOPBACK = frozenset({"127.0.0.1"})
SETTINGS = WebhookSettings((KEY,), AddressGuard(LOOPBACK, LOOPBACK))
PATIENCE = 120.0
TOGETHER = 100


def receive(pipe: Connection) -> None:
    """Answer every request with 204, except at ``/silent``; report on request when each alert arrived at which path."""
    arrived: dict[str, int] = {}

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = next(int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-length:"))
        body = await reader.readexactly(length)
        if head.startswith("POST /silent"):
            await asyncio.sleep(PATIENCE)
        else:
            target = head.split(" ")[1]
            arrived.setdefault(f"{target} {json.loads(body)['data']['subject']}", time.time_ns())
            writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=1_024)
        pipe.send(server.sockets[0].getsockname()[1])
        loop = asyncio.get_running_loop()
        while True:
            await loop.run_in_executor(None, pipe.recv)
            pipe.send(dict(arrived))

    asyncio.run(serve())


class WebhookSetup:
    """A migrated database with a running dispatcher and endpoints at the receiver, one per account."""

    def __init__(self, url: str, port: int, endpoints: int, *, silent: bool) -> None:
        self.engine: Engine = open_database(url)
        now = time.time_ns() // 1_000
        upgrade_database(self.engine, now=now)
        with exclusive_write(self.engine) as connection:
            self.accounts = [insert_account(connection, f"account-{n}", default_route="", now=now) for n in range(endpoints)]
        for n in range(endpoints):
            create_webhook(self.engine, NewEndpoint(f"http://127.0.0.1:{port}/{n}", f"account-{n}"), SETTINGS, now=now)
        create_webhook(self.engine, NewEndpoint(f"http://127.0.0.1:{port}/operator"), SETTINGS, now=now)
        if silent:
            create_webhook(self.engine, NewEndpoint(f"http://127.0.0.1:{port}/silent"), SETTINGS, now=now)
        self.numbers = count()
        self.dispatcher = Dispatcher(self.engine, SETTINGS, lambda: time.time_ns() // 1_000)
        self.dispatcher.start()

    def raise_together(self, subjects: Sequence[str]) -> dict[str, int]:
        """Raise alerts in one transaction, for the accounts in turn; return when each delivery was committed."""
        now = time.time_ns() // 1_000
        data = json.dumps({"budget": "production", "amount_usd": "500.00", "spent_usd": "400.12", "percent": 80})
        targets = [next(self.numbers) % len(self.accounts) for _ in subjects]
        with concurrent_write(self.engine) as connection:
            for subject, target in zip(subjects, targets, strict=True):
                account = self.accounts[target]
                alert = NewAlert("budget.threshold_reached", subject, now, data, "2026-11", 80, account)
                raise_alert(connection, alert, now=now)
        at = time.time_ns()
        written = [(f"/{target} {subject}", f"/operator {subject}") for subject, target in zip(subjects, targets, strict=True)]
        return dict.fromkeys(chain.from_iterable(written), at)

    def close(self) -> None:
        """End."""
        self.dispatcher.stop()
        self.engine.dispose()


def paced(setup: WebhookSetup, pipe: Connection, *, rate: int, seconds: int) -> tuple[list[float], float]:
    """Raise alerts at a steady rate; return milliseconds from each commit to each arrival, and the rate that was reached."""
    committed: dict[str, int] = {}
    began = time.perf_counter()
    for number in range(rate * seconds // 2):
        wait = began + 2 * number / rate - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        committed |= setup.raise_together([f"paced:{number}"])
    kept = rate * seconds / (time.perf_counter() - began)
    arrived = all_arrived(pipe, committed)
    return [(arrived[each] - at) / 1e6 for each, at in committed.items()], kept


def burst(setup: WebhookSetup, pipe: Connection, deliveries: int) -> float:
    """Raise alerts, a hundred per transaction; return webhooks per second until the last has arrived."""
    subjects = [f"burst:{number}" for number in range(deliveries // 2)]
    began = time.time_ns()
    committed: dict[str, int] = {}
    for start in range(0, len(subjects), TOGETHER):
        committed |= setup.raise_together(subjects[start : start + TOGETHER])
    arrived = all_arrived(pipe, committed)
    return deliveries / ((max(arrived[each] for each in committed) - began) / 1e9)


def all_arrived(pipe: Connection, wanted: Collection[str]) -> dict[str, int]:
    """Wait for all subjects; return when each arrived."""
    end = time.monotonic() + PATIENCE
    while True:
        pipe.send("arrived?")
        arrived: dict[str, int] = pipe.recv()
        missing = set(wanted) - arrived.keys()
        if not missing:
            return arrived
        if time.monotonic() > end:
            raise TimeoutError(f"{len(missing)} webhooks have not arrived")
        time.sleep(0.2)


def measure(console: Console, name: str, new_url: Callable[[str], str], options: argparse.Namespace) -> None:
    drawn = Table(title=name, title_justify="left")
    for heading in ("", "median ms", "p99 ms", "longest ms", "burst, deliveries/s"):
        drawn.add_column(heading, justify="right" if heading else "left")
    for silent in (False, True):
        here, there = multiprocessing.Pipe()
        receiver = multiprocessing.get_context("spawn").Process(target=receive, args=(there,), daemon=True)
        receiver.start()
        setup = WebhookSetup(new_url(f"webhooks_{int(silent)}"), here.recv(), options.endpoints, silent=silent)
        try:
            found, kept = paced(setup, here, rate=options.rate, seconds=options.seconds)
            every = burst(setup, here, options.rate * options.seconds)
        finally:
            setup.close()
            receiver.terminate()
            receiver.join(5)
        cuts = statistics.quantiles(found, n=100)
        label = f"{kept:.0f}/s{', with a silent endpoint' if silent else ''}"
        drawn.add_row(label, f"{cuts[49]:.1f}", f"{cuts[98]:.1f}", f"{max(found):.1f}", f"{every:,.0f}")
    console.print(drawn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--endpoints", type=int, default=20)
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="metering-bench-") as name:
        folder = Path(name)
        measure(console, "SQLite", lambda name: f"sqlite:///{folder / name}.db", options)
        with postgres(folder) as address:
            console.print(settings_of(address))

            def new_url(name: str) -> str:
                new_database(address, name)
                return make_url(address).set(database=name).render_as_string(hide_password=False)

            measure(console, "PostgreSQL", new_url, options)
            for silent in (0, 1):
                drop_database(address, f"webhooks_{silent}")


if __name__ == "__main__":
    main()
