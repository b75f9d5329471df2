"""Events per second of ``POST /v1/events`` over HTTP on loopback: single events on many connections, and batches.

The server is ``metering serve`` in separate processes, on SQLite, on PostgreSQL, and on PostgreSQL with two workers. Every
answer comes after its commit, and each run starts with an empty database, or with ``--stored`` events in it. The client is a
bare asyncio protocol with its requests ready in memory, so that it uses as little of the machine as possible. The same run
measures the limit: the same server answering ``/healthz`` to the same client, without decoding, authenticating or storing
anything. Processor time is shown too, because it does not depend on other work on the machine.
"""

import argparse
import asyncio
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from bench_queries import fill
from postgres_server import as_url, backend_seconds, new_database, postgres, settings_of
from request_log import write_request_log
from rich.console import Console
from rich.table import Table

READY_SECONDS = 30
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Work(NamedTuple):
    """Requests to send, the number of connections, and the number of events."""

    label: str
    requests: list[bytes]
    connections: int
    events: int


class Figures(NamedTuple):
    """The result of one run; processor time in microseconds per request."""

    events_per_second: float
    p50_ms: float
    p99_ms: float
    server_us: float
    database_us: float
    client_us: float


def request(path: str, token: str, body: bytes, media: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: {media}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Client(asyncio.Protocol):
    """One connection. Sends the next request after the last response, and records each latency."""

    def __init__(self, requests: Iterator[bytes], done: asyncio.Future[None], latencies: list[float]) -> None:
        self._requests = requests
        self._done = done
        self._latencies = latencies
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end].lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(self._buffer) < head_end + 4 + length:
            return
        if not head.startswith(b"http/1.1 200"):
            self._done.set_exception(SystemExit(self._buffer.decode()))
            self._transport.close()
            return
        self._latencies.append(time.perf_counter() - self._sent_at)
        self._buffer = b""
        self._send()

    def _send(self) -> None:
        following = next(self._requests, None)
        if following is None:
            self._transport.close()
            if not self._done.done():
                self._done.set_result(None)
            return
        self._sent_at = time.perf_counter()
        self._transport.write(following)


async def drive(port: int, requests: Iterable[bytes], connections: int) -> tuple[float, list[float]]:
    """Send the requests over the connections; return (seconds, the latency of each)."""
    loop = asyncio.get_running_loop()
    waiting = iter(requests)
    latencies: list[float] = []
    finished = [loop.create_future() for _ in range(connections)]
    started = time.perf_counter()
    for done in finished:
        await loop.create_connection(lambda done=done: Client(waiting, done, latencies), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*finished)
    return time.perf_counter() - started, latencies


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """``metering serve`` on its own database, which ``prepare`` can fill.

    ``postgres_folder`` is the data folder of that database's server.
    """

    def __init__(
        self, url: str, *, workers: int = 1, postgres_folder: Path | None = None, prepare: Callable[[], None] = lambda: None
    ) -> None:
        self.port = free_port()
        self._postgres_folder = postgres_folder
        environment = {**os.environ, "METERING_DATABASE_URL": url, "METERING_SYNC_INTERVAL_MINUTES": "0"}
        command = [sys.executable, "-m", "metering"]
        subprocess.run([*command, "db", "upgrade"], env=environment, check=True, capture_output=True)
        subprocess.run([*command, "accounts", "create", "acme"], env=environment, check=True, capture_output=True)
        made = subprocess.run(
            [*command, "keys", "create", "--name", "bench", "--scope", "ingest", "--json"],
            env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
        self.token = made.stdout.split('"token": "', 1)[1].split('"', 1)[0]
        prepare()
        serve = ["serve", "--port", str(self.port), "--workers", str(workers)]
        self.process = subprocess.Popen(
            [*command, *serve], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        asyncio.run(self._wait_until_it_answers(4 * workers))

    async def _wait_until_it_answers(self, connections: int) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            try:
                await drive(self.port, [HEALTH] * connections, connections)
            except OSError:
                await asyncio.sleep(0.1)
            else:
                return
        raise SystemExit("the server did not start")

    def processor_seconds(self) -> tuple[float, float]:
        """Return the processor time used by the server's processes and by the database's."""
        database = 0.0 if self._postgres_folder is None else backend_seconds(self._postgres_folder)
        return seconds_of_tree(self.process.pid), database

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=20)


def seconds_of_tree(root: int) -> float:
    """Return the processor time of a process and its children."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if stat.parent.name == str(root) or fields[1] == str(root):
            ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def sync_ms(folder: Path) -> float:
    """Return the median time of 100 writes and fsyncs of 8 KiB: no commit is faster."""
    took = []
    with (folder / "synced").open("wb") as file:
        for _ in range(100):
            started = time.perf_counter()
            file.write(bytes(8_192))
            file.flush()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - started)
    return 1e3 * statistics.median(took)


def measured(server: Server, work: Work) -> Figures:
    """Send the requests and return the result."""
    before, client_before = server.processor_seconds(), time.process_time()
    elapsed, latencies = asyncio.run(drive(server.port, work.requests, work.connections))
    after, client_after = server.processor_seconds(), time.process_time()
    latencies.sort()
    per_request = 1e6 / len(work.requests)
    return Figures(
        work.events / elapsed,
        1e3 * statistics.median(latencies),
        1e3 * latencies[int(0.99 * len(latencies))],
        per_request * (after[0] - before[0]),
        per_request * (after[1] - before[1]),
        per_request * (client_after - client_before),
    )


def works(folder: Path, token: str, run: int, arguments: argparse.Namespace) -> list[Work]:
    """Return the requests of one run, which no other run sends."""
    log = folder / "requests.ndjson"
    write_request_log(log, arguments.singles + arguments.batches * 1_000, seed=run)
    lines = log.read_bytes().replace(b'"id":"req_', f'"id":"run{run}_'.encode()).splitlines(keepends=True)
    singles, rest = lines[: arguments.singles], lines[arguments.singles :]
    one = [request("/v1/events", token, line, "application/json") for line in singles]
    bodies = [b"".join(rest[start : start + 1_000]) for start in range(0, len(rest), 1_000)]
    many = [request("/v1/events", token, body, "application/x-ndjson") for body in bodies]
    connections = arguments.connections
    made = [
        Work("limit: GET /healthz", [HEALTH] * len(one), connections, len(one)),
        Work(f"single events, {connections} connections", one, connections, len(one)),
        Work("batches of 1,000, 4 connections", many, 4, len(rest)),
    ]
    return [work for work in made if work.requests]


@contextmanager
def places(folder: Path, wanted: list[str], workers: int, stored: int) -> Iterator[Iterator[tuple[str, Callable[[], Server]]]]:
    """Yield titles, each with a function that starts a server on a new database of that kind with stored events."""
    if "postgresql" not in wanted:
        yield iter([("SQLite", partial(on_sqlite, folder, stored))])
        return
    with postgres(folder) as address:

        def each() -> Iterator[tuple[str, Callable[[], Server]]]:
            if "sqlite" in wanted:
                yield "SQLite", partial(on_sqlite, folder, stored)
            settings = settings_of(address)
            for count in sorted({1, workers}):
                title = f"PostgreSQL, {count} worker{'s' if count > 1 else ''} ({settings})"
                yield title, partial(on_postgres, folder, address, count, stored)

        yield each()


def on_sqlite(folder: Path, stored: int) -> Server:
    for left in folder.glob("api.db*"):
        left.unlink()
    if stored:
        filled = folder / "filled.db"
        if not filled.exists():
            fill(f"sqlite:///{filled}", folder, stored, response_ids=True)
        shutil.copy(filled, folder / "api.db")
    return Server(f"sqlite:///{folder / 'api.db'}")


def on_postgres(folder: Path, address: str, workers: int, stored: int) -> Server:
    template = filled_database(folder, address, stored) if stored else "template1"
    database = new_database(address, "bench_api", template=template)
    return Server(as_url(database), workers=workers, postgres_folder=folder)


@cache
def filled_database(folder: Path, address: str, stored: int) -> str:
    """Return the name of a database with stored events, which is filled once."""
    name = "bench_filled"
    fill(as_url(new_database(address, name)), folder, stored, response_ids=True)
    return name


def shown(title: str, runs: dict[str, list[Figures]]) -> Table:
    """Return the figures of all runs on one database as a table."""
    table = Table(title=title)
    headings = ("events/s, median", "min", "max", "p50 ms", "p99 ms", "server us/request", "database us", "client us")
    for heading in ("", *headings):
        table.add_column(heading, justify="left" if not heading else "right")
    for label, figures in runs.items():
        speeds = [each.events_per_second for each in figures]
        cells = [f"{pick(speeds):,.0f}" for pick in (statistics.median, min, max)]
        others = [statistics.median(each[position] for each in figures) for position in range(1, 6)]
        table.add_row(label, *cells, *(f"{value:,.1f}" for value in others[:2]), *(f"{value:,.0f}" for value in others[2:]))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--singles", type=int, default=20_000, help="single events per run (default %(default)s)")
    parser.add_argument("--batches", type=int, default=100, help="batches of 1,000 events per run (default %(default)s)")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append", help="databases (default: both)")
    parser.add_argument(
        "--workers", type=int, default=2, help="also measure PostgreSQL with this many workers (default %(default)s)"
    )
    parser.add_argument("--stored", type=int, default=0, help="events stored before each run (default %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wanted = arguments.database or ["sqlite", "postgresql"]
        with places(folder, wanted, arguments.workers, arguments.stored) as found:
            for title, start in found:
                runs: dict[str, list[Figures]] = {}
                for run in range(arguments.runs):
                    server = start()
                    try:
                        for work in works(folder, server.token, run, arguments):
                            runs.setdefault(work.label, []).append(measured(server, work))
                    finally:
                        server.stop()
                disk = f"write and fsync of 8 KiB {sync_ms(folder):.1f} ms"
                there = f"{arguments.stored:,} events stored, " if arguments.stored else ""
                Console(width=160).print(shown(f"POST /v1/events, {there}{arguments.runs} runs, {title}; {disk}", runs))


if __name__ == "__main__":
    main()
