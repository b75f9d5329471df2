"""What ``metering sidecar`` costs a request: compared with no proxy, nginx and LiteLLM's proxy, in front of a mock upstream.

Everything shares this machine's cores: the load, the upstream, the proxy, and the process that stores events. Candidates take
turns, round after round. The sidecar meters every request, journal on; at the end all events must be in its database. nginx is
used if it is on the PATH, LiteLLM if ``--litellm`` names its program (install it apart from this project). If `wrk` is on the
PATH it makes the load of the first table, because it takes less of the machine.
"""

import argparse
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from http_load import Sent, request, send
from msgspec import Struct
from processes import memory_mb, processor_seconds
from proxies import Proxy, Sidecar, Upstreams, litellm, nginx, sidecar, versions
from rich.console import Console
from rich.table import Table

LONG_PROMPT_BYTES = 380_000
CHUNKS = 100
console = Console()


class Work(NamedTuple):
    """A kind of load. ``chunks`` 0: plain answers."""

    data: bytes
    requests: int
    connections: int
    chunks: int = 0


class Figures(Struct):
    """One run. Processor time is in microseconds per request, of the proxy and of what stores its events."""

    per_second: float
    proxy_us: float
    shipping_us: float
    p50_ms: float
    p99_ms: float
    first_byte_ms: float
    least_proxy_us: float = 0.0


def measured(proxy: Proxy, work: Work, *, with_wrk: bool = False) -> Figures:
    """Send the load; then wait until what stores events has caught up, so that its work counts here and disturbs no other."""
    expected = proxy.stored() + work.requests if isinstance(proxy, Sidecar) and not with_wrk else 0
    before, stored_before = processor_seconds(proxy.pids), processor_seconds(proxy.shipping)
    count = work.requests
    if with_wrk:
        count, sent = _wrk(proxy.port, work)
    else:
        sent = send(proxy.port, work.data, work.requests, work.connections)
    used = processor_seconds(proxy.pids) - before
    if isinstance(proxy, Sidecar):
        wait_until_stored(proxy, expected)
    shipped = processor_seconds(proxy.shipping) - stored_before
    latencies, first = sorted(sent.latencies) or [0.0], sent.first_bytes or [0.0]
    return Figures(
        per_second=count / sent.seconds,
        proxy_us=1e6 * used / count,
        shipping_us=1e6 * shipped / count,
        p50_ms=1e3 * statistics.median(latencies),
        p99_ms=1e3 * latencies[int(0.99 * len(latencies))],
        first_byte_ms=1e3 * statistics.median(first),
    )


def wait_until_stored(proxy: Sidecar, expected: int) -> float:
    """Return how long it takes until so many events are stored; 0: until no more are added for a second."""
    started = time.monotonic()
    last, changed = -1, started
    while time.monotonic() < started + 120:
        stored = proxy.stored()
        if expected and stored >= expected:
            return time.monotonic() - started
        if stored != last:
            last, changed = stored, time.monotonic()
        elif not expected and time.monotonic() - changed > 1:
            return changed - started
        time.sleep(0.05)
    raise SystemExit(f"{proxy.label}: {proxy.stored():,} events are stored, of {expected:,}")


def _wrk(port: int, work: Work) -> tuple[int, Sent]:
    head, _, body = work.data.decode().partition("\r\n\r\n")
    headers = [line for line in head.split("\r\n")[1:] if not line.startswith(("content-length", "connection", "host"))]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        pairs = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in (line.split(": ", 1) for line in headers))
        script.write(f'wrk.method = "POST"\nwrk.body = [==[{body}]==]\n{pairs}')
        script.flush()
        seconds = max(2, work.requests // 5_000)
        options = ["-t1", f"-c{work.connections}", f"-d{seconds}s", "-s", script.name]
        address = f"http://127.0.0.1:{port}/v1/chat/completions"
        done = subprocess.run(["wrk", *options, address], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in done or "Socket errors" in done:
        raise SystemExit(done)
    found = re.search(r"([0-9]+) requests in ([0-9.]+)s", done)
    if found is None:
        raise SystemExit(done)
    return int(found[1]), Sent([], [], float(found[2]))


def in_turn(
    proxies: Sequence[Proxy], work: Callable[[Proxy], Work], rounds: int, *, with_wrk: bool = False
) -> dict[str, Figures]:
    """Return the medians of each candidate after so many rounds; a first one is not counted."""
    runs: dict[str, list[Figures]] = defaultdict(list)
    for each in range(rounds + 1):
        for proxy in proxies:
            figures = measured(proxy, work(proxy), with_wrk=with_wrk)
            if each:
                runs[proxy.label].append(figures)
    return {label: _median(figures) for label, figures in runs.items()}


def _median(runs: Sequence[Figures]) -> Figures:
    rows = [[getattr(each, name) for name in Figures.__struct_fields__] for each in runs]
    figures = Figures(*(statistics.median(column) for column in zip(*rows, strict=True)))
    figures.least_proxy_us = min(each.proxy_us for each in runs)
    return figures


def show(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(title=title)
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left", no_wrap=not heading)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def plain_answers(proxies: Sequence[Proxy], tls: Sequence[Proxy], arguments: argparse.Namespace) -> None:
    data, with_wrk = request(), shutil.which("wrk") is not None

    def work(proxy: Proxy) -> Work:
        return Work(data, arguments.requests // (20 if proxy.label == "LiteLLM" else 1), 16)

    for title, compared in ((f"{len(data):,} bytes, 16 connections", proxies), ("the same, TLS upstream", tls)):
        found = in_turn(compared, work, arguments.rounds, with_wrk=with_wrk)
        reference = found["nginx"].per_second if "nginx" in found else 0.0
        rows = [
            (
                label,
                f"{each.per_second:,.0f}",
                f"{each.per_second / reference:.2f}" if reference else "",
                f"{each.proxy_us:.0f}",
                f"{each.least_proxy_us:.0f}",
                f"{each.shipping_us:.0f}",
            )
            for label, each in found.items()
        ]
        show(title, ("", "requests/s", "of nginx", "proxy, us/request", "least", "storing, us/request"), rows)


def delay(proxies: Sequence[Proxy], arguments: argparse.Namespace) -> None:
    data = request()
    found = in_turn(proxies, lambda _: Work(data, arguments.requests // 20, 1), arguments.rounds)
    direct = found["direct"]
    rows = [
        (label, f"{each.p50_ms:.3f}", f"{each.p99_ms:.3f}", f"{each.p50_ms - direct.p50_ms:.3f}",
         f"{each.p99_ms - direct.p99_ms:.3f}")
        for label, each in found.items()
    ]  # fmt: skip
    show("1 connection", ("", "p50, ms", "p99, ms", "added p50", "added p99"), rows)


def streams(proxies: Sequence[Proxy], arguments: argparse.Namespace) -> None:
    data = request(chunks=CHUNKS, pause_ms=10)
    count = max(64, arguments.requests // 60)
    found = in_turn(proxies, lambda _: Work(data, count, 64, CHUNKS), arguments.rounds)
    reference = found["nginx"].proxy_us if "nginx" in found else 0.0
    rows = [
        (label, f"{each.proxy_us / CHUNKS:.1f}", f"{each.least_proxy_us / CHUNKS:.1f}",
         f"{each.proxy_us / reference:.2f}" if reference else "", f"{each.first_byte_ms:.2f}")
        for label, each in found.items()
    ]  # fmt: skip
    show(f"streams of {CHUNKS} chunks, 64 connections", ("", "proxy, us/chunk", "least", "of nginx", "first byte, ms"), rows)
    alone = request(chunks=3, pause_ms=0)
    found = in_turn(proxies, lambda _: Work(alone, arguments.requests // 40, 1), arguments.rounds)
    direct = found["direct"].first_byte_ms
    later = [(label, f"{each.first_byte_ms:.3f}", f"{each.first_byte_ms - direct:.3f}") for label, each in found.items()]
    show("streams, 1 connection", ("", "first byte, ms", "later"), later)


def long_prompts(proxies: Sequence[Proxy], arguments: argparse.Namespace) -> None:
    data = request(prompt_bytes=LONG_PROMPT_BYTES)
    found = in_turn(proxies, lambda _: Work(data, max(50, arguments.requests // 20), 4), arguments.rounds)
    rows = [
        (label, f"{each.per_second:,.0f}", f"{each.proxy_us:.0f}", f"{each.least_proxy_us:.0f}")
        for label, each in found.items()
    ]
    show(f"{len(data):,} bytes, 4 connections", ("", "requests/s", "proxy, us/request", "least"), rows)


def memory(proxies: Sequence[Proxy], arguments: argparse.Namespace) -> None:
    """Print the memory while idle, after a little traffic, and at most with many streams at once."""
    data = request(chunks=arguments.stream_chunks, pause_ms=20)
    rows = []
    for proxy in proxies:
        idle = [memory_mb(proxy.pids + proxy.shipping, kind) for kind in ("Pss", "Rss")]
        most = [0.0, 0.0]

        def sample(proxy: Proxy = proxy, most: list[float] = most) -> None:
            for position, kind in enumerate(("Pss", "Rss")):
                most[position] = max(most[position], memory_mb(proxy.pids + proxy.shipping, kind))

        if proxy.label != "LiteLLM":  # which takes minutes for as many
            send(proxy.port, data, arguments.streams, arguments.streams, sample)
        rows.append((proxy.label, *(f"{each:.0f}" for each in (*idle, *most))))
    many = f"{arguments.streams} streams of {arguments.stream_chunks} chunks"
    show("memory of all processes, MB", ("", "idle, shared pages once", "idle, RSS", f"{many}, shared once", "RSS"), rows)


def storing(proxy: Sidecar, arguments: argparse.Namespace) -> None:
    """Print how long after the end of a load all events are in the database."""
    before = proxy.stored()
    send(proxy.port, request(), arguments.requests, 16)
    took = wait_until_stored(proxy, before + arguments.requests)
    time.sleep(0.5)
    stored = proxy.stored() - before
    console.print(f"{stored:,} of {arguments.requests:,} events are in the database {took:.1f} s after the last answer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--requests", type=int, default=20_000, help="requests per run (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (default %(default)s)")
    parser.add_argument("--streams", type=int, default=500, help="streams at once, for memory (default %(default)s)")
    parser.add_argument("--stream-chunks", type=int, default=200, help="chunks of each (default %(default)s)")
    parser.add_argument("--litellm", type=Path, help="LiteLLM's program `litellm`, in a virtual environment of its choice")
    parser.add_argument("--only", default="", help="comma-separated: plain, delay, streams, long, memory, storing")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        upstreams = Upstreams(folder)
        started: list[Proxy] = []
        try:
            run(folder, upstreams, started, arguments)
        finally:
            for proxy in started:
                proxy.stop()
            upstreams.stop()


def run(folder: Path, upstreams: Upstreams, started: list[Proxy], arguments: argparse.Namespace) -> None:
    direct = Proxy("direct", upstreams.port)
    compared: list[Proxy] = [direct]
    secure: list[Proxy] = []
    web_server = nginx(folder / "nginx", upstreams)
    if web_server is None:
        console.print("nginx: not installed")
    else:
        started += web_server
        compared.append(web_server[0])
        secure.append(web_server[1])
    if arguments.litellm is None:
        console.print("LiteLLM: not installed (see --litellm)")
    else:
        started.append(litellm(folder / "litellm", arguments.litellm, upstreams))
    others = [each for each in started if each.label == "LiteLLM"]
    for label, version in versions(arguments.litellm).items():
        console.print(f"{label}: {version}")
    ours = sidecar("sidecar", folder / "group", upstreams)
    policies = [
        sidecar(f"sidecar, sync {policy}", folder / policy, upstreams, METERING_SIDECAR_SYNC=policy)
        for policy in ("each", "never")
    ]
    ours_tls = sidecar("sidecar", folder / "tls", upstreams, tls=True)
    started += [ours, *policies, ours_tls]
    compared.append(ours)
    parts: dict[str, Callable[[], None]] = {
        "memory": lambda: memory([*compared[1:], *others], arguments),
        "plain": lambda: plain_answers([*compared, *policies, *others], [*secure, ours_tls], arguments),
        "delay": lambda: delay([*compared, *policies, *others], arguments),
        "streams": lambda: streams(compared, arguments),
        "long": lambda: long_prompts(compared, arguments),
        "storing": lambda: storing(ours, arguments),
    }
    wanted = arguments.only.split(",") if arguments.only else list(parts)
    for each in wanted:
        parts[each]()


if __name__ == "__main__":
    main()
