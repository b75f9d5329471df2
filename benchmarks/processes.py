"""Processor time and memory of processes, from /proc (Linux), and free ports."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def children(pid: int) -> list[int]:
    """Return the children of a process."""
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def tree(pid: int) -> list[int]:
    """Return a process and its descendants."""
    return [pid, *(each for child in children(pid) for each in tree(child))]


def processor_seconds(pids: list[int]) -> float:
    """Return the processor time that processes have used, user and system."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def memory_mb(pids: list[int], kind: str = "Pss") -> float:
    """Return the memory of processes in MB: ``Pss`` counts pages that processes share once, ``Rss`` in each of them."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")), 0)
    return total / 1024


def wait_until_listening(port: int, is_alive: Callable[[], bool], seconds: float = 90) -> None:
    """Wait until a server accepts connections. Raises SystemExit if it ends, or takes too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and is_alive():
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"nothing listens on port {port}")
