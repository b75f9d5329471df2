"""Programs that are killed in the middle of their work: processes of their own, which tell on their output how far they are."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from support.places import ROOT, environment_of_programs


def start_victim(program: Path, *arguments: object, text: bool = False) -> subprocess.Popen:
    """Start a program with the code of this checkout. What it starts itself goes down with it."""
    return subprocess.Popen(
        [sys.executable, str(program), *map(str, arguments)],
        cwd=ROOT,
        env=environment_of_programs(),
        stdout=subprocess.PIPE,
        text=text,
        start_new_session=True,
    )


def kill_unless_done(process: subprocess.Popen, delay: float) -> None:
    """Kill the process after a delay, unless it ends by itself before."""
    try:
        process.wait(timeout=delay)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def killed_after(process: subprocess.Popen, acknowledgements: int, delay: float) -> int:
    """Kill the process some time after it has acknowledged so often; return the highest count that it acknowledged."""
    acknowledged = 0
    for _ in range(acknowledgements):
        told = process.stdout.readline()
        if not told:
            break
        acknowledged = int(told)
    kill_unless_done(process, delay)
    rest = process.stdout.read().split()
    process.stdout.close()
    process.wait()
    return max([acknowledged, *map(int, rest)])
