"""Peak memory of ``metering ingest``, all its processes together, for logs of different sizes.

The sum of the resident memory of the process and its decoder, read from /proc every few milliseconds (Linux). Shared pages are
counted twice, so the true figure is lower.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from request_log import write_request_log
from rich.console import Console
from rich.table import Table

LIMIT_MB = 300


def resident_kib(pid: int) -> int:
    """Return the resident memory of a process and its descendants; 0 if they are gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    own = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")), 0)
    return own + sum(resident_kib(int(child)) for child in children)


def peak_of_ingest(folder: Path, log: Path) -> tuple[float, float]:
    """Return (peak MB, seconds) of ingesting the log into a new database."""
    database = folder / "memory.db"
    environment = {**os.environ, "METERING_DATABASE_URL": f"sqlite:///{database}"}
    command = [sys.executable, "-m", "metering", "ingest", "--create-accounts", "--quiet", str(log)]
    started = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, resident_kib(process.pid))
            time.sleep(0.01)
    if process.returncode:
        raise SystemExit(f"ingest ended with {process.returncode}")
    elapsed = time.perf_counter() - started
    for file in folder.glob("memory.db*"):
        file.unlink()
    return peak / 1024, elapsed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[100_000, 2_000_000])
    arguments = parser.parse_args()
    table = Table(title=f"Peak memory of ingest (limit {LIMIT_MB} MB)")
    for heading in ("lines", "file", "peak, both processes", "time"):
        table.add_column(heading, justify="right")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for events in arguments.events:
            log = folder / "requests.ndjson"
            write_request_log(log, events)
            peak, elapsed = peak_of_ingest(folder, log)
            size = f"{log.stat().st_size / 1_000_000:,.0f} MB"
            table.add_row(f"{events:,}", size, f"{peak:,.0f} MB", f"{elapsed:.1f} s")
    Console().print(table)


if __name__ == "__main__":
    main()
