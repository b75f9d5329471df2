"""Events per second of ``POST /v1/events`` over HTTP on loopback: single events on many connections, and batches.

The server is ``metering serve`` in a process of its own; every answer comes after its commit. The client is a bare asyncio
protocol with its requests ready in memory, so that it costs the shared machine as little as it can. Beside it, in the same
run, the limit: the same server answering ``/healthz`` to the same client, which decodes, authenticates and stores nothing.
"""

import argparse
import asyncio
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from request_log import write_request_log
from rich.console import Console
from rich.table import Table

READY_SECONDS = 30


def request(path: str, token: str, body: bytes, media: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: {media}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Client(asyncio.Protocol):
    """One connection: sends the next request when the last one was answered, and notes how long each took."""

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
    """``metering serve`` on a database of its own, which ``prepare`` may fill."""

    def __init__(self, folder: Path, prepare: Callable[[], None] = lambda: None) -> None:
        self.port = free_port()
        environment = {**os.environ, "METERING_DATABASE_URL": f"sqlite:///{folder / 'api.db'}"}
        command = [sys.executable, "-m", "metering"]
        subprocess.run([*command, "db", "upgrade"], env=environment, check=True, capture_output=True)
        subprocess.run([*command, "accounts", "create", "acme"], env=environment, check=True, capture_output=True)
        made = subprocess.run(
            [*command, "keys", "create", "--name", "bench", "--scope", "ingest", "--json"],
            env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
        self.token = made.stdout.split('"token": "', 1)[1].split('"', 1)[0]
        prepare()
        self.process = subprocess.Popen(
            [*command, "serve", "--port", str(self.port)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise SystemExit("the server did not start")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=20)


def measured(server: Server, requests: list[bytes], connections: int, events: int) -> tuple[float, float, float]:
    """Return (events a second, median and 99th percentile of the latency in ms)."""
    elapsed, latencies = asyncio.run(drive(server.port, requests, connections))
    latencies.sort()
    return events / elapsed, 1e3 * statistics.median(latencies), 1e3 * latencies[int(0.99 * len(latencies))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--singles", type=int, default=20_000, help="single events a run (default %(default)s)")
    parser.add_argument("--batches", type=int, default=100, help="batches of 1,000 events a run (default %(default)s)")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    runs: dict[str, list[tuple[float, float, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(folder)
        try:
            for run in range(arguments.runs):
                log = folder / "requests.ndjson"
                write_request_log(log, arguments.singles + arguments.batches * 1_000, seed=run)
                lines = log.read_bytes().replace(b'"id":"req_', f'"id":"run{run}_'.encode()).splitlines(keepends=True)
                singles, rest = lines[: arguments.singles], lines[arguments.singles :]
                health = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
                one = [request("/v1/events", server.token, line, "application/json") for line in singles]
                many = [
                    request("/v1/events", server.token, b"".join(rest[start : start + 1_000]), "application/x-ndjson")
                    for start in range(0, len(rest), 1_000)
                ]
                for label, requests, connections, events in (
                    ("limit: GET /healthz", [health] * len(one), arguments.connections, len(one)),
                    (f"single events, {arguments.connections} connections", one, arguments.connections, len(one)),
                    ("batches of 1,000, 4 connections", many, 4, len(rest)),
                ):
                    runs.setdefault(label, []).append(measured(server, requests, connections, events))
        finally:
            server.stop()
    table = Table(title=f"POST /v1/events, {arguments.runs} runs, SQLite")
    for heading in ("", "events/s, median", "min", "max", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="left" if not heading else "right")
    for label, figures in runs.items():
        speeds = [figure[0] for figure in figures]
        cells = [f"{pick(speeds):,.0f}" for pick in (statistics.median, min, max)]
        latency = [f"{statistics.median(figure[place] for figure in figures):.1f}" for place in (1, 2)]
        table.add_row(label, *cells, *latency)
    Console().print(table)


if __name__ == "__main__":
    main()
