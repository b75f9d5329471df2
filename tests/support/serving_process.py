"""``metering serve`` as a separate process, and its ``/metrics``."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import httpx
from prometheus_client.parser import text_string_to_metric_families

from support.places import ROOT
from support.started_process import PATIENCE, StartedProcess

T = TypeVar("T")
Samples: TypeAlias = dict[tuple[Any, ...], float]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(holds: Callable[[], T | Literal[False]], what: str = "it did not happen") -> T:
    """Return what ``holds`` returns as soon as that is true."""
    end = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < end, what
        time.sleep(0.02)
    return found


def samples_of(text: str) -> Samples:
    """Return the values of an exposition by name and labels (a sorted tuple of pairs)."""
    families = list(text_string_to_metric_families(text))
    return {(each.name, *sorted(each.labels.items())): each.value for family in families for each in family.samples}


class Serving(StartedProcess):
    """A server on a free port, in a separate process group. ``program`` replaces ``metering``."""

    def __init__(
        self, url: str, folder: Path, *options: str, program: tuple[str, ...] = ("-m", "metering"), **environment: str
    ) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"serve-{self.port}.log"
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("METERING_", "PROMETHEUS_"))}
        settings = {"METERING_DATABASE_URL": url, "METERING_SYNC_INTERVAL_MINUTES": "0", "METERING_METRICS_ACCESS": "open"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *program, "serve", "--port", str(self.port), *options],
                cwd=folder,
                env={**ours, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), **settings, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_it_serves(self) -> "Serving":
        until(self.answers, "the server did not start")
        return self

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"{self.address}/readyz", timeout=10, verify=False).status_code == 200
        except httpx.TransportError:
            return False

    def metrics(self) -> Samples:
        """Return what ``/metrics`` says now."""
        answer = httpx.get(f"{self.address}/metrics", timeout=30, verify=False)
        assert answer.status_code == 200, answer.text
        return samples_of(answer.text)

    def is_leader(self) -> bool:
        return self.metrics().get(("metering_leader",)) == 1

    def workers(self) -> list[int]:
        """Return the processes that serve for it."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [pid for pid in map(int, children) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
